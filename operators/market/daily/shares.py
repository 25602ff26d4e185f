"""What the positions of one portfolio are to its VaR: marginal, component and incremental."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from operators.market.components import (
    ewma_components,
    ewma_incremental,
    historical_components,
    historical_incremental,
)
from operators.market.kernels import components as kernel
from operators.market.kernels.order_statistics import tail_index
from operators.market.kernels.portfolio import weighted_sums
from operators.market.var import Level
from state.snapshots import pack_array, unpack_array


class Share(NamedTuple):
    """By asset: VaR per unit of weight, times the weight, and by which VaR exceeds that without it.

    ``incremental`` is None where the method does not value the portfolio anew.
    """

    marginal: NDArray[np.float64]
    component: NDArray[np.float64]
    incremental: NDArray[np.float64] | None

    def records(self, symbols: list[str], scale: float) -> dict[str, dict[str, float] | None]:
        """Return the fields of a ``risk`` record by symbol, each figure times ``scale``."""

        def named(figures: NDArray[np.float64]) -> dict[str, float]:
            return dict(zip(symbols, (figures * scale).tolist(), strict=True))

        incremental = self.incremental
        return {
            "components": named(self.component),
            "marginal": named(self.marginal),
            "incremental": None if incremental is None else named(incremental),
        }


class Shares:
    """EWMA states by asset of one portfolio: its covariance with it, its variance without it."""

    def __init__(self, decay: float) -> None:
        self._decay = decay
        self._cov_w: NDArray[np.float64] = np.empty(0)
        self._without: NDArray[np.float64] = np.empty(0)

    def restart(self, returns: NDArray[np.float64], weights: NDArray[np.float64]) -> None:
        """Start from these returns float64[n, assets], oldest first, under constant weights."""
        self._cov_w, self._without = np.empty(len(weights)), np.empty(len(weights))
        kernel.step_cov_w_all(self._cov_w, returns, weights, self._decay)
        kernel.step_without_all(self._without, returns, weights, self._decay)

    def step(
        self, returns: NDArray[np.float64], weights: NDArray[np.float64], is_first: bool
    ) -> None:
        """Take in the assets' returns of one more session."""
        kernel.step_cov_w(self._cov_w, returns, weights, self._decay, is_first)
        kernel.step_without(self._without, returns, weights, self._decay, is_first)

    def of(
        self,
        method: str,
        confidence: float,
        var: float,
        returns: NDArray[np.float64],
        weights: NDArray[np.float64],
    ) -> Share | None:
        """Return the shares in a method's ``var``, None where they have no definition.

        ``returns`` float64[n, assets] are those of the window, oldest first.
        """
        if method == "ewma-normal":
            factor = Level(confidence, 1).var_factor
            sigma = var / factor
            found = ewma_components(self._cov_w, weights, factor, sigma)
            return Share(*found, ewma_incremental(self._without, factor, sigma))
        if method == "historical":
            return _historical(confidence, var, returns, weights)
        return None

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state."""
        return {"cov_w": pack_array(self._cov_w), "without": pack_array(self._without)}

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        self._cov_w = unpack_array(parts["cov_w"])
        self._without = unpack_array(parts["without"])


def _historical(
    confidence: float, var: float, returns: NDArray[np.float64], weights: NDArray[np.float64]
) -> Share:
    series = np.empty(len(returns))
    weighted_sums(returns, 0, len(returns), np.arange(len(weights)), weights, series)
    order = np.argsort(series, kind="stable")
    last = tail_index(len(returns), confidence)
    found = historical_components(returns, order, weights, last)
    return Share(*found, historical_incremental(returns, series, weights, last, var))
