"""Monte Carlo figures of a portfolio: scenarios drawn from the EWMA covariance of its assets."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.market.daily.settings import DailySettings
from operators.market.kernels.volatility import ewma_covariance
from operators.market.monte_carlo import MonteCarlo, Scenarios
from state.snapshots import pack_array, unpack_array


class Simulated:
    """The covariance of a portfolio's assets, and the simulations of the settings, often none."""

    def __init__(self, settings: DailySettings) -> None:
        degrees = {"monte-carlo-normal": None, "monte-carlo-t": settings.degrees_of_freedom}
        chosen = [name for name in settings.methods if name in degrees]
        self._simulations = [MonteCarlo(settings.paths, degrees[name]) for name in chosen]
        self._decay = settings.decay
        self._covariance: NDArray[np.float64] = np.empty((0, 0))

    def restart(self, returns: NDArray[np.float64]) -> None:
        """Make the covariance of float64[n, assets] returns, oldest first."""
        size = returns.shape[1] if self._simulations else 0
        self._covariance = np.zeros((size, size))
        for number, row in enumerate(returns if self._simulations else ()):
            ewma_covariance(self._covariance, np.ascontiguousarray(row), self._decay, number == 0)

    def step(self, returns: NDArray[np.float64]) -> None:
        """Take in the assets' returns of one more session."""
        if self._simulations:
            ewma_covariance(self._covariance, returns, self._decay, False)

    def scenarios(self, weights: NDArray[np.float64], key: str) -> list[tuple[str, Scenarios]]:
        """Return (method, scenarios) of the next session.

        ``key`` names the forecast: it is what the random numbers are made of, so that they are
        the same whenever it is made. A method is left out where the covariance is none.
        """
        made = [(s.name, s.simulate(self._covariance, weights, key)) for s in self._simulations]
        return [(name, scenarios) for name, scenarios in made if scenarios is not None]

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state."""
        return {"covariance": pack_array(self._covariance)}

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        self._covariance = unpack_array(parts["covariance"])
