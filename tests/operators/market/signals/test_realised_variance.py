"""Realised variance, bipower variation and the jump test on simulated prices."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from operators.market.kernels import realised as kernel
from operators.market.signals.realised_variance import RealisedVariance
from state.clock import NS

SIGMA = 1e-4


def figures(returns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (N, RV, BV, z) of windows float64[k, N] of log returns, each after a price of 100."""
    k = len(returns)
    cells = 100.0 * np.exp(np.cumsum(returns, axis=1))
    out = np.empty((k, 4))
    kernel.close(
        np.arange(k, dtype=np.int32), np.full(k, 7), np.arange(k), 1, cells, np.full(k, 100.0),
        np.full(k, 7), out,
    )  # fmt: skip
    return out


def test_the_kernels_are_compiled() -> None:
    assert kernel.sample.signatures
    assert kernel.close.signatures


def test_the_constant_is_that_of_the_paper() -> None:
    assert round(kernel.JUMP_VARIANCE, 4) == 0.6090  # Barndorff-Nielsen and Shephard 2006


def test_both_estimate_the_variance_where_nothing_jumps(rng: np.random.Generator) -> None:
    out = figures(rng.normal(0, SIGMA, (4000, 60)))
    assert out[:, 0].tolist() == [60.0] * 4000
    expected = 60 * SIGMA**2
    for column, variance in ((1, 2.0 / 60), (2, (2.0 + kernel.JUMP_VARIANCE) / 60)):
        error = 3 * expected * math.sqrt(variance / 4000)
        assert out[:, column].mean() == pytest.approx(expected, abs=error)


def test_without_jumps_the_statistic_is_nearly_standard_normal(rng: np.random.Generator) -> None:
    z = figures(rng.normal(0, SIGMA, (2000, 2000)))[:, 3]
    assert z.mean() == pytest.approx(0, abs=0.1)
    assert z.std() == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize(("n", "share"), [(12, 0.11), (60, 0.05), (600, 0.02)])
def test_with_few_returns_it_finds_too_many_jumps(
    n: int, share: float, rng: np.random.Generator
) -> None:
    """As the docstring of `RealisedVariance` says; the nominal share is 0.01."""
    z = figures(rng.normal(0, SIGMA, (4000, n)))[:, 3]
    assert (z > 2.33).mean() == pytest.approx(share, abs=0.01)


def test_a_jump_shows_in_the_variance_and_not_in_bipower(rng: np.random.Generator) -> None:
    returns = rng.normal(0, SIGMA, (500, 2000))
    before = figures(returns)
    returns[:, 1000] += 40 * SIGMA
    after = figures(returns)
    assert np.median(after[:, 1] / before[:, 1]) == pytest.approx(1 + 1600 / 2000, rel=0.02)
    assert np.median(after[:, 2] / before[:, 2]) < 1.06
    assert after[:, 3].min() > 2.33


def test_scaling_returns_scales_the_variances_and_leaves_the_statistic() -> None:
    returns = np.random.Generator(np.random.Philox(key=3)).normal(0, SIGMA, (5, 30))
    one, three = figures(returns), figures(3 * returns)
    assert three[:, 1:3] == pytest.approx(9 * one[:, 1:3], rel=1e-9)
    assert three[:, 3] == pytest.approx(one[:, 3], rel=1e-8)


@pytest.mark.parametrize("returns", [[0.0] * 9, [0.01, -0.01, 0.02], [0.01, 0.0] * 5])
def test_the_statistic_is_undefined_without_four_returns_in_a_row(returns: list[float]) -> None:
    assert math.isnan(figures(np.array([returns]))[0, 3])


def test_no_return_is_taken_across_a_window_without_a_price() -> None:
    cells = np.array([[10.0, 11.0], [12.0, 0.0], [13.0, 13.0], [0.0, 14.0]])
    last, last_end, out = np.zeros(1), np.zeros(1, np.int64), np.empty((4, 4))
    start = np.array([10, 20, 40, 50])
    kernel.close(np.zeros(4, np.int32), start, np.arange(4), 10, cells, last, last_end, out)
    assert out[:, 0].tolist() == [1.0, 2.0, 1.0, 2.0]  # nothing closed at 40, so 12 -> 13 is none
    squares = [math.log(b / a) ** 2 for a, b in ((10, 11), (11, 12), (13, 14))]
    assert out[:, 1] == pytest.approx([squares[0], squares[1], 0.0, squares[2]], rel=1e-12)
    assert (last[0], last_end[0]) == (14.0, 60)


@pytest.mark.parametrize("grid_ns", [NS // 2, 7 * NS // 20])
def test_a_grid_that_does_not_fill_the_interval_is_refused(grid_ns: int) -> None:
    with pytest.raises(ValueError, match="whole steps"):
        RealisedVariance(NS, grid_ns)
