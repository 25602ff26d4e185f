"""Settings of the market system."""

from __future__ import annotations

from fnmatch import fnmatchcase
from itertools import chain
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_serializer, field_validator, model_validator

from flows.market.risk_settings import Method, Models, Risk, Scenario
from flows.market.signal_settings import Signals
from flows.market.target_settings import Target
from flows.settings.part import Duration, Interval, Once, Part, Timed, duration_ns, settings_hash
from state.clock import NS

__all__ = [
    "CLOSES",
    "MODELS",
    "Auction",
    "Luld",
    "Market",
    "Method",
    "Models",
    "Risk",
    "Scenario",
    "Signals",
    "Target",
    "decision_hash",
]

CLOSES = "market.closes"
MODELS = "market.models"
"""The topic of answers to requests; where a recording lacks it, the flow computes them."""


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
    max_jump: Duration = duration_ns("10m")  # type: ignore[assignment]  # text is parsed by the function itself
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
