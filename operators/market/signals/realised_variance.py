"""Realised variance of each window, and whether it jumped."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np

from operators.market.kernels import realised as kernel
from operators.market.signals.signal import Closings, Figure, Signal, Tape
from operators.market.signals.table import Table

LEAST_CELLS = 4
"""Quad-power quarticity needs four returns."""


class RealisedVariance(Signal):
    """``realised-variance`` of log returns on a fixed grid of mid or trade prices.

    Details: ``rv`` (the value), ``bv`` (bipower variation), ``jump_z`` (null where it is not
    defined), ``returns`` (N): see kernels/realised.py. A price belongs to the grid cell of its
    event time, of which the last counts. ``interval_ns`` is that of the
    windows. Raises ValueError where it is not four or more whole grid steps.

    z is normal only for many returns: without jumps it exceeds 2.33 in 11 % of the windows of 12
    returns, in 5 % of those of 60 and in 2 % of those of 600.
    """

    kind = "realised-variance"

    def __init__(
        self, interval_ns: int, grid_ns: int, price: Literal["mid", "trade"] = "mid"
    ) -> None:
        cells = interval_ns // grid_ns
        if interval_ns % grid_ns or cells < LEAST_CELLS:
            raise ValueError(f"the interval must be {LEAST_CELLS} or more whole steps of the grid")
        super().__init__(
            Table(last=np.float64, last_end=np.int64), Table(cells=(np.float64, cells))
        )
        self._interval_ns = interval_ns
        self._grid_ns = grid_ns
        self._of_mid = price == "mid"

    def step(self, tape: Tape) -> tuple[()]:
        """Put the block's prices on the grid."""
        self._symbols.room_for(len(tape.work.names))
        (cells,) = self._windows.room_for(tape.places)
        block = tape.work.block
        chosen, price = (tape.quotes, tape.mid) if self._of_mid else (tape.trades, block.price)
        kernel.sample(chosen, tape.place, price, block.ts_ns, self._grid_ns, tape.start_ns, cells)
        return ()

    def close(self, closings: Closings) -> Iterator[Figure]:
        """Return the figures of the windows with a price and a return."""
        out = np.empty((len(closings), 4))
        kernel.close(
            closings.slot, closings.start_ns, closings.place, self._interval_ns,
            self._windows["cells"], self._symbols["last"], self._symbols["last_end"], out,
        )  # fmt: skip
        for k, (returns, rv, bv, z) in enumerate(out.tolist()):
            if returns > 0:
                jump = None if math.isnan(z) else z
                yield k, rv, {"rv": rv, "bv": bv, "jump_z": jump, "returns": int(returns)}
