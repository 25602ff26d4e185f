"""The covariance of returns, shrunk and mended.

Ledoit and Wolf (2004), "A well-conditioned estimator for large-dimensional covariance
matrices", J. Multivariate Analysis 88: towards the average variance on the diagonal, by the
intensity that is optimal for the data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from operators.market.model_failed import ModelFailed

RELATIVE_FLOOR = 1e-10
"""The least eigenvalue in units of the largest; below, a double holds rounding and no risk."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """``covariance`` float64[n, n], symmetric, positive definite, per period of the returns.

    ``shrinkage``: the intensity, 0 to 1. ``raised``: how many eigenvalues were lifted to
    RELATIVE_FLOOR, so that they are none of the data.
    """

    covariance: NDArray[np.float64]
    shrinkage: float
    raised: int

    @property
    def notes(self) -> list[str]:
        """Return what the answer says of it."""
        if not self.raised:
            return []
        n = len(self.covariance)
        return [f"the covariance was singular: {self.raised} of {n} eigenvalues were raised"]


def estimate(returns: NDArray[np.float64], method: str) -> Estimate:
    """Return the covariance of float64[T, n] returns (not all 0) by ``ledoit-wolf`` or ``none``.

    Raises ModelFailed for another method and for assets that never move.
    """
    scale = float(np.abs(returns).max())
    found, intensity = _shrunk(returns / scale, method)
    still = np.flatnonzero(np.diag(found) <= 0.0)
    if len(still):
        raise ModelFailed(f"asset {int(still[0])} never moves: it has no risk to go by")
    mended, raised = mend(found)
    return Estimate(mended * scale**2, intensity, raised)


def mend(covariance: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """Return the nearest matrix with no eigenvalue below the floor, and how many were raised.

    Nearest in the Frobenius norm (Higham 1988); unchanged where none was below.
    """
    values, vectors = np.linalg.eigh(covariance)
    floor = RELATIVE_FLOOR * float(values[-1])
    raised = int((values < floor).sum())
    if not raised:
        return covariance, 0
    mended = (vectors * np.maximum(values, floor)) @ vectors.T
    return (mended + mended.T) / 2.0, raised


def _shrunk(returns: NDArray[np.float64], method: str) -> tuple[NDArray[np.float64], float]:
    if method == "none":
        return np.atleast_2d(np.cov(returns, rowvar=False)), 0.0
    if method == "ledoit-wolf":
        # Imported here: loading it takes a second that the hot path's workers never pay.
        from sklearn import covariance  # type: ignore[import-untyped]  # noqa: PLC0415

        found, intensity = covariance.ledoit_wolf(returns)
        return np.asarray(found), float(intensity)
    raise ModelFailed(f"there is no shrinkage {method!r}: choose ledoit-wolf or none")
