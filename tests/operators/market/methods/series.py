"""Returns to try methods on."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

HUNDREDTHS_OF_PERCENT = 10_000


def random_returns(count: int, seed: int = 3) -> list[float]:
    """Return fat-tailed returns, some of them equal."""
    rng = np.random.default_rng(seed)
    return [float(x) for x in np.round(0.01 * rng.standard_t(4, size=count), 4)]


def series(least: int = 1, most: int = 60) -> st.SearchStrategy[list[float]]:
    """Draw returns in basis points, or a few that keep coming back (-0.0 among them)."""
    any_size = st.integers(-2000, 2000).map(lambda i: i / HUNDREDTHS_OF_PERCENT)
    often_equal = st.sampled_from([-0.02, -0.01, -0.0, 0.0, 0.01, 0.03])
    return st.one_of(
        st.lists(any_size, min_size=least, max_size=most),
        st.lists(often_equal, min_size=least, max_size=most),
    )


def moving_series(least: int = 2, most: int = 60) -> st.SearchStrategy[list[float]]:
    """Draw returns of which the first is not 0, so that volatility never is."""
    return series(least, most).filter(lambda returns: returns[0] != 0.0)
