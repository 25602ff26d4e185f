"""GARCH(1,1) with a constant mean and normal innovations, fitted by `arch` (Bollerslev 1986).

r_t = mu + e_t, e_t ~ N(0, h_t), h_t = omega + alpha e_{t-1}^2 + beta h_{t-1}; the recursion
starts from arch's default backcast, an exponentially weighted mean of the first squares.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from operators.market.model_failed import ModelFailed

MIN_RETURNS = 100
"""Fewer do not tell alpha from beta."""

OPTIONS = {"ftol": 1e-10, "maxiter": 500}
"""Of SciPy's SLSQP: iterations stop it, never time."""


@dataclass(frozen=True, slots=True)
class Garch:
    """Parameters for the returns as given: mu per period, omega per period squared."""

    mu: float
    omega: float
    alpha: float
    beta: float


def fit_garch(returns: NDArray[np.float64]) -> Garch:
    """Return the parameters that maximise the likelihood of float64[n] returns, oldest first.

    Raises ModelFailed where returns are too few, not finite or do not move, and where the
    optimiser does not converge.
    """
    if len(returns) < MIN_RETURNS:
        raise ModelFailed(f"{len(returns)} returns: at least {MIN_RETURNS} are needed")
    if not np.isfinite(returns).all():
        raise ModelFailed(f"return {int(np.argmin(np.isfinite(returns)))} is no finite number")
    scale = float(np.std(returns))
    # Rounding alone gives equal returns a deviation of some 1e-16 of their size.
    if not float(np.abs(returns).max()) * 1e-12 < scale < np.inf:
        raise ModelFailed("the returns do not move, or are too large to be squared")
    # Imported here: loading it takes seconds that the hot path's workers never pay.
    from arch.univariate import GARCH, ConstantMean, Normal  # noqa: PLC0415

    # In units of the deviation, so that the optimiser meets numbers near 1 whatever the asset.
    model = ConstantMean(
        returns / scale, volatility=GARCH(p=1, q=1), distribution=Normal(), rescale=False
    )
    found = model.fit(disp="off", show_warning=False, options=OPTIONS)
    mu, omega, alpha, beta = (float(value) for value in np.asarray(found.params))
    if found.convergence_flag != 0:
        raise ModelFailed(f"the GARCH fit did not converge: {found.optimization_result.message}")
    if not np.isfinite([mu, omega, alpha, beta]).all():
        raise ModelFailed("the GARCH fit's parameters are not finite")
    return Garch(mu * scale, omega * scale**2, alpha, beta)
