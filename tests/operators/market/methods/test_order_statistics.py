"""Historical, age-weighted and filtered figures against sorting and weighing by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.market.kernels import order_statistics as kernel
from operators.market.methods.age_weighted import AgeWeighted
from operators.market.methods.filtered import FilteredHistorical
from operators.market.methods.historical import Historical
from operators.market.methods.window import OrderedWindow
from tests.operators.market.methods.contract import fed, figure_of
from tests.operators.market.methods.series import moving_series, random_returns, series
from tests.reference import risk as reference

LEVELS = st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.975, 0.99, 0.999])


@settings(max_examples=150)
@given(returns=series(), size=st.integers(1, 25))
def test_the_order_is_that_of_a_stable_sort_by_time(returns: list[float], size: int) -> None:
    window = OrderedWindow(size)
    for seen, ret in enumerate(returns, 1):
        kernel.insert(*window.state, ret)
        held = np.array(returns[:seen][-size:])
        assert window.values().tolist() == held.tolist()
        ordered = window.order[: window.count]
        assert window.ring[ordered].tolist() == sorted(held.tolist())
        age = (window.cursor[0] - 1 - ordered) % size
        assert age.tolist() == (len(held) - 1 - np.argsort(held, kind="stable")).tolist()


@settings(max_examples=100)
@given(returns=series(), size=st.integers(1, 25), confidence=LEVELS)
def test_historical_equals_its_definition(
    returns: list[float], size: int, confidence: float
) -> None:
    figure = fed(lambda: Historical(size), returns).forecast(confidence)
    ascending = sorted(returns[-size:])
    k = math.floor(round(len(ascending) * (1 - confidence), 9))
    assert figure is not None
    assert figure.var == -ascending[k]
    assert figure.es == pytest.approx(-sum(ascending[: k + 1]) / (k + 1), rel=1e-12, abs=1e-15)
    assert figure.valid == (len(returns) >= size)


def test_the_place_of_var_is_exact_where_one_minus_c_is_not() -> None:
    places = [kernel.tail_index(500, c) for c in (0.9, 0.95, 0.975, 0.99, 0.995, 0.999)]
    assert places == [50, 25, 12, 5, 2, 0]
    assert kernel.tail_index(10, 0.9) == 1
    assert kernel.tail_index(1, 1e-12) == 0


def test_an_old_extreme_leaves_with_the_window() -> None:
    method = fed(lambda: Historical(5), [-0.5, 0.01, 0.02, 0.03, 0.04])
    assert method.forecast(0.99) == (0.5, 0.5, True)
    method.update(0.05)
    assert method.forecast(0.99) == (-0.01, -0.01, True)


def test_age_weights_by_hand() -> None:
    # d = 1/2 of three returns: the youngest weighs 4/7, then 2/7 and 1/7.
    returns = [-0.03, -0.01, -0.02]
    make = lambda: AgeWeighted(3, 0.5)  # noqa: E731
    assert figure_of(make, returns, 0.9).var == 0.03  # 1/7 reaches 0.1
    at_80 = figure_of(make, returns, 0.8)  # 1/7 + 4/7 reach 0.2
    assert at_80.var == 0.02
    assert at_80.es == pytest.approx((1 * 0.03 + 4 * 0.02) / 5, rel=1e-14)
    assert figure_of(make, returns, 0.1).var == 0.01


def test_a_weight_that_reaches_the_probability_by_rounding_has_reached_it() -> None:
    # The oldest is the worst and weighs 1/7; in doubles 1 - 6/7 is more than that.
    returns = [-0.03, -0.02, -0.01]
    assert 1 - 6 / 7 > 1 / 7
    assert figure_of(lambda: AgeWeighted(3, 0.5), returns, 6 / 7).var == 0.03
    assert figure_of(lambda: AgeWeighted(3, 0.5), returns, 6 / 7 - 1e-9).var == 0.02


@settings(max_examples=100)
@given(
    returns=series(),
    size=st.integers(1, 25),
    decay=st.sampled_from([0.5, 0.9, 0.97, 0.99, 0.999]),
    confidence=LEVELS,
)
def test_age_weighted_equals_its_definition(
    returns: list[float], size: int, decay: float, confidence: float
) -> None:
    figure = fed(lambda: AgeWeighted(size, decay), returns).forecast(confidence)
    held = returns[-size:]
    n = len(held)
    weighed = [
        (ret, (1 - decay) * decay ** (n - 1 - i) / (1 - decay**n)) for i, ret in enumerate(held)
    ]
    tail, reached = [], 0.0
    for ret, weight in sorted(weighed, key=lambda pair: pair[0]):
        tail.append((ret, weight))
        reached += weight
        if reached >= 1 - confidence - 1e-12:
            break
    assert figure is not None
    assert figure.var == -tail[-1][0]
    es = -sum(ret * weight for ret, weight in tail) / reached
    assert figure.es == pytest.approx(es, rel=1e-11, abs=1e-14)


@settings(max_examples=100)
@given(returns=moving_series(), size=st.integers(1, 25), confidence=LEVELS)
def test_filtered_equals_its_definition(returns: list[float], size: int, confidence: float) -> None:
    figure = fed(lambda: FilteredHistorical(size, 0.94), returns).forecast(confidence)
    var, es = reference.filtered_historical(np.array(returns), confidence, size, 0.94)
    assert figure is not None
    assert figure.var == pytest.approx(var, rel=1e-9, abs=1e-12)
    assert figure.es == pytest.approx(es, rel=1e-9, abs=1e-12)
    assert figure.valid == (len(returns) >= size)


def test_returns_before_any_volatility_have_no_shock() -> None:
    method = fed(lambda: FilteredHistorical(3, 0.94), [0.0, 0.0, 0.0, 0.02])
    assert method.forecast(0.99) is None  # 0.02 met a forecast of 0 as well
    method.update(-0.01)
    sigma = math.sqrt(0.94 * 0.06 * 0.02**2 + 0.06 * 0.01**2)
    z = -0.01 / math.sqrt(0.06 * 0.02**2)
    figure = method.forecast(0.99)
    assert figure is not None
    assert figure.var == pytest.approx(-sigma * z, rel=1e-12)
    assert not figure.valid  # one shock is not a window of them, whatever number of returns


def test_long_windows_equal_their_definitions() -> None:
    returns = random_returns(1200, seed=5)
    series = np.array(returns)
    for confidence in (0.95, 0.99):
        for figure, expected in (
            (
                figure_of(lambda: Historical(500), returns, confidence),
                reference.historical(series, confidence),
            ),
            (
                figure_of(lambda: AgeWeighted(500, 0.99), returns, confidence),
                reference.age_weighted(series, confidence),
            ),
            (
                figure_of(lambda: FilteredHistorical(500, 0.94), returns, confidence),
                reference.filtered_historical(series, confidence),
            ),
        ):
            assert figure[:2] == pytest.approx(expected, rel=1e-9)
