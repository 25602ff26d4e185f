"""Returns for the tests of the optimisers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from operators.market.optimisers.constraints import Constraints, read_constraints

SYMBOLS = tuple(f"S{place}" for place in range(8))


def returns(seed: int = 7, count: int = 600) -> NDArray[np.float64]:
    """Return float64[count, 8]: three groups of assets that move together, small daily gains."""
    rng = np.random.default_rng(seed)
    loadings = np.zeros((3, 8))
    loadings[0, :3], loadings[1, 3:5], loadings[2, 5:] = 0.8, 1.0, 0.6
    loadings *= np.linspace(0.5, 2.0, 8)
    own = rng.normal(size=(count, 8)) * np.linspace(0.4, 1.1, 8)
    found: NDArray[np.float64] = 0.01 * (rng.normal(size=(count, 3)) @ loadings + own) + 4e-4
    return found


def limits(**given: object) -> Constraints:
    """Return constraints on SYMBOLS without current weights."""
    return read_constraints(given, SYMBOLS, {})
