"""Target weights by the name of their objective.

Minimum variance, maximum Sharpe, minimum CVaR and Black-Litterman honour every constraint within
the optimisation. Risk parity and HRP are defined without any: where their weights break
one, the nearest weights that break none take their place, and a note says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from operators.market.model_failed import ModelFailed
from operators.market.optimisers import black_litterman, convex, hrp, risk_parity
from operators.market.optimisers.problem import Problem
from operators.market.optimisers.shrinkage import Estimate, estimate


@dataclass(frozen=True, slots=True)
class Target:
    """``weights`` float64[n] sum to 1; ``solver`` names what found them.

    ``shrinkage`` is the covariance's intensity, None where no covariance was used.
    """

    weights: NDArray[np.float64]
    solver: str
    shrinkage: float | None
    notes: list[str]


def target(problem: Problem) -> Target:
    """Return the target weights of a problem; raises ModelFailed with the reason."""
    find = OBJECTIVES.get(problem.objective)
    if find is None:
        names = ", ".join(OBJECTIVES)
        raise ModelFailed(f"there is no objective {problem.objective!r}: choose one of {names}")
    return find(problem)


def _min_variance(problem: Problem) -> Target:
    known = _regular(problem)
    weights, solver = convex.min_variance(known.covariance, problem.constraints)
    return Target(weights, solver, known.shrinkage, known.notes)


def _max_sharpe(problem: Problem) -> Target:
    known = _regular(problem)
    expected = problem.returns.mean(axis=0)
    weights, solver = convex.max_sharpe(expected, known.covariance, problem.constraints)
    return Target(weights, solver, known.shrinkage, known.notes)


def _min_cvar(problem: Problem) -> Target:
    if problem.tail * len(problem.returns) < 1.0 - 1e-9:
        raise ModelFailed(f"{len(problem.returns)} returns have no tail of {problem.tail:.2g}")
    weights, solver = convex.min_cvar(problem.returns, problem.tail, problem.constraints)
    return Target(weights, solver, None, [])


def _black_litterman(problem: Problem) -> Target:
    known = _regular(problem)
    views = black_litterman.read_views(problem.views, problem.symbols)
    mean, covariance = black_litterman.posterior(known.covariance, problem.equilibrium, views)
    # The best Sharpe ratio of the posterior: without views and limits it is the equilibrium.
    weights, solver = convex.max_sharpe(mean, covariance, problem.constraints)
    return Target(weights, solver, known.shrinkage, known.notes)


def _risk_parity(problem: Problem) -> Target:
    known = estimate(problem.returns, problem.shrinkage)
    weights = risk_parity.equal_risk(known.covariance, problem.current)
    return _within(problem, weights, "ccd", known)


def _hrp(problem: Problem) -> Target:
    known = estimate(problem.returns, problem.shrinkage)
    return _within(problem, hrp.hierarchical(known.covariance), "bisection", known)


def _regular(problem: Problem) -> Estimate:
    """Return the covariance; refuse one on whose made-up eigenvalues the weights would rest."""
    known = estimate(problem.returns, problem.shrinkage)
    if known.raised:
        raise ModelFailed(
            f"{known.raised} of {len(problem.symbols)} eigenvalues of the covariance are 0: assets "
            "move as one, or returns are too few; shrink it, or leave assets out"
        )
    return known


def _within(problem: Problem, weights: NDArray[np.float64], solver: str, known: Estimate) -> Target:
    broken = problem.constraints.broken(weights)
    if not broken:
        return Target(weights, solver, known.shrinkage, known.notes)
    projected, by = convex.nearest(weights, problem.constraints)
    note = f"moved to the nearest weights within the constraints by {by}: {broken} did not hold"
    return Target(projected, solver, known.shrinkage, [*known.notes, note])


OBJECTIVES: dict[str, Callable[[Problem], Target]] = {
    "min-variance": _min_variance,
    "max-sharpe": _max_sharpe,
    "min-cvar": _min_cvar,
    "risk-parity": _risk_parity,
    "hrp": _hrp,
    "black-litterman": _black_litterman,
}
"""What a request may ask for."""
