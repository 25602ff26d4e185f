"""CUSUM events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from operators.market.breach import NO_FORECASTS
from operators.market.kernels import cusum as kernel
from operators.market.signals.signal import Figure, Signal, Tape
from operators.market.signals.table import Table


class Cusum(Signal):
    """``cusum``: a trade at which the log returns have added up to a threshold (kernels/cusum.py).

    ``threshold`` is a log return, or a multiple of the symbol's last volatility forecast (``unit``
    "sigma", of the bars of risk.interval), which counts from ``min_observations`` returns on. The
    value is the sum that fired, with its sign. Details: ``threshold``, the log return.
    """

    kind = "cusum"

    def __init__(
        self,
        threshold: float = 3.0,
        unit: Literal["sigma", "return"] = "sigma",
        min_observations: int = 20,
    ) -> None:
        super().__init__(Table(threshold=np.float64, state=(np.float64, 3)), Table())
        self._threshold = threshold
        self._of_sigma = unit == "sigma"
        self._min_observations = min_observations

    def step(self, tape: Tape) -> Iterator[Figure]:
        """Return the events among the block's trades."""
        work = tape.work
        threshold, state = self._symbols.room_for(len(work.names))
        forecasts = NO_FORECASTS
        if not self._of_sigma:
            threshold[:] = self._threshold
        elif work.forecasts is not None:
            forecasts = work.forecasts
        valid = forecasts.observations >= self._min_observations
        new = np.where(valid, self._threshold * forecasts.sigma, 0.0)
        rows = len(work.block)
        out = row, total, limit = np.empty(rows, np.int64), np.empty(rows), np.empty(rows)
        found = kernel.cusum(
            (tape.trades, work.slot, work.block.price),
            (forecasts.at_row, forecasts.slot, new),
            (threshold, state),
            out,
        )
        for i in range(found):
            yield int(row[i]), float(total[i]), {"threshold": float(limit[i])}
