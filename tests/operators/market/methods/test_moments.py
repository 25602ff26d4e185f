"""Online moments with removals against fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.market.kernels import moments as kernel
from operators.market.methods.window import Window
from tests.operators.market.methods.series import series

Moments = tuple[float, float, float, float]


def definition(held: list[float]) -> Moments:
    """Return the population's mean, deviation, skewness and excess kurtosis, rounded at the end."""
    n = len(held)
    exact = [Fraction(x) for x in held]
    mean = sum(exact) / n
    second, third, fourth = (sum((x - mean) ** p for x in exact) / n for p in (2, 3, 4))
    if second == 0:
        return float(mean), 0.0, 0.0, 0.0
    deviation = math.sqrt(second)
    return float(mean), deviation, float(third) / deviation**3, float(fourth / second**2) - 3


def check(found: Moments, held: list[float]) -> None:
    """Every moment within 1e-9, skewness and kurtosis against their own size or 1."""
    mean, sigma, skewness, excess = definition(held)
    assert abs(found[0] - mean) <= 1e-9 * max(abs(mean), sigma)
    assert found[1] == pytest.approx(sigma, rel=1e-9, abs=0.0)
    assert abs(found[2] - skewness) <= 1e-9 * max(1.0, abs(skewness))
    assert abs(found[3] - excess) <= 1e-9 * max(1.0, abs(excess))


def walk(returns: list[float], size: int, every: int) -> int:
    """Check each ``every``-th place of a window over the returns, and the last; return how many."""
    places = 0
    window, sums = Window(size), np.zeros(9)
    for seen, ret in enumerate(returns, 1):
        kernel.push(window.ring, window.cursor, sums, ret)
        if seen % every == 0 or seen == len(returns):
            check(kernel.moments(window.count, sums), returns[:seen][-size:])
            places += 1
    return places


@settings(max_examples=100)
@given(returns=series(), size=st.integers(1, 25))
def test_every_step_equals_the_definition(returns: list[float], size: int) -> None:
    assert walk(returns, size, every=1) == len(returns)


def test_100_000_steps_do_not_drift() -> None:
    rng = np.random.default_rng(2)
    assert walk((0.01 * rng.standard_t(3, size=100_000)).tolist(), 500, every=997) == 101


def test_an_outlier_leaves_nothing_behind() -> None:
    rng = np.random.default_rng(4)
    returns = 0.01 * rng.standard_normal(3000)
    returns[[300, 1500]] = 1e4, -1e3  # a price with its decimal point in the wrong place
    assert walk(returns.tolist(), 200, every=19) == 158


def test_a_mean_that_moves_by_many_deviations_is_followed() -> None:
    rng = np.random.default_rng(6)
    levels = np.repeat([0.0, 0.5, -2.0, 1e-6, 3.0], 300)
    assert walk((levels + 1e-7 * rng.standard_normal(1500)).tolist(), 100, every=7) == 215


def test_equal_returns_have_no_dispersion_and_no_shape() -> None:
    window, sums = Window(10), np.zeros(9)
    for ret in [0.01, -0.02, 0.03, *([0.1] * 13)]:
        kernel.push(window.ring, window.cursor, sums, ret)
    mean, *others = kernel.moments(window.count, sums)
    assert mean == pytest.approx(0.1, rel=1e-15)
    assert others == [0.0, 0.0, 0.0]
