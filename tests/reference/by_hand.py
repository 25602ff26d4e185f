"""Ticks written by hand, and what the reference makes of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import count

from tests.reference.market import ReferenceSettings, Tick, run
from tests.reference.vocabulary import Record

S = 1_000_000_000

BASE = ReferenceSettings(
    topic="t",
    lateness_ns=0,
    symbol_ttl_ns=100 * S,
    intervals_ns=(S,),
    risk_interval_ns=S,
    min_observations=1,
)


def trade(ts_s: float, price: float, size: float = 1.0, **rest: object) -> Tick:
    return Tick(0, 0, "trade", round(ts_s * S), symbol="A", price=price, size=size, **rest)  # type: ignore[arg-type]  # reason: keyword shorthand of the tests


def quote(ts_s: float, venue: str, **sides: object) -> Tick:
    return Tick(0, 0, "quote", round(ts_s * S), symbol="A", venue=venue, **sides)  # type: ignore[arg-type]  # reason: keyword shorthand of the tests


def beat(ts_s: float, partition: int = 0) -> Tick:
    return Tick(partition, 0, "heartbeat", round(ts_s * S))


def numbered(ticks: Iterable[Tick]) -> list[Tick]:
    """Give the ticks the offsets of their order of arrival in each partition."""
    offsets = [count() for _ in range(4)]
    return [replace(tick, offset=next(offsets[tick.partition])) for tick in ticks]


def outputs(*ticks: Tick, settings: ReferenceSettings = BASE) -> dict[str, list[Record]]:
    return run(numbered(ticks), settings)
