"""Settings of the market system."""

from __future__ import annotations

import tomllib
from datetime import date
from fnmatch import fnmatchcase
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_serializer,
    field_validator,
    model_validator,
)

from flows.settings.part import Duration, Interval, Part, Timed, duration_ns, settings_hash
from state.clock import NS

CLOSES = "market.closes"
MODELS = "market.models"
"""The topic of answers to requests; where a recording lacks it, the flow computes them."""

PairName = Annotated[str, Field(min_length=1, max_length=32)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Confidence = Annotated[float, Field(gt=0.5, lt=1)]
Method = Literal[
    "historical",
    "age-weighted",
    "filtered-historical",
    "ewma-normal",
    "cornish-fisher",
    "garch-normal",
    "monte-carlo-normal",
    "monte-carlo-t",
]


def once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the values; raises ValueError where one is named twice: its records would be, too."""
    if len(set(values)) < len(values):
        raise ValueError("one is named twice")
    return values


Once = AfterValidator(once)


class Scenario(Part):
    """A stress scenario: by how much prices move, or between which sessions they once moved.

    ``shocks`` are simple returns by symbol, ``other`` that of all symbols that are not named,
    ``gamma`` second-order sensitivities by symbol. With ``since`` and ``until`` (ISO dates) the
    shocks are the returns from the last close before ``since`` to the last up to ``until``,
    once these sessions have been seen.
    """

    shocks: dict[str, float] = {}
    other: float = 0.0
    gamma: dict[str, float] = {}
    since: date | None = None
    until: date | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Scenario:
        if (self.since is None) != (self.until is None):
            raise ValueError("a historical scenario needs both since and until")
        if self.since is not None and (self.shocks or self.other):
            raise ValueError("a scenario has shocks, or since and until, not both")
        if self.since is None and not self.shocks and not self.other:
            raise ValueError("a scenario needs shocks, other, or since and until")
        return self


def scenarios_of(value: object) -> object:
    """Return the tables of the TOML file that ``value`` names; anything else unchanged."""
    if not isinstance(value, str):
        return value
    try:
        return tomllib.loads(Path(value).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot read {value}: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{value} is no TOML: {error}") from None


class Risk(Part):
    """Volatility, VaR and breach signals."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    interval: Interval = duration_ns("1m")  # type: ignore[assignment]  # as above
    decay: float = Field(default=0.94, gt=0, lt=1, alias="lambda")
    confidences: Annotated[tuple[Confidence, ...], Once] = Field(default=(0.99,), min_length=1)
    horizons: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Once] = Field(
        default=(1,), min_length=1
    )
    min_observations: int = Field(default=20, ge=2)
    breach_confidence: float = Field(default=0.99, gt=0.5, lt=1)
    methods: Annotated[tuple[Method, ...], Once] = (
        "historical",
        "age-weighted",
        "filtered-historical",
        "ewma-normal",
        "cornish-fisher",
        "garch-normal",
    )
    """The methods of daily risk."""
    window: int = Field(default=500, ge=20)
    """How many sessions the historical methods look back."""
    age_decay: float = Field(default=0.99, gt=0, lt=1)
    paths: int = Field(default=10_000, ge=100)
    degrees_of_freedom: int = Field(default=5, ge=3)
    scenarios: Annotated[dict[str, Scenario], BeforeValidator(scenarios_of)] = {}
    """Stress scenarios by name, or the TOML file that holds them."""


class Models(Part):
    """Fits beside the flow: when they are asked for, and from when they count."""

    every: int = Field(default=21, ge=1)
    """Sessions between two fits of a portfolio's models."""
    delay: Duration = duration_ns("1h")  # type: ignore[assignment]  # as above
    """How long after the close a fit counts, which is the time that a worker has for it."""


class Bounds(Part):
    """How much of the portfolio one position, or a group of them, may be."""

    least: float = Field(default=0.0, ge=-1, le=1)
    most: float = Field(default=1.0, ge=-1, le=1)


class WeightGroup(Bounds):
    """Bounds of the sum of several positions."""

    symbols: tuple[str, ...] = ()


class Target(Part):
    """Target weights of one portfolio: what is optimised, under which constraints, and when."""

    objective: Literal[
        "min-variance", "max-sharpe", "min-cvar", "risk-parity", "hrp", "black-litterman"
    ]
    every: int = Field(default=21, ge=1)
    """Sessions between two optimisations ..."""
    drift: float | None = Field(default=None, gt=0)
    """... and by how much a weight may stray from its target before the next is due."""
    apply: bool = False
    """Whether the portfolio takes the target weights over from when they count."""
    shrinkage: Literal["ledoit-wolf", "none"] = "ledoit-wolf"
    long_only: bool = True
    bounds: dict[str, Bounds] = {}
    """By symbol; ``*`` for all others."""
    turnover: float | None = Field(default=None, gt=0)
    """The most of sum |new - present|."""
    groups: dict[str, WeightGroup] = {}
    market_weights: dict[str, NotNegative] = {}
    """black-litterman: what the market holds in equilibrium, by symbol, in any unit."""

    @model_validator(mode="after")
    def _has_a_market(self) -> Target:
        if self.market_weights and self.objective != "black-litterman":
            raise ValueError("market_weights are of black-litterman alone")
        if self.market_weights and not any(self.market_weights.values()):
            raise ValueError("market_weights are all 0")
        return self

    def constraints(self) -> dict[str, Any]:
        """Return the constraints as a request for weights says them."""
        said: dict[str, Any] = {"long_only": self.long_only}
        if self.bounds:
            said["bounds"] = {s: {"min": b.least, "max": b.most} for s, b in self.bounds.items()}
        if self.turnover is not None:
            said["turnover"] = self.turnover
        if self.groups:
            said["groups"] = {
                name: {"symbols": list(g.symbols), "min": g.least, "max": g.most}
                for name, g in self.groups.items()
            }
        return said


class Signals(Part):
    """Streaming signals of order flow and prices; records of the output ``features``."""

    kinds: tuple[
        Literal[
            "order-flow-imbalance",
            "micro-price",
            "realised-variance",
            "kyle-lambda",
            "hawkes",
            "cusum",
            "vpin",
        ],
        ...,
    ] = ()
    interval: Interval = duration_ns("1m")  # type: ignore[assignment]  # as above
    tick_size: float = Field(default=0.01, gt=0)
    """micro-price: the smallest price step."""
    grid: Interval = duration_ns("5s")  # type: ignore[assignment]  # as above
    """realised-variance: the grid on which returns are taken."""
    kyle_trades: int = Field(default=200, ge=20)
    hawkes_mu: float = Field(default=0.1, ge=0)
    hawkes_alpha: float = Field(default=0.5, ge=0, lt=1)
    hawkes_beta: float = Field(default=1.0, gt=0)
    cusum_threshold: float = Field(default=3.0, gt=0)
    """In standard deviations of the last volatility forecast."""
    vpin_volume: float = Field(default=10_000.0, gt=0)
    vpin_buckets: int = Field(default=50, ge=2)
    pairs: dict[PairName, tuple[str, str]] = {}
    """Two symbols by the name of their pair: the log price of the first is explained by the
    second's, at each bar of risk.interval that both have."""
    pairs_process_variance: float = Field(default=1e-8, ge=0)
    """What the intercept and the slope gain in variance at each step ..."""
    pairs_noise_variance: float = Field(default=1e-6, gt=0)
    """... and that of the first's log price around the line."""
    pairs_prior_variance: float = Field(default=1.0, gt=0)
    pairs_min_observations: int = Field(default=20, ge=1)


class Luld(Part):
    """Limit Up-Limit Down: price bands, limit states and pauses of each symbol."""

    enabled: bool = False
    tiers: dict[str, Literal[1, 2]] = {}
    """The tier of a symbol; 2 where it is not named."""


class Auction(Part):
    """The closing auction, whose price is the close where closes come from ticks."""

    within: Duration = 0
    """How long behind the close its trades may come; 0 is no auction."""
    conditions: tuple[str, ...] = ()
    """A trade is of the auction where one of its condition's words (split at ':') is here ..."""
    bits: int = 0
    """... or where a word of hexadecimal digits has one of these bits."""

    @model_validator(mode="after")
    def _has_conditions(self) -> Auction:
        if self.within and not (self.conditions or self.bits):
            raise ValueError("within needs conditions or bits, which say what is of the auction")
        if (self.conditions or self.bits) and not self.within:
            raise ValueError("within is missing: how long behind the close the auction may print")
        return self


class Market(Timed):
    """The market system. All of it is part of the settings' hash, but for where schemas are."""

    topic: str = "market.ticks"
    schemas: str = ""
    """Where the schemas of Avro ticks are: a directory of <id>.avsc, or a registry's URL."""
    schemas_username: str = Field(default="", exclude=True)
    schemas_password: SecretStr = Field(default=SecretStr(""), exclude=True)
    """The registry's login, which changes nothing of what it says."""
    intervals: Annotated[tuple[Interval, ...], Once] = (NS, 60 * NS)
    max_jump: Duration = duration_ns("10m")  # type: ignore[assignment]  # as above
    """How far ahead of its partition a tick may be before others of it bear it out; 0 is any."""
    symbol_ttl: Duration = duration_ns("7d")  # type: ignore[assignment]  # as above
    quote_ttl: Duration = 0
    """How old a venue's quote may be, by event time, to count in the NBBO; 0 is any age."""
    sequences: Literal["daily", "session", "continuous"] = "daily"
    """When a venue's sequence numbers begin again: with a UTC day or after an hour without ticks;
    between sessions of the calendar; never."""
    sequence_restart_after: int = Field(default=3, ge=0)
    """How many lower numbers in a row mean that they have begun again at any time; 0: none do."""
    late: Literal["record", "window"] = "record"
    """What a trade behind the watermark counts for: nothing, or every bar that is still open."""
    correctable: Duration = 0
    """How far behind the watermark a trade may lie to be cancelled or corrected; 0: none is. The
    trades of that time and of the longest interval are kept for it."""
    list_duplicates: bool = False
    """Whether ticks whose number was seen before are records of the output ``duplicates``."""
    signed: tuple[str, ...] = ()
    """Symbols whose prices may be zero or below, by patterns such as ``CL*``; all others' are above
    zero, or their ticks become dead letters."""
    excluded_conditions: tuple[str, ...] = ("suspicious",)
    """A trade does not count where one of its condition's words (split at ':') is here."""
    excluded_bits: int = 0
    """... or where a word of hexadecimal digits has one of these bits."""
    calendar: str = ""
    """The exchange whose sessions count, such as XNYS: no return is taken from one to the next."""
    align: Literal["utc", "session"] = "utc"
    """Where the windows of bars and of the NBBO begin: at multiples of the interval, or anew at
    each open and close of the calendar's sessions, which also end the window before."""
    signals: Signals = Signals()
    luld: Luld = Luld()
    closes: Literal["events", "ticks"] = "events"
    """Whence daily risk has the prices of closes: market.closes, or the last trades in each
    session of the calendar."""
    auction: Auction = Auction()
    daily: bool = False
    """Whether the live flow makes daily risk; a replay does where the recording holds events."""
    events: tuple[str, ...] = (
        "market.closes",
        "market.portfolios",
        "market.positions",
        "market.views",
        "market.actions",
    )
    """Topics of events. Daily risk waits for each: heartbeats tell that there is nothing."""
    risk: Risk = Risk()
    models: Models = Models()
    targets: dict[str, Target] = {}
    """Target weights by portfolio."""
    portfolios: dict[str, dict[str, float]] = {}
    """Weights by symbol for each portfolio."""

    @field_validator("schemas")
    @classmethod
    def _no_login(cls, value: str) -> str:
        if "://" in value and "@" in value:
            raise ValueError(
                "the URL holds a login: use market.schemas_username and market.schemas_password"
            )
        if "://" in value and not value.startswith(("http://", "https://")):
            raise ValueError("is neither a directory nor an http:// or https:// URL")
        return value

    @field_serializer("schemas")
    def _hashed_schemas(self, value: str) -> str:
        # For the settings' hash: what an id means is the same wherever its schema is read.
        return "set" if value else ""

    @model_validator(mode="after")
    def _consistent(self) -> Market:
        if self.risk.interval not in self.intervals:
            raise ValueError(
                "risk.interval must be one of the intervals: forecasts are made from its bars"
            )
        if self.signals.kinds and self.signals.interval % self.signals.grid:
            raise ValueError("signals.interval must be a multiple of signals.grid")
        for name, (first, second) in self.signals.pairs.items():
            if first == second:
                raise ValueError(f"signals.pairs.{name} has one symbol twice")
        for name in (*chain(*self.portfolios.values()), *chain(*self.signals.pairs.values())):
            if any(fnmatchcase(name, pattern) for pattern in self.signed):
                raise ValueError(
                    f"signed: {name} is in a portfolio or pair, whose returns need prices above 0"
                )
        if self.symbol_ttl <= self.lateness + self.correctable + max(self.intervals):
            raise ValueError("symbol_ttl must exceed lateness + correctable + the longest interval")
        if self.auction.within and self.closes != "ticks":
            raise ValueError("auction needs closes from ticks")
        if self.closes == "ticks" and self.symbol_ttl < 2 * 86400 * NS + self.auction.within:
            raise ValueError(
                "symbol_ttl must be 2d and auction.within, or more, where closes come from ticks"
            )
        return self

    @model_validator(mode="after")
    def _has_sessions(self) -> Market:
        if self.sequences == "session" and not self.calendar:
            raise ValueError("sequences by session need calendar, which has the sessions")
        if self.align == "session" and not self.calendar:
            raise ValueError("align by session needs calendar, which has the sessions")
        if self.closes == "ticks" and not (self.calendar and self.daily):
            raise ValueError("closes from ticks need calendar, which has the sessions, and daily")
        return self

    @property
    def event_topics(self) -> tuple[str, ...]:
        """Return the topics of events that are read."""
        if self.closes == "events":
            return self.events
        return tuple(topic for topic in self.events if topic != CLOSES)


def decision_hash(system: Part) -> str:
    """Return a hash of everything that a decision depends on."""
    return settings_hash(system, 0)
