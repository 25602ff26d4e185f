"""Solvers one after another, until one finds weights.

They stop by iterations, never by time, so that the same problem has the same answer on
a busy machine. OSQP is not among them: it adapts its step by the time that it takes.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.market.model_failed import ModelFailed
from operators.market.optimisers.constraints import Constraints

SOLVERS: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "CLARABEL",
        {"max_iter": 200, "tol_gap_abs": 1e-10, "tol_gap_rel": 1e-10, "tol_feas": 1e-10},
    ),
    ("SCS", {"max_iters": 50_000, "eps_abs": 1e-9, "eps_rel": 1e-9}),
)
"""In order; the interior point method is exact to the digits, SCS gets through what it cannot."""

IMPOSSIBLE = {"infeasible", "unbounded"}
"""What a solver proves: another would say the same."""


def cvxpy() -> Any:
    """Return the library, loaded at the first call: it takes a second, and the hot path needs none.

    As Any, for it makes up its functions when it is loaded.
    """
    import cvxpy as library  # noqa: PLC0415

    return library


def solve(problem: Any, impossible: str) -> str:
    """Solve in place by the first solver that can; return its name in small letters.

    Raises ModelFailed: with ``impossible`` where there is no solution, else with what each
    solver said.
    """
    said = []
    for name, options in SOLVERS:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # inaccurate answers are judged by their status
                problem.solve(solver=name, **options)
        except cvxpy().error.SolverError as error:
            said.append(f"{name.lower()}: {' '.join(str(error).split())[:80]}")
            continue
        if problem.status == "optimal":
            return name.lower()
        if problem.status in IMPOSSIBLE:
            raise ModelFailed(impossible)
        said.append(f"{name.lower()}: {problem.status}")
    raise ModelFailed("no solver found weights: " + ", ".join(said))


def limits(w: Any, limit: Constraints, total: Any = 1.0) -> list[Any]:
    """Return the limits of weights ``w`` in units of their sum ``total``."""
    cp = cvxpy()
    below, above = np.isfinite(limit.lower), np.isfinite(limit.upper)
    found = [cp.sum(w) == total]
    if below.any():
        found.append(w[below] >= limit.lower[below] * total)
    if above.any():
        found.append(w[above] <= limit.upper[above] * total)
    for group in limit.groups:
        if np.isfinite(group.lower):
            found.append(cp.sum(w[group.members]) >= group.lower * total)
        if np.isfinite(group.upper):
            found.append(cp.sum(w[group.members]) <= group.upper * total)
    if np.isfinite(limit.turnover):
        found.append(cp.norm1(w - limit.current * total) <= limit.turnover * total)
    return found


def accepted(found: Any, limit: Constraints) -> NDArray[np.float64]:
    """Return a solver's weights float64[n] without its dust; they sum to 1.

    Raises ModelFailed where they are no numbers or break a limit.
    """
    weights = np.array(found, np.float64)
    if not np.isfinite(weights).all():
        raise ModelFailed("the solver's weights are not finite")
    weights[np.abs(weights) < 1e-9] = 0.0
    weights = np.clip(weights, limit.lower, limit.upper)
    weights /= weights.sum()
    broken = limit.broken(weights)
    if broken:
        raise ModelFailed(f"the solver's weights break {broken}")
    return weights
