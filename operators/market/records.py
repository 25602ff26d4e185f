"""Words that several of the market's outputs share."""

from __future__ import annotations

from state.clock import NS

TYPES = ("heartbeat", "trade", "quote")
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
