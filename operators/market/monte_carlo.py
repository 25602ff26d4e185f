"""Monte Carlo VaR and ES of a portfolio, Gaussian or multivariate t (a t-copula with t margins).

The portfolio's returns on all paths are ordered, and VaR and ES are those of historical
simulation on them: the ascending return at ⌊n(1 - c)⌋, zero-based, negated, and minus the mean of
the tail up to and including it. The mean of the simulated returns is zero. Random numbers are
functions of a text, the path and the asset (kernels/random.py): the same text gives the same
figures, whatever was simulated before and in how many threads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from operators.market.components import Contributions
from operators.market.kernels import monte_carlo as kernel
from operators.market.methods.method import Figure

SHRINKAGES = (0.0, *(10.0**power for power in range(-12, 0)))
"""What is tried in turn to make a correlation matrix positive definite."""
HARMLESS = 1e-6
"""Up to this shrinkage the figures count as those of the covariance that was given."""


class Factor(NamedTuple):
    """An upper triangular U with U'U the covariance, and what it took to make one."""

    upper: NDArray[np.float64]
    shrinkage: float


def factor(covariance: NDArray[np.float64]) -> Factor | None:
    """Return the Cholesky factor of a covariance matrix, repaired where it has none.

    The correlations are divided by 1 + e (jitter of e on the diagonal, then scaled back, so that
    the variances stay those given), with e = 0, 1e-12, 1e-11 … 0.1 until the matrix is positive
    definite. An asset without variance has zero returns. None where a number is not finite, a
    variance is negative or 0.1 is not enough: the matrix is then no covariance.
    """
    variances = np.diagonal(covariance)
    if not np.isfinite(covariance).all() or (variances < 0.0).any():
        return None
    deviations = np.sqrt(variances)
    scale = np.where(deviations > 0.0, deviations, np.inf)
    correlation = (covariance + covariance.T) / 2.0 / scale / scale[:, None]
    np.fill_diagonal(correlation, 1.0)
    for shrinkage in SHRINKAGES:
        upper = correlation.copy()
        if kernel.cholesky(upper, shrinkage):
            return Factor(upper * deviations, shrinkage)
    return None


@dataclass(frozen=True)
class Scenarios:
    """The portfolio's simulated returns, and what makes the assets' of any path again.

    ``weights`` float64[assets] are fractions of the value; ``degrees`` is 0 for Gaussian;
    ``key`` are the two words of the random numbers' key.
    """

    factor: Factor
    weights: NDArray[np.float64]
    degrees: int
    key: tuple[np.uint64, np.uint64]
    paths: int

    @cached_property
    def returns(self) -> NDArray[np.float64]:
        """The portfolio's return on each path, float64[paths]."""
        assets = len(self.weights)
        exposure = np.zeros(assets + assets % 2)
        kernel.exposures(self.factor.upper, self.weights, exposure[:assets])
        mixture, out = np.empty(kernel.BLOCK), np.empty(self.paths)
        kernel.portfolio_returns(
            np.arange(self.paths), exposure, self.degrees, *self.key, mixture, out
        )
        return out

    @cached_property
    def ordered(self) -> NDArray[np.float64]:
        """The portfolio's returns, ascending."""
        return np.sort(self.returns)

    def asset_returns(self, paths: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return float64[assets, len(paths)]: the returns of all assets on these paths."""
        assets = len(self.weights)
        out = np.empty((assets, len(paths)))
        independent = np.empty((assets + assets % 2, kernel.BLOCK))
        mixture = np.empty(kernel.BLOCK)
        kernel.asset_returns(
            paths, self.factor.upper, self.degrees, *self.key, independent, mixture, out
        )
        return out

    def figure(self, confidence: float) -> Figure:
        """Return VaR and ES at a confidence in (0, 1)."""
        tail = self.ordered[: self._last(confidence) + 1]
        var = 0.0 - float(tail[-1])  # and not -x, which would make -0.0 of nothing
        # Summed as what lies beyond VaR, so that ES is never below it by rounding.
        es = var + math.fsum((tail[-1] - tail).tolist()) / len(tail)
        return Figure(var, es, self.factor.shrinkage <= HARMLESS)

    def contributions(self, confidence: float) -> Contributions:
        """Return what each asset contributes to VaR; the components sum to it.

        Marginal i is E[-r_i | the portfolio's return is in the tail], Euler's allocation
        of ES (Tasche 1999), times VaR / ES. For elliptical returns, as these are, VaR and ES
        are multiples of one standard deviation, so their allocations differ by that factor.
        """
        tail = np.flatnonzero(self.returns <= self.ordered[self._last(confidence)])
        losses = np.array([math.fsum(row) for row in (-self.asset_returns(tail)).tolist()])
        total = math.fsum((self.weights * losses).tolist())
        var = self.figure(confidence).var
        marginal = losses * (var / total) if total else np.zeros(len(losses))
        return Contributions(marginal, self.weights * marginal)

    def _last(self, confidence: float) -> int:
        return int(self.paths * (1.0 - confidence) + 1e-9)


class MonteCarlo:
    """VaR by simulation from a covariance matrix."""

    def __init__(self, paths: int = 10_000, degrees_of_freedom: int | None = None) -> None:
        """Simulate ``paths`` paths, multivariate t where ``degrees_of_freedom`` are given.

        Raises ValueError for less than three degrees: the covariance would not be finite.
        """
        if degrees_of_freedom is not None and degrees_of_freedom < 3:
            raise ValueError(f"degrees_of_freedom = {degrees_of_freedom}: at least 3")
        self._paths = paths
        self._degrees = degrees_of_freedom or 0

    @property
    def name(self) -> str:
        """Return the name of the method in records."""
        return "monte-carlo-t" if self._degrees else "monte-carlo-normal"

    def simulate(
        self, covariance: NDArray[np.float64], weights: NDArray[np.float64], key_text: str
    ) -> Scenarios | None:
        """Return scenarios of the next returns, or None where `factor` gives none.

        ``covariance`` float64[assets, assets] of simple returns, for Gaussian and t alike;
        ``key_text`` names the forecast, such as ``portfolio:P|1700000000000000000``.
        """
        found = factor(covariance)
        if found is None:
            return None
        return Scenarios(found, weights, self._degrees, key_of(key_text), self._paths)

    def forecast(
        self,
        covariance: NDArray[np.float64],
        weights: NDArray[np.float64],
        confidence: float,
        key_text: str,
    ) -> Figure | None:
        """Return VaR and ES; `simulate` serves several confidences from the same paths."""
        scenarios = self.simulate(covariance, weights, key_text)
        return None if scenarios is None else scenarios.figure(confidence)


def key_of(text: str) -> tuple[np.uint64, np.uint64]:
    """Return a key of two 32-bit words: the BLAKE2b hash of a text, of 8 bytes."""
    value = int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")
    return np.uint64(value & 0xFFFFFFFF), np.uint64(value >> 32)
