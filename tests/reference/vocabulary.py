"""What the reference reads: decoded ticks and the settings that decide the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Record = dict[str, Any]
Kind = Literal["trade", "quote", "heartbeat", "correction"]

DAY_NS = 86_400 * 1_000_000_000

UNITS_NS = (
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
)


@dataclass(frozen=True, slots=True)
class Tick:
    """One decoded tick or heartbeat with its first coordinates; times are ns since 1970 UTC.

    A trade has ``price`` and ``size``; a quote has the other four, and a price of 0 there
    means that the quote says nothing of that side. A correction has what is left of the trade of
    the same venue at ``trade_ts_ns`` (0: not said), of the number ``trade_seq``, or both; a size of
    0 is a cancel.
    """

    partition: int
    offset: int
    kind: Kind
    ts_ns: int
    sequence: int = 0
    timestamp_ns: int = 0
    symbol: str = ""
    venue: str = ""
    condition: str = ""
    price: float = 0.0
    size: float = 0.0
    bid: float = 0.0
    bid_size: float = 0.0
    ask: float = 0.0
    ask_size: float = 0.0
    seq: int | None = None
    retried: bool = False
    trade_ts_ns: int = 0
    trade_seq: int | None = None


@dataclass(frozen=True)
class ReferenceSettings:
    """The settings that decide the result; durations in ns, weights by portfolio and symbol."""

    topic: str = "market.ticks"
    partitions: int = 1
    lateness_ns: int = 500_000_000
    symbol_ttl_ns: int = DAY_NS
    intervals_ns: tuple[int, ...] = (1_000_000_000, 60_000_000_000)
    risk_interval_ns: int = 60_000_000_000
    quote_ttl_ns: int = 0
    late: Literal["record", "window"] = "record"
    correctable_ns: int = 0
    borders_ns: tuple[int, ...] = ()
    sequences: Literal["daily", "session", "continuous"] = "daily"
    session_borders_ns: tuple[int, ...] = ()
    sequence_restart_after: int = 0
    excluded_conditions: frozenset[str] = frozenset()
    excluded_bits: int = 0
    ewma_lambda: float = 0.94
    confidences: tuple[float, ...] = (0.99,)
    horizons: tuple[int, ...] = (1,)
    min_observations: int = 20
    breach_confidence: float = 0.99
    portfolios: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.risk_interval_ns not in self.intervals_ns:
            raise ValueError("the risk interval must be one of the bars' intervals")
        if self.symbol_ttl_ns <= self.lateness_ns + max(self.intervals_ns):
            raise ValueError("a symbol must outlive the lateness and the longest interval")

    @property
    def nbbo_interval_ns(self) -> int:
        """Return the length of the windows in which the NBBO is sampled."""
        return min(self.intervals_ns)

    def window_of(self, ts_ns: int, interval_ns: int) -> tuple[int, int]:
        """Return start and end of a time's window: it begins anew, and ends, at each border."""
        begin_ns = max([0, *(border for border in self.borders_ns if border <= ts_ns)])
        start_ns = ts_ns - (ts_ns - begin_ns) % interval_ns
        later = [border for border in self.borders_ns if border > ts_ns]
        return start_ns, min([start_ns + interval_ns, *later])


def interval_name(interval_ns: int) -> str:
    """Return the interval in the largest unit that divides it: 1s, 90s, 5m, 1d, 250ms."""
    for unit, unit_ns in UNITS_NS:
        if interval_ns % unit_ns == 0:
            return f"{interval_ns // unit_ns}{unit}"
    raise ValueError(f"an interval of {interval_ns} ns is no whole number of milliseconds")


def coordinates(topic: str, tick: Tick) -> str:
    """Return the identity of a tick."""
    return f"{topic}/{tick.partition}/{tick.offset}/{tick.sequence}"
