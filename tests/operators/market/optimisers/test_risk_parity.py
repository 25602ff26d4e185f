"""Equal risk contributions: the definition, a published table, riskfolio."""

from __future__ import annotations

import numpy as np
import pandas as pd  # type: ignore[import-untyped]  # it ships no types
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from operators.market.kernels import risk_parity as kernel
from operators.market.model_failed import ModelFailed
from operators.market.optimisers import risk_parity
from operators.market.optimisers.risk_parity import equal_risk
from tests.operators.market.optimisers.cases import SYMBOLS, returns


def contributions(covariance, weights):
    return weights * (covariance @ weights) / (weights @ covariance @ weights)


def test_the_kernel_is_compiled():
    assert kernel.risk_parity.signatures


def test_four_assets_of_maillard_roncalli_teiletche():
    # "The properties of equally weighted risk contribution portfolios" (2010): volatilities 10,
    # 20, 30, 40 %, correlations .8 and -.5 within two pairs.
    correlation = np.eye(4)
    correlation[0, 1] = correlation[1, 0] = 0.8
    correlation[2, 3] = correlation[3, 2] = -0.5
    volatility = np.array([0.1, 0.2, 0.3, 0.4])
    covariance = correlation * np.outer(volatility, volatility)
    weights = equal_risk(covariance, np.zeros(4))
    assert (weights * 100).round(1).tolist() == [38.4, 19.2, 24.3, 18.2]
    np.testing.assert_allclose(contributions(covariance, weights), 0.25, atol=1e-10)


def test_riskfolio_agrees():
    import riskfolio as rp  # type: ignore[import-untyped]  # it ships no types

    portfolio = rp.Portfolio(returns=pd.DataFrame(returns(), columns=list(SYMBOLS)))
    portfolio.assets_stats(method_mu="hist", method_cov="hist")
    portfolio.solvers = ["CLARABEL"]
    oracle = portfolio.rp_optimization(model="Classic", rm="MV", rf=0, hist=True)
    weights = equal_risk(np.cov(returns(), rowvar=False), np.zeros(8))
    assert np.abs(weights - oracle["weights"].to_numpy()).max() < 1e-4


def test_without_correlation_weights_are_by_inverse_volatility():
    volatility = np.array([0.1, 0.2, 0.4])
    weights = equal_risk(np.diag(volatility**2), np.zeros(3))
    np.testing.assert_allclose(weights, 1 / volatility / (1 / volatility).sum(), rtol=1e-12)


@settings(max_examples=60)
@given(
    arrays(np.float64, (6, 6), elements=st.floats(-1, 1)),
    arrays(np.float64, 6, elements=st.floats(1e-3, 1e3)),
)
def test_contributions_are_equal_whatever_the_covariance(factors, volatility):
    covariance = (factors @ factors.T + 0.05 * np.eye(6)) * np.outer(volatility, volatility)
    weights = equal_risk(covariance, np.zeros(6))
    assert (weights > 0).all()
    np.testing.assert_allclose(contributions(covariance, weights), 1 / 6, atol=1e-9)


def test_assets_that_move_as_one_share_a_singular_covariance():
    covariance = np.ones((2, 2)) * 0.04
    np.testing.assert_allclose(equal_risk(covariance, np.zeros(2)), 0.5, atol=1e-9)


def test_a_warm_start_ends_at_the_same_place_sooner():
    covariance = np.cov(returns(), rowvar=False)
    scaled = covariance / np.diag(covariance).mean()
    budgets = np.full(8, 0.125)
    cold = equal_risk(covariance, np.zeros(8))
    warm = equal_risk(covariance, cold * np.linspace(0.99, 1.01, 8))
    np.testing.assert_allclose(warm, cold, atol=1e-11)

    def sweeps(start):
        x = start / np.sqrt(start @ scaled @ start)
        return kernel.risk_parity(scaled, budgets, x, np.empty(8), 1000, 1e-12)

    assert sweeps(cold) == 0
    assert sweeps(cold * np.linspace(0.99, 1.01, 8)) < sweeps(np.ones(8))


def test_too_few_sweeps_are_a_reason(monkeypatch):
    monkeypatch.setattr(risk_parity, "MAX_SWEEPS", 1)
    with pytest.raises(ModelFailed, match="after 1 sweeps"):
        equal_risk(np.cov(returns(), rowvar=False), np.zeros(8))
