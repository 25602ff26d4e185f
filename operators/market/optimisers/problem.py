"""What target weights are asked for: the input of a ``weights`` request, checked.

Numbers come as JSON, in which a NaN is null: whatever is not a finite number is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.market.model_failed import ModelFailed
from operators.market.optimisers.constraints import Constraints, read_constraints
from operators.market.optimisers.fields import number, text, weights_of

MIN_RETURNS = 20
"""Fewer rows say nothing of a covariance, and hold no tail at 95 %."""


@dataclass(frozen=True, slots=True)
class Problem:
    """The assets, their past and the limits.

    ``symbols``: n names, ascending. ``returns`` float64[T, n]: simple returns, oldest first.
    ``current``, ``equilibrium`` float64[n]: weights held now (zeros where nothing is held), and
    those of the market in balance (equal where the request does not say).
    ``tail``: what one minus the confidence of CVaR is.
    """

    objective: str
    symbols: tuple[str, ...]
    returns: NDArray[np.float64]
    current: NDArray[np.float64]
    equilibrium: NDArray[np.float64]
    views: tuple[Mapping[str, Any], ...]
    shrinkage: str
    tail: float
    constraints: Constraints


def read_problem(given: Mapping[str, Any]) -> Problem:
    """Return the problem that the input of a request describes; raises ModelFailed."""
    symbols = _symbols(given.get("symbols"))
    held = weights_of("current", given.get("current", {}))
    market = weights_of("equilibrium", given.get("equilibrium", {}))
    current = np.array([held.get(symbol, 0.0) for symbol in symbols])
    equilibrium = np.array([market.get(symbol, 0.0) for symbol in symbols])
    total = math.fsum(equilibrium)
    if market and not total > 0.0:
        raise ModelFailed("the equilibrium weights of the symbols do not sum to more than 0")
    return Problem(
        objective=text("objective", given.get("objective")),
        symbols=symbols,
        returns=_returns(given.get("returns"), len(symbols)),
        current=current,
        equilibrium=equilibrium / total if market else np.full(len(symbols), 1.0 / len(symbols)),
        views=_views(given.get("views", [])),
        shrinkage=text("shrinkage", given.get("shrinkage", "ledoit-wolf")),
        tail=1.0 - _confidence(given.get("confidence", 0.95)),
        constraints=read_constraints(given.get("constraints", {}), symbols, held),
    )


def _symbols(given: Any) -> tuple[str, ...]:
    if not isinstance(given, list) or not given:
        raise ModelFailed("symbols is no list of names")
    names = [text("a symbol", name) for name in given]
    if names != sorted(set(names)):
        raise ModelFailed("symbols are not ascending and different")
    return tuple(names)


def _returns(given: Any, assets: int) -> NDArray[np.float64]:
    try:
        returns = np.array(given, np.float64)
    except (TypeError, ValueError):
        raise ModelFailed("returns is no table of numbers") from None
    if returns.ndim != 2 or returns.shape[1] != assets:
        raise ModelFailed(f"returns has the shape {returns.shape}: {assets} columns are needed")
    if len(returns) < MIN_RETURNS:
        raise ModelFailed(f"{len(returns)} returns: at least {MIN_RETURNS} are needed")
    if not np.isfinite(returns).all():
        row, column = np.argwhere(~np.isfinite(returns))[0].tolist()
        raise ModelFailed(f"return {row} of asset {column} is no finite number")
    if not 1e-150 < float(np.abs(returns).max()) < 1e150:
        raise ModelFailed("the returns are all 0, or a double cannot hold their squares")
    return returns


def _views(given: Any) -> tuple[Mapping[str, Any], ...]:
    if not isinstance(given, list) or not all(isinstance(view, dict) for view in given):
        raise ModelFailed("views is no list of objects")
    return tuple(given)


def _confidence(given: Any) -> float:
    confidence = number("confidence", given)
    if not 0.0 < confidence < 1.0:
        raise ModelFailed(f"confidence is {confidence:g}: it must lie between 0 and 1")
    return confidence
