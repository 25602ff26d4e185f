"""Historical simulation with weights that fade with age.

Boudoukh, Richardson and Whitelaw, "The Best of Both Worlds", Risk 11(5), 1998: the i-th youngest
of n returns weighs (1 - d) dⁱ⁻¹ / (1 - dⁿ). VaR is minus the first ascending return, of equal
ones the oldest first, at which the cumulated weight reaches 1 - c: a step, nothing between two
returns is interpolated, and a sum that lies within 1e-12 below has reached it. ES is minus the
weighted mean of the returns up to and including it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.market.kernels import order_statistics as kernel
from operators.market.methods.method import Figure
from operators.market.methods.window import OrderedWindow


class AgeWeighted:
    """The last ``window`` returns in order, fading by ``decay`` in (0, 1); valid once full."""

    name = "age-weighted"

    def __init__(self, window: int, decay: float) -> None:
        self._size = window
        self._window = OrderedWindow(window)
        self._powers = np.empty(window + 1)
        kernel.fill_powers(decay, self._powers)

    def revalue(self, returns: NDArray[np.float64]) -> None:
        """Start again on this series."""
        self._window.fill(returns)

    def update(self, ret: float) -> None:
        """Take in one more return, in O(log n) and a move of part of the order."""
        kernel.insert(*self._window.state, ret)

    def forecast(self, confidence: float) -> Figure | None:
        """Return the figures, in O(tail); None before the first return."""
        count = self._window.count
        if not count:
            return None
        var, es = kernel.age_weighted_tail(*self._window.state, self._powers, 1.0 - confidence)
        return Figure(var, es, count == self._size)

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state."""
        return {"returns": self._window.snapshot()}

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        self._window.restore(parts["returns"])
