"""Breakers with hysteresis: what trips at one level comes back only at a better one."""

from __future__ import annotations

from operators.market.controls.states import Event, State


def drawdown_of(
    equity: float, pnl: float, before: float | None, peak: float | None
) -> tuple[float, float]:
    """Return how far a portfolio is below its peak by what it lost, and the peak in today's money.

    ``equity`` is what it is worth now, cash included, and ``pnl`` what it earned since ``before``,
    which with ``peak`` is of the last close. What came in or went out meanwhile is no performance:
    the peak grows and shrinks with it. The drawdown is a fraction of the peak; without a positive
    one there is none.

    >>> drawdown_of(90.0, -10.0, 100.0, 100.0), drawdown_of(110.0, 10.0, 100.0, 100.0)
    ((0.1, 100.0), (0.0, 110.0))
    >>> drawdown_of(50.0, 0.0, 100.0, 100.0)  # half was taken out
    (0.0, 50.0)
    >>> drawdown_of(910.0, -90.0, -10.0, 100.0)  # new money, and a loss of it
    (0.09, 1000.0)
    """
    base = equity - pnl
    if peak is None or (before is not None and before <= 0.0):
        peak = base  # at first, or with new money after all was lost
    elif before is not None and base > 0.0:
        peak *= base / before
    highest = max(equity, peak)
    return ((highest - equity) / highest if highest > 0.0 else 0.0), highest


def judge(tripped: bool, fails: bool, recovered: bool, action: str) -> Event | None:
    """Return what a breaker does: trip, reset or nothing (None).

    ``fails``: beyond its limit; ``recovered``: back at the level to resume at. Between the two it
    stays as it is.
    """
    if not tripped and fails:
        return Event.HALT if action == State.HALTED.name else Event.REDUCE
    return Event.RESET if tripped and recovered else None
