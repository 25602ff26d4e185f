"""Contests of Monte Carlo: our scenarios against numpy's own generator and matrix product.

Both sides write into arrays that exist already. What is compared makes the same thing: the matrix
of the returns of all assets on all paths. A portfolio alone needs one product per path instead, and
a forecast only that and its tail; both are shown beside it, each against numpy doing no more.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.market.risk_contest import Call, Contest
from operators.market.kernels import monte_carlo as kernel
from operators.market.monte_carlo import MonteCarlo

Array = NDArray[np.float64]

PATHS, ASSETS, DEGREES = 10_000, 20, 5
CONFIDENCE = 0.99


class Job:
    """A covariance, weights, and what numpy needs of them made beforehand."""

    def __init__(self, bits: np.random.BitGenerator) -> None:
        made = np.random.default_rng(3).normal(0, 0.01, (3 * ASSETS, ASSETS))
        self.covariance: Array = made.T @ made / len(made)
        self.weights: Array = np.full(ASSETS, 1.0 / ASSETS)
        self.lower: Array = np.linalg.cholesky(self.covariance).astype(np.float64)
        self.exposure: Array = self.lower.T @ self.weights
        self.generator = np.random.Generator(bits)
        self.normals: Array = np.empty((PATHS, ASSETS))
        self.out: Array = np.empty((PATHS, ASSETS))

    def asset_returns(self, i: int) -> Array:
        """Return float64[paths, assets], Gaussian."""
        self.generator.standard_normal(out=self.normals)
        np.matmul(self.normals, self.lower.T, out=self.out)
        return self.out

    def asset_returns_t(self, i: int) -> Array:
        """Return float64[paths, assets], multivariate t with the same covariance."""
        mixture = np.sqrt((DEGREES - 2.0) / self.generator.chisquare(DEGREES, PATHS))
        returns = self.asset_returns(i)
        returns *= mixture[:, None]
        return returns

    def portfolio_returns(self, i: int) -> Array:
        """Return float64[paths], Gaussian."""
        self.generator.standard_normal(out=self.normals)
        returns: Array = self.normals @ self.exposure
        return returns

    def forecast(self, i: int) -> tuple[float, float]:
        """Return VaR and ES from the covariance on."""
        exposure = np.linalg.cholesky(self.covariance).T @ self.weights
        self.generator.standard_normal(out=self.normals)
        last = int(PATHS * (1.0 - CONFIDENCE) + 1e-9)
        tail = np.partition(self.normals @ exposure, last)[: last + 1]
        return -float(tail[last]), -float(tail.mean())


def contests() -> list[Contest]:
    """Return the contests of part (e), the first of which is the goal's."""
    job = Job(np.random.PCG64(1))
    philox = Job(np.random.Philox(1))
    method = MonteCarlo(PATHS)

    def forecast(i: int) -> Any:
        return method.forecast(job.covariance, job.weights, CONFIDENCE, f"portfolio:P|{i}")

    matrix = "matrix of asset returns"
    return [
        Contest(f"{matrix}, numpy's PCG64", PATHS, _assets(job, 0), job.asset_returns),
        Contest(f"{matrix}, numpy's Philox", PATHS, _assets(job, 0), philox.asset_returns),
        Contest(
            f"{matrix}, t with {DEGREES} degrees", PATHS, _assets(job, DEGREES), job.asset_returns_t
        ),
        Contest("portfolio's returns alone", PATHS, _portfolio(job), job.portfolio_returns),
        Contest("VaR and ES from the covariance on", PATHS, forecast, job.forecast),
    ]


def _assets(job: Job, degrees: int) -> Call:
    upper = np.ascontiguousarray(job.lower.T)
    paths, out = np.arange(PATHS), np.empty((ASSETS, PATHS))
    independent, mixture = np.empty((ASSETS, kernel.BLOCK)), np.empty(kernel.BLOCK)

    def ours(i: int) -> Array:
        kernel.asset_returns(paths, upper, degrees, *_key(i), independent, mixture, out)
        return out

    return ours


def _portfolio(job: Job) -> Call:
    paths, mixture, out = np.arange(PATHS), np.empty(kernel.BLOCK), np.empty(PATHS)

    def ours(i: int) -> Array:
        kernel.portfolio_returns(paths, job.exposure, 0, *_key(i), mixture, out)
        return out

    return ours


def _key(i: int) -> tuple[np.uint64, np.uint64]:
    return np.uint64(i), np.uint64(1)
