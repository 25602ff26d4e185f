"""Settings: one TOML file and ``HEADRACE_…`` variables, parsed once, frozen.

``HEADRACE_KAFKA__BOOTSTRAP`` sets ``[kafka] bootstrap``. Secrets come only from the
environment or from the file that ``…_FILE`` names, never from the TOML file.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from operators.market.controls.limits import ControlSettings, Limits
from state.clock import NS

_UNITS_NS = {"us": 1_000, "ms": 1_000_000, "s": NS, "m": 60 * NS, "h": 3600 * NS, "d": 86400 * NS}


def duration_ns(value: object) -> object:
    """Return nanoseconds from text such as ``250ms``, ``5s``, ``1m``; anything else unchanged."""
    if isinstance(value, str):
        match = re.fullmatch(r"(\d+)(us|ms|s|m|h|d)", value)
        if not match:
            raise ValueError(
                f"{value!r} is no duration: write a whole number and us, ms, s, m, h or d"
            )
        return int(match[1]) * _UNITS_NS[match[2]]
    return value


Duration = Annotated[int, BeforeValidator(duration_ns), Field(ge=0)]
"""Nanoseconds; in files and variables, text such as ``5s``."""


class Part(BaseModel):
    """A table of the settings file: frozen, unknown names refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Kafka(Part):
    """Where records come from and go to."""

    bootstrap: str = "127.0.0.1:9092"
    group: str = "headrace"
    shards: int = Field(default=4, ge=1, le=256)
    batch: int = Field(default=4096, ge=1)
    """The most messages of one poll of one shard."""
    start: str = "earliest"
    """Where a new flow starts: earliest, latest, an ISO 8601 time, or ``p:offset,…``."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: str = ""
    sasl_username: str = ""
    sasl_password: SecretStr = SecretStr("")
    ssl_ca: str = ""
    options: dict[str, str] = {}
    """Anything else for librdkafka, by its own names."""


class Redis(Part):
    """Where live readers look."""

    url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    stream_length: int = Field(default=100_000, ge=1)
    """About how many entries a stream keeps."""


class Postgres(Part):
    """Where history rests; written by the history flow alone."""

    dsn: SecretStr = SecretStr("postgresql://headrace@127.0.0.1:5432/headrace")
    retention: Duration = duration_ns("365d")  # type: ignore[assignment]  # text is parsed by the function itself
    compress_after: Duration = duration_ns("7d")  # type: ignore[assignment]  # as above


class Run(Part):
    """How a flow runs; nothing here changes what it says."""

    state_dir: Path = Path(".headrace/state")
    epoch: Duration = duration_ns("1s")  # type: ignore[assignment]  # as above
    workers: int = Field(default=1, ge=1, le=8)
    generation: int = Field(default=1, ge=1)
    drain: Duration = duration_ns("30s")  # type: ignore[assignment]  # as above
    http_port: int = Field(default=9600, ge=0, le=65535)
    """The first process's port on loopback for /live, /ready and /metrics; 0 turns them off."""
    restarts: int = Field(default=5, ge=0)
    """How many restarts within ten minutes before the supervisor gives up."""
    max_dead_bytes: int = Field(default=1_000_000, ge=0)


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

    interval: Duration = duration_ns("1m")  # type: ignore[assignment]  # as above
    decay: float = Field(default=0.94, gt=0, lt=1, alias="lambda")
    confidences: tuple[Confidence, ...] = Field(default=(0.99,), min_length=1)
    horizons: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(1,), min_length=1)
    min_observations: int = Field(default=20, ge=2)
    breach_confidence: float = Field(default=0.99, gt=0.5, lt=1)
    methods: tuple[Method, ...] = (
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
    interval: Duration = duration_ns("1m")  # type: ignore[assignment]  # as above
    tick_size: float = Field(default=0.01, gt=0)
    """micro-price: the smallest price step."""
    grid: Duration = duration_ns("5s")  # type: ignore[assignment]  # as above
    """realised-variance: the grid on which returns are taken."""
    kyle_trades: int = Field(default=200, ge=20)
    hawkes_mu: float = Field(default=0.1, ge=0)
    hawkes_alpha: float = Field(default=0.5, ge=0, lt=1)
    hawkes_beta: float = Field(default=1.0, gt=0)
    cusum_threshold: float = Field(default=3.0, gt=0)
    """In standard deviations of the last volatility forecast."""
    vpin_volume: float = Field(default=10_000.0, gt=0)
    vpin_buckets: int = Field(default=50, ge=2)


class Luld(Part):
    """Limit Up-Limit Down: price bands, limit states and pauses of each symbol."""

    enabled: bool = False
    tiers: dict[str, Literal[1, 2]] = {}
    """The tier of a symbol; 2 where it is not named."""


class Market(Part):
    """The market system. All of it is part of the settings' hash."""

    topic: str = "market.ticks"
    intervals: tuple[Duration, ...] = (NS, 60 * NS)
    lateness: Duration = duration_ns("1s")  # type: ignore[assignment]  # as above
    max_ahead: Duration = duration_ns("5s")  # type: ignore[assignment]  # as above
    max_skew: Duration = duration_ns("10m")  # type: ignore[assignment]  # as above
    symbol_ttl: Duration = duration_ns("7d")  # type: ignore[assignment]  # as above
    excluded_conditions: tuple[str, ...] = ("suspicious",)
    """A trade does not count where one of its condition's words (split at ':') is here."""
    excluded_bits: int = 0
    """... or where a word of hexadecimal digits has one of these bits."""
    calendar: str = ""
    """The exchange whose sessions count, such as XNYS: no return is taken from one to the next."""
    signals: Signals = Signals()
    luld: Luld = Luld()
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

    @model_validator(mode="after")
    def _consistent(self) -> Market:
        if self.risk.interval not in self.intervals:
            raise ValueError(
                "risk.interval must be one of the intervals: forecasts are made from its bars"
            )
        if self.signals.kinds and self.signals.interval % self.signals.grid:
            raise ValueError("signals.interval must be a multiple of signals.grid")
        if self.symbol_ttl <= self.lateness + max(self.intervals):
            raise ValueError("symbol_ttl must exceed lateness + the longest interval")
        return self


class OrderLimits(Part):
    """What an account may do until a control event sets other limits."""

    max_quantity: float = 10_000.0
    """Shares of one order."""
    max_notional: float = 1_000_000.0
    """Quantity times price of one order, in currency; of a market order, times the mark."""
    max_position: float = 100_000.0
    """Shares of one symbol, all open orders filled."""
    max_open_orders: int = 1_000
    max_messages: int = 100
    """Orders within ``message_window``."""
    message_window: Duration = duration_ns("1s")  # type: ignore[assignment]  # as above
    collar_percent: float = 5.0
    """How far from the mark a price may be."""
    drawdown_limit: float | None = 0.10
    """A fraction of the portfolio's highest value, at which the breaker trips ..."""
    drawdown_resume: float = 0.05
    """... and at which it comes back."""
    drawdown_action: Literal["REDUCING", "HALTED"] = "REDUCING"
    var_limit: float | None = 0.05
    """A fraction of the portfolio's value; above it the breaker trips ..."""
    var_resume: float = 0.04
    """... and below this it comes back."""
    var_action: Literal["REDUCING", "HALTED"] = "REDUCING"
    var_method: Method = "historical"
    var_confidence: float = 0.99
    var_horizon: int = 1
    var_interval: str = "session"


class Trading(Part):
    """The trading controls. All of it is part of the settings' hash."""

    topics: tuple[
        Literal[
            "market.orders",
            "market.control",
            "market.bands",
            "market.nbbo",
            "market.bars",
            "market.risk",
            "market.pnl",
        ],
        ...,
    ] = (
        "market.orders",
        "market.control",
        "market.bands",
        "market.nbbo",
        "market.risk",
        "market.pnl",
    )
    """What is sequenced: orders and control events, and what the controls go by."""
    limits: OrderLimits = OrderLimits()
    order_ids: int = 100_000
    """How many of an account's last order ids are known, to find duplicates."""
    stale_after: Duration = duration_ns("5s")  # type: ignore[assignment]  # as above
    """How old a symbol's market data may be ..."""
    fresh_records: int = 3
    """... and how many have to come before they count again."""
    symbol_ttl: Duration = duration_ns("7d")  # type: ignore[assignment]  # as above
    max_accounts: int = 10_000

    @model_validator(mode="after")
    def _possible(self) -> Trading:
        self.controls()
        return self

    def controls(self) -> ControlSettings:
        """Return what the controls are set to; raises ValueError where a limit cannot be."""
        limits = self.limits.model_dump()
        window_ns = limits.pop("message_window")
        return ControlSettings(
            limits=Limits(message_window_ns=window_ns, **limits),
            order_ids=self.order_ids,
            stale_after_ns=self.stale_after,
            fresh_records=self.fresh_records,
            symbol_ttl_ns=self.symbol_ttl,
            max_accounts=self.max_accounts,
        )


class Settings(BaseSettings):
    """All settings; ``flows.config`` loads them and tells where each came from."""

    model_config = SettingsConfigDict(
        env_prefix="HEADRACE_", env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    kafka: Kafka = Kafka()
    redis: Redis = Redis()
    postgres: Postgres = Postgres()
    run: Run = Run()
    market: Market = Market()
    trading: Trading = Trading()


MODELS = "market.models"
"""The topic of answers to requests; where a recording lacks it, the flow computes them."""

SEQUENCED = "market.sequenced"
"""The topic, of one partition, that gives the topics of trading one order."""


def decision_hash(system: Part) -> str:
    """Return a hash of everything that a decision depends on."""
    return settings_hash(system, 0)


def settings_hash(system: Part, shards: int) -> str:
    """Return a hash of everything that outputs and state layout depend on."""
    content: dict[str, Any] = {"shards": shards, "system": system.model_dump(mode="json")}
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def trading_hash(trading: Trading) -> str:
    """Return the hash of the settings of trading: one shard decides, however many there are."""
    return settings_hash(trading, 1)
