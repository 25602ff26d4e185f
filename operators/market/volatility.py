"""EWMA volatility of each symbol on the bars of one interval."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from operators.market.kernels import volatility as kernel
from operators.market.operator import PerSymbol
from operators.market.work import Forecasts, Work
from operators.outputs import Outbox


class Volatility(PerSymbol):
    """Steps the EWMA variance of a symbol at each of its closing bars; sets ``work.forecasts``.

    Returns are simple, from the close of the symbol's previous bar, whenever that was, but not
    across the end of a session. A bar belongs to the session that had not closed at its begin.
    """

    name = "volatility"

    def __init__(self, interval: int, decay: float, closes_ns: NDArray[np.int64]) -> None:
        """``interval``: which bars, as in ClosedBars.

        ``closes_ns`` int64: when sessions close, ascending; none is one endless session.
        """
        super().__init__(
            last_close=np.float64, variance=np.float64, observations=np.int64, session=np.int64
        )
        self._closes_ns = closes_ns
        self._interval = interval
        self._decay = decay

    def process(self, work: Work, outbox: Outbox) -> None:
        """Make the block's new forecasts."""
        bars = work.bars
        if bars is None:
            return
        mine = np.flatnonzero(bars.interval == self._interval)
        if not len(mine):
            return
        slot, close = bars.slot[mine], bars.close[mine]
        ret, sigma, seen = np.empty(len(mine)), np.empty(len(mine)), np.empty(len(mine), np.int64)
        has_return = np.empty(len(mine), np.bool_)
        session = np.searchsorted(self._closes_ns, bars.start_ns[mine], side="right")
        kernel.ewma_volatility(
            (slot, close, session),
            self._decay,
            self.room_for(len(work.names)),
            (ret, has_return, sigma, seen),
        )
        work.forecasts = Forecasts(
            at_row=bars.at_row[mine],
            partition=bars.partition[mine],
            slot=slot,
            end_ns=bars.end_ns[mine],
            price=close,
            ret=ret,
            has_return=has_return,
            sigma=sigma,
            observations=seen,
        )
