"""Normal returns with EWMA volatility and a mean of zero (RiskMetrics 1996, chapter 5).

VaR = zσ and ES = σφ(z)/(1 - c), σ² the recursion of operators/market/kernels/volatility.py.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.market.kernels import ewma as kernel
from operators.market.methods.method import Figure
from operators.market.methods.normal import normal_tail
from state.snapshots import pack_array, unpack_array


class EwmaNormal:
    """The EWMA variance of a series; valid once ``window`` returns have been seen."""

    name = "ewma-normal"

    def __init__(self, window: int, decay: float) -> None:
        self._size = window
        self._decay = decay
        self._variance = np.zeros(2)

    def revalue(self, returns: NDArray[np.float64]) -> None:
        """Start again on this series."""
        self._variance[:] = 0.0
        kernel.step_all(self._variance, self._decay, returns)

    def update(self, ret: float) -> None:
        """Take in one more return, in O(1)."""
        kernel.step(self._variance, self._decay, ret)

    def forecast(self, confidence: float) -> Figure | None:
        """Return the figures; None before the first return."""
        variance, seen = self._variance.tolist()
        if not seen:
            return None
        sigma = math.sqrt(variance)
        z, ratio = normal_tail(confidence)
        return Figure(z * sigma, ratio * sigma, seen >= self._size)

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state."""
        return {"variance": pack_array(self._variance)}

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        self._variance = unpack_array(parts["variance"])
