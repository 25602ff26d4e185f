"""Normal quantiles corrected for the skewness and kurtosis of the last returns.

VaR = -(mean + σq(z)), z = Φ⁻¹(1 - c), q the expansion of Cornish and Fisher 1937 as Dowd gives it
(Measuring Market Risk, 2005); the moments are the population's, with divisor n. ES is minus
the mean of that quantile over the tail, in closed form (Maillard 2012, SSRN 1997178).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.market.kernels import cornish_fisher as kernel
from operators.market.kernels import moments
from operators.market.methods.method import Figure
from operators.market.methods.normal import normal_tail
from operators.market.methods.window import Window
from state.snapshots import pack_array, unpack_array


class CornishFisher:
    """The moments of the last ``window`` returns.

    Valid where there are so many and q rises everywhere: beyond that it is no quantile
    function, its VaR may fall as the confidence grows, and its ES be less than its VaR.
    """

    name = "cornish-fisher"

    def __init__(self, window: int) -> None:
        self._size = window
        self._window = Window(window)
        self._sums = np.zeros(9)

    def revalue(self, returns: NDArray[np.float64]) -> None:
        """Start again on this series."""
        self._window.fill(returns[:0])
        self._sums[:] = 0.0
        moments.push_all(self._window.ring, self._window.cursor, self._sums, returns)

    def update(self, ret: float) -> None:
        """Take in one more return: O(1), O(window) where the mean has moved far."""
        moments.push(self._window.ring, self._window.cursor, self._sums, ret)

    def forecast(self, confidence: float) -> Figure | None:
        """Return the figures; None before the first return."""
        count = self._window.count
        if not count:
            return None
        z, ratio = normal_tail(confidence)
        var, es, monotone = kernel.forecast(self._window.cursor, self._sums, -z, ratio)
        return Figure(var, es, monotone and count == self._size)

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state."""
        return {"returns": self._window.snapshot(), "sums": pack_array(self._sums)}

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        self._window.restore(parts["returns"])
        self._sums = unpack_array(parts["sums"])
