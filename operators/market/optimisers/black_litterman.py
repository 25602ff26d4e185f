"""Expected returns from equilibrium and views (Black, Litterman 1992; He, Litterman 1999).

With covariance S and the equilibrium's weights w the prior is pi = delta S w, with covariance
tau S. A view k says that the portfolio p_k earns q_k. Its variance is

    omega_k = (1 - c_k) / c_k * p_k' tau S p_k

with its confidence c_k in (0, 1]: He and Litterman's own choice at c = 1/2, certainty at 1, no
view towards 0; a single view moves its portfolio's return from the prior to q by the fraction c
(Walters 2014, "The Black-Litterman model in detail", on Idzorek's confidences). The posterior:

    mu = pi + tau S P' (P tau S P' + Omega)^-1 (q - P pi)
    S' = S + tau S - tau S P' (P tau S P' + Omega)^-1 P tau S
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.market.model_failed import ModelFailed
from operators.market.optimisers.fields import number, weights_of

DELTA = 2.5
"""Risk aversion of the market, and TAU the uncertainty of its equilibrium: He and Litterman's."""
TAU = 0.05

WORST_CONDITION = 1e12
"""Of P tau S P' + Omega, whose views repeat or contradict each other without a doubt above."""

Views = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
"""(P float64[k, n], q float64[k], confidence float64[k])."""


def read_views(given: Sequence[Mapping[str, Any]], symbols: Sequence[str]) -> Views:
    """Return the views on these symbols by column, in the order of their names.

    A view is {"view": name, "assets": {symbol: weight}, "return": q, "confidence": c}. Raises
    ModelFailed where one is incomplete, out of range or of an asset that is not among them.
    """
    rows, returns, confidences = [], [], []
    for view in sorted(given, key=lambda view: str(view.get("view", ""))):
        name = f"view {view.get('view', '')}".strip()
        assets = weights_of(f"assets of {name}", view.get("assets"))
        strangers = sorted(assets.keys() - set(symbols))
        if strangers:
            raise ModelFailed(f"{name} is of {strangers[0]}, which is none of the symbols")
        if not any(assets.values()):
            raise ModelFailed(f"{name} is of no asset")
        confidence = number(f"confidence of {name}", view.get("confidence"))
        if not 0.0 < confidence <= 1.0:
            raise ModelFailed(f"the confidence of {name} is {confidence:g}: above 0, at most 1")
        rows.append([assets.get(symbol, 0.0) for symbol in symbols])
        returns.append(number(f"return of {name}", view.get("return")))
        confidences.append(confidence)
    picks = np.array(rows, np.float64).reshape(len(rows), len(symbols))
    return picks, np.array(returns), np.array(confidences)


def equilibrium_returns(
    covariance: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the returns float64[n] that make investors hold ``weights``: delta S w."""
    implied: NDArray[np.float64] = DELTA * (covariance @ weights)
    return implied


def posterior(
    covariance: NDArray[np.float64], weights: NDArray[np.float64], views: Views
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the posterior's expected returns float64[n] and covariance float64[n, n].

    ``weights`` float64[n] are the equilibrium's. Raises ModelFailed where views without
    a doubt repeat or contradict each other.
    """
    picks, returns, confidences = views
    prior = equilibrium_returns(covariance, weights)
    uncertain = TAU * covariance
    if not len(returns):
        return prior, covariance + uncertain
    spread = picks @ uncertain @ picks.T
    doubt = np.diag(spread) * (1.0 - confidences) / confidences
    total = spread + np.diag(doubt)
    if np.linalg.cond(total) > WORST_CONDITION:
        raise ModelFailed("views of full confidence repeat or contradict each other")
    gain = np.linalg.solve(total, picks @ uncertain).T
    mean = prior + gain @ (returns - picks @ prior)
    known = covariance + uncertain - gain @ (picks @ uncertain)
    return mean, (known + known.T) / 2.0
