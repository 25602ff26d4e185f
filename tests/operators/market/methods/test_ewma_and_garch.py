"""The methods with a normal law: EWMA and GARCH."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from operators.market.kernels import garch as kernel
from operators.market.kernels.volatility import ewma_covariance
from operators.market.methods.ewma import EwmaNormal
from operators.market.methods.garch import GarchNormal
from operators.market.methods.normal import normal_tail
from tests.operators.market.methods.contract import PARAMETERS, WINDOW, fed, fitted_garch
from tests.operators.market.methods.series import random_returns, series
from tests.reference import risk as reference

RETURNS = random_returns(130, seed=11)


def fit(method: GarchNormal) -> None:
    method.set_parameters(PARAMETERS.mu, PARAMETERS.omega, PARAMETERS.alpha, PARAMETERS.beta)


@pytest.mark.parametrize("confidence", [0.9, 0.975, 0.99, 0.999])
def test_the_normal_factors_are_quantile_and_tail_mean(confidence: float) -> None:
    z, ratio = normal_tail(confidence)
    assert NormalDist().cdf(z) == pytest.approx(confidence, rel=1e-12)
    integral, _ = quad(lambda u: u * NormalDist().pdf(u), z, 40, epsabs=0, epsrel=1e-11)
    assert ratio == pytest.approx(integral / (1 - confidence), rel=1e-9)


@settings(max_examples=100)
@given(returns=series(), decay=st.sampled_from([0.9, 0.94, 0.99]))
def test_ewma_equals_its_definition(returns: list[float], decay: float) -> None:
    variance = returns[0] ** 2
    for ret in returns[1:]:
        variance = decay * variance + (1 - decay) * ret**2
    figure = fed(lambda: EwmaNormal(10, decay), returns).forecast(0.99)
    z = NormalDist().inv_cdf(0.99)
    sigma = math.sqrt(variance)
    assert figure is not None
    assert figure.var == pytest.approx(z * sigma, rel=1e-12)
    assert figure.es == pytest.approx(NormalDist().pdf(z) / (1 - 0.99) * sigma, rel=1e-12)
    assert figure.valid == (len(returns) >= 10)


def test_ewma_is_the_recursion_of_the_intraday_risk() -> None:
    covariance = np.zeros((1, 1))
    for i, ret in enumerate(RETURNS):
        ewma_covariance(covariance, np.array([ret]), 0.94, i == 0)
    figure = fed(lambda: EwmaNormal(10, 0.94), RETURNS).forecast(0.99)
    assert figure is not None
    assert figure.var == normal_tail(0.99)[0] * math.sqrt(covariance[0, 0])


def test_the_recursion_of_quantlibs_test_suite() -> None:
    """Garch11(.2, .3, .4) on ten returns of .1: .452769, .513323, .530141 ... .537187.

    QuantLib test-suite/garch.cpp: its arguments are α, β and the *long-run variance* v, so ω =
    (1 - α - β)v (ql/models/volatility/garch.hpp); it starts from v₀ = r² and prints σ.
    """
    alpha, beta, long_run = 0.2, 0.3, 0.4
    variance, sigmas = 0.1**2, []
    for _ in range(10):
        variance = kernel.step(variance, 0.1, 0.0, (1 - alpha - beta) * long_run, alpha, beta)
        sigmas.append(round(math.sqrt(variance), 6))
    assert sigmas[:3] == [0.452769, 0.513323, 0.530141]
    assert sigmas[-1] == 0.537187


@pytest.mark.parametrize("known", [1, 5, WINDOW, 2 * WINDOW, 2 * WINDOW + 1, 90])
@pytest.mark.parametrize("more", [0, 1, 30])
def test_garch_filters_its_history_and_steps_on(known: int, more: int) -> None:
    method = GarchNormal(WINDOW)
    for ret in RETURNS[:known]:
        method.update(ret)
    assert method.forecast(0.99) is None
    fit(method)
    for ret in RETURNS[known : known + more]:
        method.update(ret)
    start = max(0, known - 2 * WINDOW)
    returns = np.array(RETURNS[: known + more])
    expected = reference.garch_normal(returns, 0.99, PARAMETERS, start, known)
    figure = method.forecast(0.99)
    assert figure is not None
    assert figure[:2] == pytest.approx(expected, rel=1e-9)
    assert figure.valid == (known + more >= WINDOW)


def test_new_parameters_count_for_all_of_the_history() -> None:
    method = GarchNormal(WINDOW)
    for ret in RETURNS[:50]:
        method.update(ret)
    method.set_parameters(0.0, 1e-5, 0.3, 0.2)
    fit(method)
    afresh = GarchNormal(WINDOW)
    afresh.revalue(np.array(RETURNS[:50]))
    fit(afresh)
    assert method.snapshot() == afresh.snapshot()


def test_parameters_outlive_a_revaluation() -> None:
    method = fitted_garch()
    for ret in RETURNS[:30]:
        method.update(ret)
    method.revalue(np.array(RETURNS[40:100]))
    afresh = GarchNormal(WINDOW)
    afresh.revalue(np.array(RETURNS[40:100]))
    assert afresh.forecast(0.99) is None
    fit(afresh)
    assert method.snapshot() == afresh.snapshot()


def test_parameters_before_any_return_filter_from_the_first() -> None:
    early, late = fitted_garch(), GarchNormal(WINDOW)
    late.update(RETURNS[0])
    fit(late)
    early.update(RETURNS[0])
    assert early.snapshot() == late.snapshot()


def test_garch_without_news_is_ewma() -> None:
    """ω = 0, μ = 0, α = 1 - λ, β = λ: both recursions are one once the start has faded."""
    garch, ewma = GarchNormal(WINDOW), EwmaNormal(WINDOW, 0.8)
    garch.set_parameters(0.0, 0.0, 1 - 0.8, 0.8)
    for ret in RETURNS:
        garch.update(ret)
        ewma.update(ret)
    one, other = garch.forecast(0.99), ewma.forecast(0.99)
    assert one is not None
    assert one == pytest.approx(other, rel=1e-9)
