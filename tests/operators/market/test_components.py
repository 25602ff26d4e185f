"""Contributions to VaR against their definitions, and what Euler's theorem says of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from operators.market.components import (
    Contributions,
    ewma_components,
    ewma_incremental,
    historical_components,
    historical_incremental,
    incremental_var,
)
from operators.market.kernels import components as kernel
from operators.market.kernels.order_statistics import tail_index
from operators.market.kernels.volatility import ewma_covariance
from operators.market.methods.ewma import EwmaNormal
from operators.market.methods.historical import Historical
from operators.market.methods.normal import normal_tail

DECAY = 0.94
CONFIDENCE = 0.95
FACTOR = normal_tail(CONFIDENCE)[0]

Floats = NDArray[np.float64]
Case = tuple[Floats, Floats]
"""Returns [n, N], oldest first, and weights [N]."""


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw fat-tailed returns with a common factor, and weights of both signs."""
    assets, n = draw(st.integers(1, 6)), draw(st.integers(1, 60))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    returns = 0.01 * (rng.standard_t(4, size=(n, assets)) + rng.standard_t(4, size=(n, 1)))
    tenths = draw(st.lists(st.integers(-10, 10), min_size=assets, max_size=assets))
    return returns, np.array(tenths) / 10


def historical(returns: Floats, weights: Floats) -> Contributions:
    order = np.argsort(returns @ weights, kind="stable")
    return historical_components(returns, order, weights, tail_index(len(returns), CONFIDENCE))


def historical_var(returns: Floats, weights: Floats) -> float:
    ascending = sorted((returns @ weights).tolist())
    return -float(ascending[tail_index(len(returns), CONFIDENCE)])


def ewma(returns: Floats, weights: Floats) -> Contributions:
    cov_w = np.empty(len(weights))
    kernel.step_cov_w_all(cov_w, returns, weights, DECAY)
    return ewma_components(cov_w, weights, FACTOR, ewma_var(returns, weights) / FACTOR)


def ewma_var(returns: Floats, weights: Floats) -> float:
    method = EwmaNormal(1, DECAY)
    method.revalue(returns @ weights)
    figure = method.forecast(CONFIDENCE)
    assert figure is not None
    return figure.var


BOTH = pytest.mark.parametrize(
    ("contributions", "var"), [(historical, historical_var), (ewma, ewma_var)]
)


@BOTH
@settings(max_examples=150)
@given(case=cases())
def test_components_sum_to_var(contributions, var, case: Case) -> None:
    returns, weights = case
    found = contributions(returns, weights)
    expected = var(returns, weights)
    size = max(abs(expected), float(np.abs(found.component).max()))
    assert math.fsum(found.component.tolist()) == pytest.approx(expected, abs=1e-11 * size)
    assert found.component.tolist() == (weights * found.marginal).tolist()


@BOTH
@settings(max_examples=60)
@given(case=cases(), scale=st.sampled_from([0.25, 2.0, 8.0]))
def test_a_portfolio_of_another_size_has_the_same_marginals(
    contributions, var, case: Case, scale: float
) -> None:
    returns, weights = case
    before, after = contributions(returns, weights), contributions(returns, scale * weights)
    assert after.marginal.tolist() == pytest.approx(before.marginal.tolist(), rel=1e-9, abs=1e-15)
    assert after.component.tolist() == pytest.approx(
        (scale * before.component).tolist(), rel=1e-9, abs=1e-15
    )


@BOTH
@settings(max_examples=60)
@given(case=cases(), seed=st.integers(0, 100))
def test_permuted_assets_have_permuted_components(
    contributions, var, case: Case, seed: int
) -> None:
    returns, weights = case
    places = np.random.default_rng(seed).permutation(len(weights))
    before = contributions(returns, weights)
    after = contributions(np.ascontiguousarray(returns[:, places]), weights[places])
    assert after.component.tolist() == pytest.approx(
        before.component[places].tolist(), rel=1e-8, abs=1e-12
    )


@BOTH
@settings(max_examples=60)
@given(case=cases())
def test_a_position_of_zero_adds_nothing_and_changes_nothing(
    contributions, var, case: Case
) -> None:
    returns, weights = case
    wider = np.column_stack([returns, returns[::-1, 0]])
    before = contributions(returns, weights)
    after = contributions(np.ascontiguousarray(wider), np.append(weights, 0.0))
    assert after.component[-1] == 0.0
    assert after.component[:-1].tolist() == pytest.approx(
        before.component.tolist(), rel=1e-9, abs=1e-15
    )


@settings(max_examples=60)
@given(case=cases())
def test_cov_w_is_the_ewma_covariance_times_the_weights(case: Case) -> None:
    returns, weights = case
    covariance = np.zeros((len(weights), len(weights)))
    steps, at_once = np.empty(len(weights)), np.full(len(weights), 7.0)
    for t, row in enumerate(returns):
        ewma_covariance(covariance, row, DECAY, t == 0)
        kernel.step_cov_w(steps, row, weights, DECAY, t == 0)
    kernel.step_cov_w_all(at_once, returns, weights, DECAY)
    assert at_once.tobytes() == steps.tobytes()
    size = float(np.abs(covariance).max())
    assert steps.tolist() == pytest.approx((covariance @ weights).tolist(), abs=1e-12 * size)


def test_the_ewma_marginal_is_the_derivative_of_var() -> None:
    returns, weights = some_returns(200, 4), np.array([0.4, 0.3, -0.2, 0.5])
    marginal = ewma(returns, weights).marginal
    for i in range(4):
        more, less = weights.copy(), weights.copy()
        more[i] += 1e-6
        less[i] -= 1e-6
        slope = (ewma_var(returns, more) - ewma_var(returns, less)) / 2e-6
        assert marginal[i] == pytest.approx(slope, rel=1e-6)


def test_historical_components_average_five_scenarios_and_sum_to_the_middle_one() -> None:
    returns, weights = some_returns(100, 3), np.array([0.5, 0.3, 0.2])
    order = np.argsort(returns @ weights, kind="stable")
    for last, shares in ((5, {3: 1, 4: 2, 5: 3, 6: 2, 7: 1}), (0, {0: 3, 1: 2, 2: 1})):
        mean = sum(u * -returns[order[k]] for k, u in shares.items()) / sum(shares.values())
        var = -float((returns @ weights)[order[last]])
        expected = mean * var / (mean @ weights)
        found = historical_components(returns, order, weights, last)
        assert found.marginal.tolist() == pytest.approx(expected.tolist(), rel=1e-12)
        assert found.component.sum() == pytest.approx(var, rel=1e-12)


@pytest.mark.parametrize(
    "losses",
    [
        [[1.0, 0.0], [-0.3, 0.2], [-0.1, -0.1], [-0.1, -0.2]],  # on average a loss, VaR a gain
        [[1.0, 1.0], [0.03, -0.01], [0.0, 0.0], [0.0, 0.0]],  # on average far more than VaR
        [[0.2, 0.1], [0.0, 0.2], [-0.3, 0.0], [-0.4, 0.1], [-0.3, -0.3]],  # on average nothing
    ],
)
def test_where_the_average_is_far_from_var_its_own_scenario_is_taken(
    losses: list[list[float]],
) -> None:
    found = historical_components(-np.array(losses), np.arange(len(losses)), np.ones(2), 1)
    assert found.component.tolist() == losses[1]


def test_the_rows_may_be_a_ring_as_it_is() -> None:
    returns, weights = some_returns(50, 3), np.array([0.5, 0.3, 0.2])
    rolled = np.roll(returns, 17, axis=0)
    assert (
        historical(rolled, weights).component.tolist()
        == historical(returns, weights).component.tolist()
    )


def test_a_portfolio_that_never_moved_has_no_components() -> None:
    nothing = ewma_components(np.zeros(2), np.array([0.5, -0.5]), FACTOR, 0.0)
    assert nothing.component.tolist() == [0.0, 0.0]
    assert historical(np.zeros((9, 2)), np.array([0.5, -0.5])).component.tolist() == [0.0, 0.0]


@settings(max_examples=60)
@given(case=cases(), place=st.integers(0, 5))
def test_incremental_var_is_the_difference_of_two_valuations(case: Case, place: int) -> None:
    returns, weights = case
    index = place % len(weights)
    without = np.where(np.arange(len(weights)) == index, 0.0, weights)
    found = incremental_var(Historical(60), returns, weights, index, CONFIDENCE)
    expected = historical_var(returns, weights) - historical_var(returns, without)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)
    parametric = incremental_var(EwmaNormal(60, DECAY), returns, weights, index, CONFIDENCE)
    expected = ewma_var(returns, weights) - ewma_var(returns, without)
    assert parametric == pytest.approx(expected, rel=1e-9, abs=1e-12)


@settings(max_examples=60)
@given(case=cases())
def test_all_positions_at_once_are_each_of_them(case: Case) -> None:
    returns, weights = case
    places = range(len(weights))
    last, var = tail_index(len(returns), CONFIDENCE), historical_var(returns, weights)
    found = historical_incremental(returns, returns @ weights, weights, last, var)
    each = [incremental_var(Historical(60), returns, weights, i, CONFIDENCE) for i in places]
    assert found.tolist() == pytest.approx(each, rel=1e-9, abs=1e-12)
    without = np.empty(len(weights))
    kernel.step_without_all(without, returns, weights, DECAY)
    found = ewma_incremental(without, FACTOR, ewma_var(returns, weights) / FACTOR)
    each = [incremental_var(EwmaNormal(60, DECAY), returns, weights, i, CONFIDENCE) for i in places]
    assert found.tolist() == pytest.approx(each, rel=1e-9, abs=1e-12)


def test_variances_without_a_position_step_by_step_are_those_of_all_at_once() -> None:
    returns, weights = some_returns(50, 4), np.array([0.4, 0.3, -0.2, 0.0])
    steps, at_once = np.full(4, 7.0), np.full(4, 8.0)
    for t, row in enumerate(returns):
        kernel.step_without(steps, row, weights, DECAY, t == 0)
    kernel.step_without_all(at_once, returns, weights, DECAY)
    assert at_once.tobytes() == steps.tobytes()
    assert math.sqrt(at_once[3]) == pytest.approx(ewma_var(returns, weights) / FACTOR, rel=1e-12)


def test_the_only_position_is_all_of_var() -> None:
    returns = some_returns(80, 1)
    var = historical_var(returns, np.ones(1))
    assert incremental_var(Historical(80), returns, np.ones(1), 0, CONFIDENCE) == var
    last = tail_index(80, CONFIDENCE)
    assert historical_incremental(returns, returns[:, 0], np.ones(1), last, var).tolist() == [var]
    assert historical(returns, np.ones(1)).component.tolist() == pytest.approx([var], rel=1e-12)


def test_a_small_position_is_worth_its_component() -> None:
    """Incremental and component VaR meet as the position vanishes (first order in its weight)."""
    returns, weights = some_returns(300, 3), np.array([0.6, 0.4, 1e-5])
    component = ewma(returns, weights).component[2]
    found = incremental_var(EwmaNormal(300, DECAY), returns, weights, 2, CONFIDENCE)
    assert found == pytest.approx(component, rel=1e-4)


def some_returns(n: int, assets: int) -> Floats:
    rng = np.random.default_rng(12)
    return 0.01 * (rng.standard_t(4, size=(n, assets)) + rng.standard_normal((n, 1)))
