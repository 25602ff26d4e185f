"""Equal risk contributions (ERC): every asset adds the same to the portfolio's risk.

Maillard, Roncalli, Teïletche (2010), "The properties of equally weighted risk contribution
portfolios". Weights are positive whatever the constraints say, as the definition has it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from operators.market.kernels import risk_parity as kernel
from operators.market.model_failed import ModelFailed

MAX_SWEEPS = 10_000
TOLERANCE = 1e-12
"""Of a contribution, in units of the whole risk."""


def equal_risk(covariance: NDArray[np.float64], start: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ERC weights float64[n] of a positive definite float64[n, n] covariance.

    ``start`` float64[n]: weights to begin from, such as the last ones, if all are positive; they
    shorten the way and do not change where it ends. Raises ModelFailed where it does not end.
    """
    n = len(covariance)
    scaled = np.ascontiguousarray(covariance / np.diag(covariance).mean())
    if not (start > 0.0).all():
        start = 1.0 / np.sqrt(np.diag(scaled))
    # At the minimum x'Sx is 1, the sum of the budgets.
    x = start / np.sqrt(start @ scaled @ start)
    sweeps = kernel.risk_parity(scaled, np.full(n, 1.0 / n), x, np.empty(n), MAX_SWEEPS, TOLERANCE)
    if sweeps < 0:
        raise ModelFailed(f"risk contributions are not equal after {MAX_SWEEPS} sweeps")
    weights: NDArray[np.float64] = x / x.sum()
    return weights
