"""What target weights must keep to.

A request's ``constraints``, every part of which may be left out::

    {"long_only": true,
     "bounds": {"*": {"min": 0.0, "max": 0.4}, "AAPL": {"max": 0.1}},
     "turnover": 0.2,
     "groups": {"banks": {"symbols": ["BAC", "JPM"], "min": 0.1, "max": 0.5}}}

``*`` stands for all symbols; what is said of one symbol replaces that part of it. Weights
always sum to 1. ``turnover`` limits the sum of |new - current| (a whole exchange is 2); it does
not hold where nothing is held yet.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.market.model_failed import ModelFailed
from operators.market.optimisers.fields import number, table

TOLERANCE = 1e-6
"""By how much weights may miss a limit: what solvers leave."""


@dataclass(frozen=True, slots=True)
class AssetGroup:
    """Limits of the summed weight of some assets; ``members`` int64: their places."""

    name: str
    members: NDArray[np.int64]
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Constraints:
    """Limits of n weights that sum to 1.

    ``lower``, ``upper`` float64[n], infinite where there is none. ``turnover`` is infinite
    where there is none; ``current`` float64[n] is what it is measured from.
    """

    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    groups: tuple[AssetGroup, ...]
    turnover: float
    current: NDArray[np.float64]

    def broken(self, weights: NDArray[np.float64]) -> str:
        """Return which limit float64[n] weights break by more than TOLERANCE, '' for none."""
        if abs(math.fsum(weights) - 1.0) > TOLERANCE:
            return "the sum"
        if (weights < self.lower - TOLERANCE).any() or (weights > self.upper + TOLERANCE).any():
            return "the bounds"
        if math.fsum(abs(weights - self.current)) > self.turnover + TOLERANCE:
            return "the turnover"
        for group in self.groups:
            total = math.fsum(weights[group.members])
            if not group.lower - TOLERANCE <= total <= group.upper + TOLERANCE:
                return f"group {group.name}"
        return ""


def read_constraints(given: Any, symbols: Sequence[str], held: Mapping[str, float]) -> Constraints:
    """Return the limits for these symbols; ``held`` are the weights now, of any symbols.

    Raises ModelFailed for what is not understood, and where the bounds leave no weights.
    """
    said = table("constraints", given)
    unknown = sorted(said.keys() - {"long_only", "bounds", "turnover", "groups"})
    if unknown:
        raise ModelFailed(f"there is no constraint {unknown[0]!r}")
    long_only = said.get("long_only", True)
    if not isinstance(long_only, bool):
        raise ModelFailed("long_only is neither true nor false")
    lower, upper = _bounds(table("bounds", said.get("bounds", {})), symbols, long_only)
    groups = table("groups", said.get("groups", {}))
    return Constraints(
        lower=lower,
        upper=upper,
        groups=tuple(_group(name, groups[name], symbols) for name in sorted(groups)),
        turnover=_turnover(said.get("turnover"), symbols, held),
        current=np.array([held.get(symbol, 0.0) for symbol in symbols]),
    )


def _bounds(
    said: dict[str, Any], symbols: Sequence[str], long_only: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    _known("bounds", [name for name in said if name != "*"], symbols)
    every = table("bounds of *", said.get("*", {}))
    ranges = [
        _range(f"bounds of {symbol}", every | table(f"bounds of {symbol}", said.get(symbol, {})))
        for symbol in symbols
    ]
    lower = np.array([low for low, _ in ranges])
    upper = np.array([high for _, high in ranges])
    if long_only:
        lower = np.maximum(lower, 0.0)
    for symbol, low, high in zip(symbols, lower, upper, strict=True):
        if low > high:
            raise ModelFailed(f"{symbol} must be at least {low:g} and at most {high:g}")
    # The sums of bounds are what most infeasible settings are about, so they have a sentence.
    if math.fsum(lower) > 1.0 + TOLERANCE:
        raise ModelFailed(f"the least weights sum to {math.fsum(lower):g}, more than 1")
    if math.fsum(upper) < 1.0 - TOLERANCE:
        raise ModelFailed(f"the largest weights sum to {math.fsum(upper):g}, less than 1")
    return lower, upper


def _range(name: str, said: dict[str, Any]) -> tuple[float, float]:
    unknown = sorted(said.keys() - {"min", "max"})
    if unknown:
        raise ModelFailed(f"{name} have no part {unknown[0]!r}")
    low = number(f"min in {name}", said["min"]) if "min" in said else -math.inf
    high = number(f"max in {name}", said["max"]) if "max" in said else math.inf
    return low, high


def _group(name: str, given: Any, symbols: Sequence[str]) -> AssetGroup:
    said = table(f"group {name}", given)
    members = said.get("symbols")
    limits = {part: limit for part, limit in said.items() if part != "symbols"}
    if not isinstance(members, list) or not members:
        raise ModelFailed(f"group {name} names no symbols")
    _known(f"group {name}", members, symbols)
    low, high = _range(f"limits of group {name}", limits)
    if low > high:
        raise ModelFailed(f"group {name} must be at least {low:g} and at most {high:g}")
    places = sorted({symbols.index(member) for member in members})
    return AssetGroup(name, np.array(places, np.int64), low, high)


def _turnover(given: Any, symbols: Sequence[str], held: Mapping[str, float]) -> float:
    if given is None or not any(held.values()):
        return math.inf
    # What is held of other symbols is sold in any case, and counts.
    sold = math.fsum(abs(held[symbol]) for symbol in sorted(held.keys() - set(symbols)))
    left = number("turnover", given) - sold
    if left < 0.0:
        raise ModelFailed(f"selling what has no target turns over {sold:g}, more than allowed")
    return left


def _known(name: str, members: list[Any], symbols: Sequence[str]) -> None:
    for member in members:
        if member not in symbols:
            raise ModelFailed(f"{name}: {member!r} is none of the symbols")
