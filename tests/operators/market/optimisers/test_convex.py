"""Minimum variance, maximum Sharpe and CVaR against PyPortfolioOpt, riskfolio and closed forms."""

from __future__ import annotations

import numpy as np
import pandas as pd  # type: ignore[import-untyped]  # it ships no types
import pytest

from operators.market.model_failed import ModelFailed
from operators.market.optimisers import convex
from operators.market.optimisers.constraints import read_constraints
from tests.operators.market.optimisers.cases import SYMBOLS, limits, returns

R = returns()
COVARIANCE = np.cov(R, rowvar=False)
MEAN = R.mean(axis=0)
LONG = limits()
BOUNDED = limits(long_only=False, bounds={"*": {"min": -0.2, "max": 0.3}})
FREE = limits(long_only=False)

each_limit = pytest.mark.parametrize(
    ("limit", "bounds"), [(LONG, (0, 1)), (BOUNDED, (-0.2, 0.3))], ids=["long", "bounded"]
)


def frontier(kind, bounds):
    """PyPortfolioOpt's optimiser on the same data in percent: solvers have absolute tolerances."""
    import pypfopt  # type: ignore[import-untyped]  # it ships no types

    mean = pd.Series(MEAN * 100, SYMBOLS)
    if kind == "cvar":
        frame = pd.DataFrame(R * 100, columns=list(SYMBOLS))
        return pypfopt.EfficientCVaR(mean, frame, 0.95, bounds, solver="CLARABEL")
    covariance = pd.DataFrame(COVARIANCE * 1e4, SYMBOLS, SYMBOLS)
    return pypfopt.EfficientFrontier(mean, covariance, bounds, solver="CLARABEL")


def riskfolio(**kind):
    """The weights that riskfolio-lib finds on the same data, in percent."""
    import riskfolio as rp  # type: ignore[import-untyped]  # it ships no types

    portfolio = rp.Portfolio(returns=pd.DataFrame(R * 100, columns=list(SYMBOLS)))
    portfolio.assets_stats(method_mu="hist", method_cov="hist")
    portfolio.solvers = ["CLARABEL"]
    return portfolio.optimization(model="Classic", rf=0, **kind)["weights"].to_numpy()


@each_limit
def test_min_variance_agrees_with_pypfopt(limit, bounds):
    oracle = frontier("variance", bounds)
    oracle.min_volatility()
    weights, solver = convex.min_variance(COVARIANCE, limit)
    assert np.abs(weights - oracle.weights).max() < 1e-4
    assert solver == "clarabel"


@each_limit
def test_max_sharpe_agrees_with_pypfopt(limit, bounds):
    oracle = frontier("sharpe", bounds)
    oracle.max_sharpe(0)
    weights, _ = convex.max_sharpe(MEAN, COVARIANCE, limit)
    assert np.abs(weights - oracle.weights).max() < 1e-4


@each_limit
def test_min_cvar_agrees_with_pypfopt(limit, bounds):
    oracle = frontier("cvar", bounds)
    oracle.min_cvar()
    weights, _ = convex.min_cvar(R, 0.05, limit)
    assert np.abs(weights - oracle.weights).max() < 1e-4


@pytest.mark.filterwarnings("ignore")  # riskfolio writes products as cvxpy once did
def test_all_three_agree_with_riskfolio():
    variance, _ = convex.min_variance(COVARIANCE, LONG)
    assert np.abs(variance - riskfolio(rm="MV", obj="MinRisk")).max() < 1e-4
    sharpe, _ = convex.max_sharpe(MEAN, COVARIANCE, LONG)
    assert np.abs(sharpe - riskfolio(rm="MV", obj="Sharpe")).max() < 1e-4
    cvar, _ = convex.min_cvar(R, 0.05, LONG)
    assert np.abs(cvar - riskfolio(rm="CVaR", obj="MinRisk")).max() < 1e-4


def test_without_limits_the_weights_are_the_closed_forms():
    least = np.linalg.solve(COVARIANCE, np.ones(8))
    weights, _ = convex.min_variance(COVARIANCE, FREE)
    np.testing.assert_allclose(weights, least / least.sum(), atol=1e-7)
    tangent = np.linalg.solve(COVARIANCE, MEAN)
    weights, _ = convex.max_sharpe(MEAN, COVARIANCE, FREE)
    np.testing.assert_allclose(weights, tangent / tangent.sum(), atol=1e-7)


def test_no_neighbour_within_the_limits_has_less_cvar():
    rng = np.random.default_rng(3)

    def cvar(weights):  # the mean of the worst 5 %: 30 of 600
        return -np.sort(R @ weights)[:30].mean()

    best, _ = convex.min_cvar(R, 0.05, LONG)
    for _ in range(200):
        other = best + 0.02 * (rng.dirichlet(np.ones(8)) - best)
        assert cvar(other) >= cvar(best) - 1e-12


def test_weights_do_not_depend_on_the_unit_of_returns():
    for weigh in (
        lambda unit: convex.min_variance(COVARIANCE * unit**2, LONG)[0],
        lambda unit: convex.max_sharpe(MEAN * unit, COVARIANCE * unit**2, LONG)[0],
        lambda unit: convex.min_cvar(R * unit, 0.05, LONG)[0],
    ):
        np.testing.assert_allclose(weigh(1e-4), weigh(1e3), atol=1e-6)


def test_sharpe_without_any_gain_is_a_reason():
    with pytest.raises(ModelFailed, match="positive expected return"):
        convex.max_sharpe(-np.abs(MEAN), COVARIANCE, LONG)
    with pytest.raises(ModelFailed, match="all expected returns are 0"):
        convex.max_sharpe(np.zeros(8), COVARIANCE, LONG)


def test_a_tangent_at_infinity_is_a_reason():
    # What has the best ratio holds as much of one as it is short of the other.
    with pytest.raises(ModelFailed, match="larger ones are ever better"):
        convex.max_sharpe(np.array([1.0, -1.0]), np.eye(2), _two(long_only=False))


def test_a_gain_without_end_is_a_reason():
    always = np.column_stack([np.full(50, 0.01), np.full(50, -0.01)])
    with pytest.raises(ModelFailed, match="without end"):
        convex.min_cvar(always, 0.05, _two(long_only=False))


def _two(**given):
    return read_constraints(given, ("A", "B"), {})
