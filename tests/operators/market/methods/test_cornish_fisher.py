"""Cornish-Fisher: the published value, its tail mean and where it is a quantile function."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from operators.market.kernels import cornish_fisher as kernel
from operators.market.methods.cornish_fisher import CornishFisher
from operators.market.methods.normal import normal_tail
from tests.operators.market.methods.contract import fed, figure_of
from tests.operators.market.methods.series import series
from tests.reference import risk as reference

NORMAL = NormalDist()
SHAPES = {"skewness": st.floats(-3, 3), "excess": st.floats(-2, 12)}


def test_the_value_of_dowds_package() -> None:
    """CornishFisherVaR(3.2, 5.6, 2, 3, .9) = 4.145348.

    R package Dowd 0.12, help page of CornishFisherVaR (after Dowd, Measuring Market Risk, 2nd
    ed. 2005): mean, standard deviation, skewness, *raw* kurtosis, so the excess is 0.
    """
    z, ratio = normal_tail(0.9)
    var, _ = kernel.risk(3.2, 5.6, 2.0, 3.0 - 3.0, -z, ratio)
    assert round(var, 6) == 4.145348


@settings(max_examples=100)
@given(**SHAPES, confidence=st.floats(0.6, 0.999))
def test_the_tail_mean_is_the_integral_of_the_quantile(
    skewness: float, excess: float, confidence: float
) -> None:
    z, ratio = normal_tail(confidence)
    integral, _ = quad(
        lambda u: kernel.quantile(u, skewness, excess) * NORMAL.pdf(u), -40, -z, points=(-8, -4)
    )
    expected = integral / (1 - confidence)
    size = abs(expected) + abs(skewness) + abs(excess) + 1  # terms that cancel
    assert abs(kernel.tail_mean(-z, ratio, skewness, excess) - expected) <= 1e-9 * size


@settings(max_examples=150)
@given(**SHAPES)
def test_monotone_means_that_the_quantile_never_falls(skewness: float, excess: float) -> None:
    # The slope is a parabola: least at its vertex, or far out.
    bend = excess / 8 - skewness**2 / 6
    assume(abs(bend) > 1e-9)  # or it may turn down farther out than we look
    vertex = -skewness / 6 / bend
    far = np.logspace(0, 7, 300)
    z = np.concatenate([-far, np.linspace(-10, 10, 201), far, [vertex]])
    step = 1e-4 * np.maximum(1, np.abs(z))
    slope = (values(z + step, skewness, excess) - values(z - step, skewness, excess)) / (2 * step)
    least = float(slope.min())
    assume(abs(least) > 1e-5)  # nearer to the border than differences can tell
    assert kernel.is_monotone(skewness, excess) == (least > 0)


def values(z: np.ndarray, skewness: float, excess: float) -> np.ndarray:
    return np.array([kernel.quantile(x, skewness, excess) for x in z.tolist()])


def test_the_borders_of_the_domain() -> None:
    """Maillard 2012 (SSRN 1997178): k from 0 to 8 without skewness, |s| up to 6(√2 - 1)."""
    assert kernel.is_monotone(0.0, 0.0)
    assert kernel.is_monotone(0.0, 8.0)
    assert not kernel.is_monotone(0.0, -1e-9)
    assert not kernel.is_monotone(0.0, 8.0 + 1e-9)
    most = 6 * (2**0.5 - 1)
    grid = np.linspace(0, 12, 24_001).tolist()
    assert any(kernel.is_monotone(most - 1e-3, k) for k in grid)
    assert not any(kernel.is_monotone(most + 1e-3, k) for k in grid)
    assert kernel.is_monotone(-1.0, 3.0) == kernel.is_monotone(1.0, 3.0)


@settings(max_examples=60)
@given(returns=series(), size=st.integers(1, 25), confidence=st.sampled_from([0.9, 0.99]))
def test_it_equals_its_definition(returns: list[float], size: int, confidence: float) -> None:
    figure = fed(lambda: CornishFisher(size), returns).forecast(confidence)
    held = np.array(returns)
    if len(set(returns[-size:])) == 1:
        var = es = -returns[-1]  # numpy's deviation of equal returns is rounding, not 0
    else:
        var, es = reference.cornish_fisher(held, confidence, size)
    assert figure is not None
    # Each is a difference of terms of the size of the deviation.
    assert figure[:2] == pytest.approx((var, es), rel=1e-9, abs=1e-11)


def test_fat_tails_are_not_vouched_for() -> None:
    calm = np.random.default_rng(9).laplace(scale=0.01, size=500).tolist()
    assert figure_of(lambda: CornishFisher(500), calm, 0.99).valid
    crash = [*calm[1:], -0.25]
    assert not figure_of(lambda: CornishFisher(500), crash, 0.99).valid
    assert not reference.cornish_fisher_is_valid(np.array(crash))
