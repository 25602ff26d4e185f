"""Breakers with hysteresis: what trips at one level comes back only at a better one."""

from __future__ import annotations

from operators.market.controls.states import Event, State


def drawdown_of(value: float, peak: float | None) -> tuple[float, float]:
    """Return how far a portfolio's value is below its peak, as a fraction of it, and the peak.

    ``peak`` is the largest value before; without a positive one there is no drawdown.

    >>> drawdown_of(90.0, 100.0), drawdown_of(110.0, 100.0)
    ((0.1, 100.0), (0.0, 110.0))
    """
    highest = value if peak is None else max(value, peak)
    return ((highest - value) / highest if highest > 0.0 else 0.0), highest


def judge(tripped: bool, fails: bool, recovered: bool, action: str) -> Event | None:
    """Return what a breaker does: trip, reset or nothing (None).

    ``fails``: beyond its limit; ``recovered``: back at the level to resume at. Between the two it
    stays as it is.
    """
    if not tripped and fails:
        return Event.HALT if action == State.HALTED.name else Event.REDUCE
    return Event.RESET if tripped and recovered else None
