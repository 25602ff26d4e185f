"""Filtered historical simulation: past shocks, scaled to today's volatility.

Barone-Adesi, Giannopoulos and Vosper, "VaR without Correlations for Portfolios of Derivative
Securities", Journal of Futures Markets 19(5), 1999, with an EWMA as the filter: zᵢ = rᵢ/σᵢ, σᵢ the
forecast made the day before; VaR and ES are the next day's σ times those of the last z's.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.market.kernels import ewma as kernel
from operators.market.kernels.ewma import VARIANCE
from operators.market.kernels.order_statistics import tail
from operators.market.methods.method import Figure
from operators.market.methods.window import OrderedWindow
from state.snapshots import pack_array, unpack_array


class FilteredHistorical:
    """The last ``window`` z's in order, and the EWMA variance.

    The first return has no z, nor has any before which all were 0, so that its forecast was 0.
    Valid once ``window`` returns have been seen, that is with window - 1 z's.
    """

    name = "filtered-historical"

    def __init__(self, window: int, decay: float) -> None:
        self._size = window
        self._decay = decay
        self._window = OrderedWindow(window)
        self._variance = np.zeros(2)

    def revalue(self, returns: NDArray[np.float64]) -> None:
        """Start again on this series."""
        z = np.empty(len(returns))
        self._variance[:] = 0.0
        count = kernel.standardise_all(self._variance, self._decay, returns, z)
        self._window.fill(z[:count])

    def update(self, ret: float) -> None:
        """Take in one more return, in O(log n) and a move of part of the order."""
        kernel.standardise(*self._window.state, self._variance, self._decay, ret)

    def forecast(self, confidence: float) -> Figure | None:
        """Return the figures; None before the first z."""
        count = self._window.count
        if not count:
            return None
        sigma = math.sqrt(self._variance[VARIANCE])
        var, es = tail(*self._window.state, confidence)
        return Figure(sigma * var, sigma * es, count >= self._size - 1)

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state."""
        return {"z": self._window.snapshot(), "variance": pack_array(self._variance)}

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        self._window.restore(parts["z"])
        self._variance = unpack_array(parts["variance"])
