"""Historical simulation: the order statistics of the last returns.

VaR is minus the ascending return at ⌊n(1 - c)⌋, zero-based; ES minus the mean of the tail up to
and including it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.market.kernels import order_statistics as kernel
from operators.market.methods.method import Figure
from operators.market.methods.window import OrderedWindow


class Historical:
    """The last ``window`` returns in order; valid once there are so many."""

    name = "historical"

    def __init__(self, window: int) -> None:
        self._size = window
        self._window = OrderedWindow(window)

    def revalue(self, returns: NDArray[np.float64]) -> None:
        """Start again on this series."""
        self._window.fill(returns)

    def update(self, ret: float) -> None:
        """Take in one more return, in O(log n) and a move of part of the order."""
        kernel.insert(*self._window.state, ret)

    def forecast(self, confidence: float) -> Figure | None:
        """Return the figures; None before the first return."""
        count = self._window.count
        if not count:
            return None
        var, es = kernel.tail(*self._window.state, confidence)
        return Figure(var, es, count == self._size)

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state."""
        return {"returns": self._window.snapshot()}

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        self._window.restore(parts["returns"])
