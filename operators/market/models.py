"""Models that are fitted beside the flow: a request in, an answer out, both records.

The answer is a function of the request alone, so whoever computes it, and however often,
writes the same. What cannot be computed is an answer too, with the status ``failed`` and the
reason; only what is no request at all raises.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.market.garch_fit import fit_garch
from operators.market.model_failed import ModelFailed
from operators.market.optimisers.choose import target
from operators.market.optimisers.problem import read_problem
from state.errors import WrongType
from state.outputs import to_json

GARCH = "garch"
WEIGHTS = "weights"

LEAST_ALPHA, MOST_PERSISTENCE = 1e-3, 0.9999
"""What a GARCH(1,1) has to have of reaction, and may have of alpha + beta at the most.

On 500 returns one fit in seven ends on the boundary, and its variance then stays where it is:
a constant far below what followed. The last fit that moved is better.
"""

FIELDS: dict[str, type] = {
    "id": str,
    "ts_ns": int,
    "counts_from_ns": int,
    "model": str,
    "scope": str,
    "input": dict,
}
"""What a request consists of."""


def garch_request(
    scope: str, ts_ns: int, counts_from_ns: int, returns: NDArray[np.float64]
) -> dict[str, Any]:
    """Return a request for GARCH(1,1) on float64[n] returns, oldest first.

    ``ts_ns`` is the time of the last return, ``counts_from_ns`` from when the answer counts.
    """
    return _request(GARCH, scope, ts_ns, counts_from_ns, {"returns": returns.tolist()})


def weights_request(
    scope: str,
    ts_ns: int,
    counts_from_ns: int,
    objective: str,
    returns: Mapping[str, NDArray[np.float64]],
    current: Mapping[str, float],
    views: Sequence[Mapping[str, Any]] = (),
    constraints: Mapping[str, Any] | None = None,
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a request for target weights.

    ``returns``: for each symbol float64[T] of the same periods, oldest first. ``current``: the
    weights now. ``views`` as black_litterman.read_views and ``constraints`` as constraints.py
    say. ``more``: ``shrinkage``, ``confidence`` (of CVaR) and ``equilibrium`` (weights), where
    they are not to be ledoit-wolf, 0.95 and equal weights.
    """
    symbols = sorted(returns)
    given = {
        "objective": objective,
        "symbols": symbols,
        "returns": np.column_stack([returns[symbol] for symbol in symbols]).tolist(),
        "current": dict(current),
        "views": [dict(view) for view in views],
        "constraints": dict(constraints or {}),
        **(more or {}),
    }
    return _request(WEIGHTS, scope, ts_ns, counts_from_ns, given)


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer to a request, as plain values for JSON.

    The output of ``garch`` is {mu, omega, alpha, beta}, that of ``weights`` {weights, solver,
    shrinkage, notes}; a failed answer's is empty. Raises WrongType where it is no request.
    """
    check(request)
    output: dict[str, Any] = {}
    reason = ""
    try:
        output = _compute(request["model"], request["input"])
    except ModelFailed as failure:
        reason = str(failure)
    return {
        "id": request["id"],
        "ts_ns": request["counts_from_ns"],
        "model": request["model"],
        "scope": request["scope"],
        "status": "failed" if reason else "ok",
        "reason": reason,
        "output": output,
    }


def check(request: Any) -> None:
    """Raise WrongType where this is no request; what its input holds is not looked at."""
    if not isinstance(request, dict):
        raise WrongType("the request is no JSON object")
    for name, kind in FIELDS.items():
        if type(request.get(name)) is not kind:
            raise WrongType(f"{name} is missing or no {kind.__name__}")


def _compute(model: str, given: dict[str, Any]) -> dict[str, Any]:
    compute = MODELS.get(model)
    if compute is None:
        raise ModelFailed(f"there is no model {model!r}: choose {' or '.join(MODELS)}")
    # Imported here, as all that the fits use: the hot path only builds requests.
    import threadpoolctl  # type: ignore[import-untyped]  # noqa: PLC0415

    # One thread: sums that BLAS shares out depend on how many there are.
    with threadpoolctl.threadpool_limits(1):
        try:
            return compute(given)
        except np.linalg.LinAlgError as error:
            raise ModelFailed(f"the matrix cannot be factored: {error}") from None


def _garch(given: dict[str, Any]) -> dict[str, Any]:
    try:
        returns = np.array(given.get("returns"), np.float64)
    except (TypeError, ValueError):
        raise ModelFailed("returns is no list of numbers") from None
    if returns.ndim != 1:
        raise ModelFailed("returns is no list of numbers")
    fit = fit_garch(returns)
    if fit.alpha < LEAST_ALPHA or fit.alpha + fit.beta > MOST_PERSISTENCE:
        raise ModelFailed("the fit lies on the boundary: it does not follow the returns")
    return {"mu": fit.mu, "omega": fit.omega, "alpha": fit.alpha, "beta": fit.beta}


def _weights(given: dict[str, Any]) -> dict[str, Any]:
    problem = read_problem(given)
    found = target(problem)
    return {
        "weights": dict(zip(problem.symbols, found.weights.tolist(), strict=True)),
        "solver": found.solver,
        "shrinkage": found.shrinkage,
        "notes": found.notes,
    }


def _request(
    model: str, scope: str, ts_ns: int, counts_from_ns: int, given: dict[str, Any]
) -> dict[str, Any]:
    # Another generation, under other settings, may ask something else at the same time.
    digest = hashlib.sha256(to_json(given)).hexdigest()[:12]
    return {
        "id": f"{model}|{scope}|{ts_ns}|{digest}",
        "ts_ns": ts_ns,
        "counts_from_ns": counts_from_ns,
        "model": model,
        "scope": scope,
        "input": given,
    }


MODELS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {GARCH: _garch, WEIGHTS: _weights}
"""What can be asked for."""
