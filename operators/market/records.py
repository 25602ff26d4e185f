"""Words that several of the market's outputs share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from state.clock import NS
from state.records import Coordinates

TYPES = ("heartbeat", "trade", "quote", "correction")
"""The ``type`` of a tick by its ``TickBlock.kind``."""

SESSION = "session"
"""The ``interval`` of daily figures."""

METHOD = "ewma-normal"
"""The method of every figure made from EWMA volatility and the normal distribution."""

_UNITS = (
    ("d", 86400 * NS),
    ("h", 3600 * NS),
    ("m", 60 * NS),
    ("s", NS),
    ("ms", 1_000_000),
    ("us", 1_000),
)


def interval_name(interval_ns: int) -> str:
    """Return the name of an interval, by the largest unit that divides it: ``1s``, ``1m``.

    >>> interval_name(90_000_000_000)
    '90s'
    """
    for unit, size in _UNITS:
        if interval_ns % size == 0:
            return f"{interval_ns // size}{unit}"
    return f"{interval_ns}ns"


def bar_record(
    symbol: str,
    interval: str,
    start_ns: int,
    values: Sequence[float],
    trades: int,
) -> dict[str, Any]:
    """Return the record of a bar; prices are null where it has no trades.

    ``values``: open, high, low, close, volume and notional.
    """
    open_, high, low, close, volume, notional = values
    some = trades > 0
    return {
        "id": f"{symbol}|{interval}|{start_ns}",
        "symbol": symbol,
        "interval": interval,
        "start_ns": start_ns,
        "open": open_ if some else None,
        "high": high if some else None,
        "low": low if some else None,
        "close": close if some else None,
        "volume": volume,
        # Rounded sums may leave the range by a last digit, which a mean never does.
        "vwap": min(max(notional / volume, low), high) if some else None,
        "trades": trades,
    }


def listed(where: Coordinates, ts_ns: int, symbol: str) -> dict[str, Any]:
    """Return how a tick or an event is listed: TICK_BY_COORDINATES of the outputs."""
    return {
        "id": str(where),
        "ts_ns": ts_ns,
        "topic": where.topic,
        "partition": where.partition,
        "offset": where.offset,
        "sequence": where.sequence,
        "symbol": symbol,
    }
