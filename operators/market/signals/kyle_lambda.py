"""Kyle's lambda at the end of each window."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from operators.market.kernels import kyle as kernel
from operators.market.signals.signal import Closings, Figure, Signal, Tape
from operators.market.signals.table import Table


class KyleLambda(Signal):
    """``kyle-lambda``: price impact per unit of signed volume over the last ``trades`` trades.

    After the window's last trade (kernels/kyle.py), once there are ``min_observations``. Details:
    ``r2`` of the regression and ``observations``. State: 16 bytes for each of the trades of a
    symbol.
    """

    kind = "kyle-lambda"

    def __init__(self, trades: int = 200, min_observations: int = 20) -> None:
        super().__init__(
            Table(
                pending=(np.float64, 2), count=(np.int64, 2), sums=(np.float64, 5),
                ring=(np.float64, 2 * trades),
            ),
            Table(last=(np.float64, 4)),
        )  # fmt: skip
        self._min_observations = min_observations

    def step(self, tape: Tape) -> tuple[()]:
        """Move the regression over the block's trades."""
        work = tape.work
        (last,) = self._windows.room_for(tape.places)
        kernel.kyle_lambda(
            (tape.trades, work.slot, tape.place, tape.sign, work.block.size, tape.mid),
            self._symbols.room_for(len(work.names)),
            last,
        )
        return ()

    def close(self, closings: Closings) -> Iterator[Figure]:
        """Return the last figures of the windows that had an observation."""
        for k, row in enumerate(self._windows["last"][closings.place].tolist()):
            value, r2, observations, seen = row
            if seen and observations >= self._min_observations:
                yield k, value, {"r2": r2, "observations": int(observations)}
