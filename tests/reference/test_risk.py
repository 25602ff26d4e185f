"""The reference of VaR and ES: published values, examples by hand, and the S&P-20 series."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import kurtosis, norm, skew

from tests.reference import backtests, risk, sp20

needs_daily = pytest.mark.skipif(
    not sp20.DAILY.is_dir(), reason="there is no ../shared/data/market/daily"
)


@pytest.fixture(scope="module")
def returns():
    return sp20.portfolio_returns()


def test_cornish_fisher_var_of_dowd():
    """CornishFisherVaR(3.2, 5.6, 2, 3, .9) of Dowd's package, where 3 is the raw kurtosis."""
    var, _ = risk.cornish_fisher_of(3.2, 5.6, 2.0, 3.0 - 3.0, 0.9)
    assert round(var, 6) == 4.145348


def test_garch_recursion_of_quantlib():
    """QuantLib's test suite, garch: Garch11(.2, .3, .4), a return of .1 each time."""
    # There the long-run variance is given, so omega = .4 (1 - .2 - .3); the first is a square.
    parameters = risk.GarchParameters(0.0, 0.4 * 0.5, 0.2, 0.3)
    after = risk.garch_variances(np.full(10, 0.1), parameters, 0.1**2)
    first = (after[0] - parameters.omega - 0.5 * 0.01, math.sqrt(after[0]))
    assert first == pytest.approx((0.0, 0.452769), abs=5e-7)
    volatilities = [round(float(x), 6) for x in np.sqrt(after)]
    assert volatilities[:3] == [0.452769, 0.513323, 0.530141]
    assert volatilities[9] == 0.537187


@needs_daily
def test_garch_estimates_of_fiorentini_calzolari_panattoni():
    """DEM/GBP, J. Applied Econometrics 11 (1996), to one unit of the last place printed."""
    rates = np.loadtxt(sp20.DAILY / "bollerslev_ghysels_dem_gbp.txt", skiprows=1)

    def loss(x):
        residuals = rates - x[0]
        before = float(np.mean(residuals**2))
        h = risk.garch_variances(residuals, risk.GarchParameters(*x), before)[:-1]
        return 0.5 * float(np.sum(np.log(h) + residuals**2 / h)) if np.all(h > 0) else math.inf

    found = minimize(
        loss,
        (-0.006, 0.011, 0.15, 0.8),
        method="Nelder-Mead",
        options={"xatol": 1e-8, "fatol": 1e-11},
    ).x
    assert abs(found - (-0.00619041, 0.0107613, 0.153134, 0.805974)) == pytest.approx(0, abs=1.5e-6)
    assert abs(found[0] + 0.00619041) < 2e-8
    assert abs(found[1] - 0.0107613) < 1.1e-7

    steps = np.diag(1e-4 * np.maximum(abs(found), 0.01))
    hessian = [
        [
            (loss(found + a + b) - loss(found + a - b) - loss(found - a + b) + loss(found - a - b))
            / (4 * a.sum() * b.sum())
            for b in steps
        ]
        for a in steps
    ]
    errors = np.sqrt(np.diag(np.linalg.inv(hessian)))
    published = np.array([0.00846212, 0.00285271, 0.0265228, 0.0335527])
    assert np.max(abs(errors / published - 1)) < 1e-5


def test_five_hundred_returns_at_99_percent_give_the_index_five():
    assert risk.tail_index(500, 0.99) == 5
    assert [risk.tail_index(n, 0.99) for n in (99, 100, 199, 200)] == [0, 1, 1, 2]


def test_historical_is_an_order_statistic_and_the_mean_up_to_it():
    shuffled = np.random.default_rng(1).permutation(np.arange(-50, 50) / 100)
    older = np.full(7, -9.0)  # outside the window
    assert risk.historical(np.concatenate([older, shuffled]), 0.95, 100) == pytest.approx(
        (0.45, (0.50 + 0.49 + 0.48 + 0.47 + 0.46 + 0.45) / 6)
    )


def test_age_weights_sum_to_one_and_halve_with_a_decay_of_a_half():
    weights = risk.age_weights(3, 0.5)
    assert weights == pytest.approx([1 / 7, 2 / 7, 4 / 7])
    assert risk.age_weights(500, 0.99).sum() == pytest.approx(1)


def test_age_weighted_by_hand():
    # Weights 1/7, 2/7, 4/7; sorted: -.03 (2/7), -.01 (1/7), .02 (4/7); beyond .3 at the second.
    var, shortfall = risk.age_weighted(np.array([-0.01, -0.03, 0.02]), 0.7, 3, 0.5)
    assert (var, shortfall) == pytest.approx((0.01, (2 * 0.03 + 0.01) / 3))


def test_age_weighted_tends_to_historical():
    # At a confidence where 500 (1-c) is no whole number: there the limit has no tie.
    values = np.random.default_rng(2).normal(size=500)
    aged = risk.age_weighted(values, 0.9875, 500, 1 - 1e-9)
    assert aged == pytest.approx(risk.historical(values, 0.9875), rel=1e-6)


def test_ewma_by_hand():
    variances = risk.ewma_variances(np.array([0.02, -0.01, 0.03]), 0.9)
    second = 0.9 * 0.0004 + 0.1 * 0.0001
    assert variances == pytest.approx([0.0004, second, 0.9 * second + 0.1 * 0.0009])


def test_ewma_normal_has_no_mean():
    var, shortfall = risk.ewma_normal(np.array([0.02]), 0.99)
    assert var == pytest.approx(0.02 * 2.3263478740408408)
    assert shortfall == pytest.approx(0.02 * 0.02665214220345808 / 0.01)


def test_filtered_historical_by_hand():
    sigmas = [0.02, math.sqrt(0.9 * 0.0004 + 0.1 * 0.0016)]
    z = [-0.04 / sigmas[0], 0.01 / sigmas[1]]
    sigma = math.sqrt(0.9 * sigmas[1] ** 2 + 0.1 * 0.0001)
    figures = risk.filtered_historical(np.array([0.02, -0.04, 0.01]), 0.5, 500, 0.9)
    assert figures == pytest.approx((-sigma * z[1], -sigma * (z[0] + z[1]) / 2))


def test_a_forecast_of_zero_gives_a_z_of_zero():
    assert risk.standardised(np.array([0.0, 0.01, 0.0]), 0.94).tolist() == [0.0, 0.0]


def test_moments_are_those_of_a_population():
    values = np.random.default_rng(3).standard_t(5, size=200)
    expected = (values.mean(), values.std(ddof=0), skew(values), kurtosis(values))
    assert risk.moments(values) == pytest.approx(expected)
    assert risk.moments(np.full(9, 0.25)) == (0.25, 0.0, 0.0, 0.0)


def test_cornish_fisher_of_a_normal_is_the_normal():
    figures = risk.cornish_fisher_of(0.001, 0.02, 0.0, 0.0, 0.975)
    assert figures == pytest.approx(risk.normal(0.001, 0.02, 0.975), rel=1e-10)


def test_cornish_fisher_shortfall_is_the_mean_of_the_quantiles():
    levels = (np.arange(200_000) + 0.5) / 200_000 * 0.05
    quantiles = [risk.cornish_fisher_quantile(z, -0.3, 1.5) for z in norm.ppf(levels)]
    _, shortfall = risk.cornish_fisher_of(0.0, 1.0, -0.3, 1.5, 0.95)
    assert shortfall == pytest.approx(-float(np.mean(quantiles)), rel=1e-5)


@pytest.mark.parametrize("s", [-2.0, -0.6, 0.0, 0.4, 1.0])
@pytest.mark.parametrize("k", [-0.5, 0.2, 1.0, 3.0, 7.0, 8.5])
def test_validity_is_that_the_quantile_rises_on_a_fine_grid(s, k):
    # Where the range of decreasing z is unbounded it still meets this grid.
    quantiles = [risk.cornish_fisher_quantile(z, s, k) for z in np.linspace(-60, 60, 6001)]
    assert risk.is_monotone(s, k) == bool(np.all(np.diff(quantiles) > 0))


def test_garch_starts_on_the_history_and_runs_on():
    values = np.array([0.01, -0.03, 0.02, -0.01])
    p = risk.GarchParameters(0.001, 1e-6, 0.1, 0.85)
    before = (0.031**2 + 0.019**2) / 2
    h = 1e-6 + 0.95 * before
    for residual in (-0.031, 0.019, -0.011):
        h = 1e-6 + 0.1 * residual**2 + 0.85 * h
    expected = risk.normal(0.001, math.sqrt(h), 0.99)
    assert risk.garch_normal(values, 0.99, p, 1, 3) == pytest.approx(expected)


@needs_daily
@pytest.mark.parametrize("confidence", [0.95, 0.99])
def test_all_days_at_once_equal_one_day_from_scratch(returns, confidence):
    one_day = {
        "historical": risk.historical,
        "age-weighted": risk.age_weighted,
        "filtered-historical": risk.filtered_historical,
        "ewma-normal": risk.ewma_normal,
        "cornish-fisher": risk.cornish_fisher,
    }
    assert one_day.keys() == sp20.METHODS.keys()
    for name, method in one_day.items():
        var, es, valid = sp20.METHODS[name](returns, confidence)
        for day in (0, 1, 2, 499, 500, 501, 2000, 4713, 7811):
            known = returns[: sp20.WINDOW + day]
            assert (var[day], es[day]) == pytest.approx(method(known, confidence), rel=1e-11)
            if name == "cornish-fisher":
                assert valid[day] == risk.cornish_fisher_is_valid(known)


@needs_daily
def test_garch_of_all_days_changes_its_parameters_where_told(returns):
    one = risk.GarchParameters(4e-4, 2e-6, 0.08, 0.9)
    two = risk.GarchParameters(6e-4, 1e-6, 0.05, 0.94)
    fits = [sp20.GarchFit(500, one), sp20.GarchFit(1200, two, 200)]
    var, es, _ = sp20.garch_normal(returns, 0.99, fits)
    for known, parameters, start, stop in (
        (500, one, 0, 500),
        (1199, one, 0, 500),
        (1200, two, 200, 1200),
        (3000, two, 200, 1200),
    ):
        day = known - sp20.WINDOW
        expected = risk.garch_normal(returns[:known], 0.99, parameters, start, stop)
        assert (var[day], es[day]) == pytest.approx(expected, rel=1e-11)


@needs_daily
def test_exceptions_of_the_sp20_series(returns):
    """../shared/market.md: historical must give 120; its other figures are a guide.

    That guide has 96 for filtered-historical: with an interpolated quantile of z in place of the
    order statistic day 1101 is no exception (it is one by 0.008 % of its VaR), all else the same.
    """
    counts = {
        name: int(sp20.exceptions(returns, forecast(returns, 0.99)).sum())
        for name, forecast in sp20.METHODS.items()
    }
    assert len(returns) - sp20.WINDOW == 7812
    assert counts == {
        "historical": 120,
        "age-weighted": 102,
        "filtered-historical": 97,
        "ewma-normal": 164,
        "cornish-fisher": 76,
    }


@needs_daily
def test_an_interpolated_quantile_gives_the_guide_of_filtered_historical(returns):
    rows = sp20.windows(risk.standardised(returns), 7811)  # the first day has one z less
    sigmas = np.sqrt(risk.ewma_variances(returns))[sp20.WINDOW : -1]
    hits = returns[sp20.WINDOW + 1 :] < sigmas * np.quantile(rows, 0.01, axis=1)
    order_statistic = sp20.exceptions(returns, sp20.filtered_historical(returns, 0.99))
    assert not order_statistic[0]
    assert hits.sum() == 96
    assert np.flatnonzero(hits != order_statistic[1:]).tolist() == [1100]


@needs_daily
def test_the_index_below_gives_105_exceptions(returns):
    """../shared/market.md: index 4 would give 105 exceptions instead of 120."""
    fourth = np.sort(sp20.windows(returns, 7812), axis=1)[:, 4]
    assert int((returns[sp20.WINDOW :] < fourth).sum()) == 105


@needs_daily
def test_ewma_normal_is_rejected_at_99_percent(returns):
    hits = sp20.exceptions(returns, sp20.ewma_normal(returns, 0.99))
    ratio, p = backtests.kupiec(len(hits), int(hits.sum()), 0.99)
    assert ratio > 70
    assert p < 1e-15
