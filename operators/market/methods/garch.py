"""Normal returns with a GARCH(1,1) variance, whose parameters are fitted elsewhere.

VaR = -μ + zσ and ES = -μ + σφ(z)/(1 - c), σ² = ω + α(r - μ)² + βh stepped with each return
(Bollerslev 1986). New parameters filter the retained history anew (kernels/garch.py).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.market.kernels import garch as kernel
from operators.market.kernels.ring import remember
from operators.market.methods.method import Figure
from operators.market.methods.normal import normal_tail
from operators.market.methods.window import Window


class GarchNormal:
    """The last 2 ``window`` returns, the parameters in force and the variance under them.

    Valid once there are parameters and ``window`` returns.
    """

    name = "garch-normal"

    def __init__(self, window: int) -> None:
        self._size = window
        self._history = Window(2 * window)
        self._parameters: tuple[float, float, float, float] | None = None
        self._variance = 0.0

    def set_parameters(self, mu: float, omega: float, alpha: float, beta: float) -> None:
        """Forecast with these from now on, as if they had held for all of the history."""
        self._parameters = (float(mu), float(omega), float(alpha), float(beta))
        self._filter()

    def revalue(self, returns: NDArray[np.float64]) -> None:
        """Start again on this series; parameters stay in force, as if set after its last return.

        Without parameters this is the state of updates by each return.
        """
        self._history.fill(returns)
        self._filter()

    def update(self, ret: float) -> None:
        """Take in one more return, in O(1)."""
        history = self._history
        if self._parameters is None:
            remember(history.ring, history.cursor, ret)
        else:
            self._variance = kernel.advance(
                history.ring, history.cursor, self._variance, ret, *self._parameters
            )

    def forecast(self, confidence: float) -> Figure | None:
        """Return the figures; None without parameters, or before the first return."""
        count = self._history.count
        if self._parameters is None or not count:
            return None
        sigma = math.sqrt(self._variance)
        z, ratio = normal_tail(confidence)
        mu = self._parameters[0]
        return Figure(z * sigma - mu, ratio * sigma - mu, count >= self._size)

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state."""
        return {
            "history": self._history.snapshot(),
            "parameters": self._parameters,
            "variance": self._variance,
        }

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        self._history.restore(parts["history"])
        self._parameters = parts["parameters"]
        self._variance = parts["variance"]

    def _filter(self) -> None:
        if self._parameters is not None and self._history.count:
            self._variance = kernel.filtered(
                self._history.ring, self._history.cursor, *self._parameters
            )
