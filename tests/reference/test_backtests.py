"""The reference of the backtests: published values, and properties of their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import vartests  # type: ignore[import-untyped]  # reason: ships no types
from scipy.stats import norm, t

from tests.reference import backtests, sp20


def test_kupiec_and_christoffersen_of_jorion():
    """Jorion, Value at Risk, chapter 6, question 10: 6 of 252 at 99 %; 3.49878 is cut there."""
    ratio, p = backtests.kupiec(252, 6, 0.99)
    assert math.floor(ratio * 1000) / 1000 == 3.498
    assert 0.05 < p < 0.1
    ratio, p = backtests.independence(244, 2, 2, 4)
    assert round(ratio, 3) == 25.837
    assert p < 1e-6


def test_traffic_light_of_mathworks():
    """MathWorks, varbacktest, traffic light: 57 of 1043 at 95 %; its Probability is P(X <= x)."""
    assert round(backtests.cumulative_probability(1043, 57, 0.95), 5) == 0.77913
    assert round(backtests.type_one(1043, 57, 0.95), 5) == 0.26396
    assert backtests.zone(1043, 57, 0.95) == "green"


def test_independence_of_mathworks():
    """MathWorks, varbacktest, conditional coverage independence: N00, N10, N01, N11."""
    n00, n10, n01, n11 = 932, 53, 53, 4
    ratio, p = backtests.independence(n00, n01, n10, n11)
    assert (round(ratio, 5), round(p, 5)) == (0.25866, 0.61104)


def test_zones_of_the_basel_committee():
    """Supervisory framework for the use of backtesting (1996), table 2: 250 days at 99 %."""
    zones = [backtests.zone(250, exceptions, 0.99) for exceptions in range(12)]
    assert zones == ["green"] * 5 + ["yellow"] * 5 + ["red"] * 2
    cumulated = [backtests.cumulative_probability(250, x, 0.99) for x in (0, 4, 5, 9)]
    assert [round(100 * p, 2) for p in cumulated] == [8.11, 89.22, 95.88, 99.97]


def tail_shortfall(distribution, confidence):
    levels = (np.arange(200_000) + 0.5) / 200_000 * (1 - confidence)
    return -float(np.mean(distribution.ppf(levels)))


@pytest.mark.parametrize(
    ("distribution", "critical"),
    [(norm(), -0.34639), (t(3), -0.42986)],
    ids=["normal", "t3"],
)
def test_critical_values_of_acerbi_szekely(distribution, critical):
    """MathWorks, esbacktest, unconditionalNormal and unconditionalT at 97.5 %, N = 1966.

    They are the values that Z2 of a true model falls below in 1 % of samples, from a table that
    MathWorks simulated. Here the share of simulated samples below is 1 % within four standard
    errors. A sample is its exceptions alone, since Z2 reads nothing else: a binomial number of
    draws from the tail.
    """
    rng = np.random.default_rng(20)
    samples, observations, confidence = 40_000, 1966, 0.975
    numbers = rng.binomial(observations, 1 - confidence, samples)
    draws = distribution.ppf(rng.random(numbers.sum()) * (1 - confidence))
    sums = np.add.reduceat(draws, np.concatenate([[0], np.cumsum(numbers)[:-1]]))
    assert numbers.min() > 0  # reduceat would take an empty sample for its neighbour
    shortfall = tail_shortfall(distribution, confidence)
    statistics = sums / (observations * (1 - confidence) * shortfall) + 1
    share = float(np.mean(statistics <= critical))
    assert abs(share - 0.01) < 4 * math.sqrt(0.01 * 0.99 / samples)

    one = draws[: numbers[0]]
    calm = np.zeros(observations - len(one))
    hits = np.arange(observations) < len(one)
    whole = backtests.acerbi_szekely(
        np.concatenate([one, calm]), hits, np.full(observations, shortfall), confidence
    )
    assert whole == pytest.approx(statistics[0])


def test_acerbi_szekely_by_hand():
    z2 = backtests.acerbi_szekely(
        [-0.03, 0.01, -0.02, 0.0], [True, False, True, False], [0.02, 0.01, 0.04, 0.01], 0.75
    )
    assert z2 == pytest.approx((-1.5 - 0.5) / (4 * 0.25) + 1)


def test_without_exceptions_nothing_is_undefined():
    ratio, p = backtests.kupiec(500, 0, 0.99)
    assert ratio == pytest.approx(-2 * 500 * math.log(0.99))
    assert 0 < p < 0.01
    assert backtests.independence(499, 0, 0, 0) == (0.0, 1.0)
    assert backtests.acerbi_szekely([0.01], [False], [0.02], 0.99) == 1.0


def test_the_expected_number_of_exceptions_gives_no_evidence():
    assert backtests.kupiec(500, 5, 0.99)[0] == pytest.approx(0, abs=1e-12)
    # 1/4 of the states after a miss and 1/4 of those after a hit are hits.
    assert backtests.independence(30, 10, 9, 3)[0] == pytest.approx(0, abs=1e-12)


def test_all_exceptions_give_a_finite_ratio():
    ratio, p = backtests.kupiec(10, 10, 0.99)
    assert ratio == pytest.approx(-20 * math.log(0.01))
    assert p < 1e-10
    assert backtests.independence(0, 0, 0, 9)[0] == 0


def test_transitions_are_counted_between_neighbours():
    assert backtests.transitions([False, True, True, False, False]) == (1, 1, 1, 1)
    assert backtests.transitions([True]) == (0, 0, 0, 0)


def test_conditional_coverage_is_the_sum():
    assert backtests.conditional_coverage(2.0, 3.5) == pytest.approx((5.5, math.exp(-2.75)))


def test_the_traffic_light_forgets_what_is_older_than_250_sessions():
    hits = [True] * 20 + [False] * 240
    assert backtests.traffic_light(hits, 0.99) == "red"
    assert backtests.traffic_light([*hits, *[False] * 6], 0.99) == "green"


def test_vartests_agrees_with_kupiec():
    for exceptions in (0, 3, 8, 21):
        theirs = vartests.kupiec_test(x=exceptions, n=800, risk_conf_level=0.99)
        ours = backtests.kupiec(800, exceptions, 0.99)
        assert ours == pytest.approx((theirs["statistic"], theirs["p-value"]), rel=1e-9)


@pytest.mark.skipif(not sp20.DAILY.is_dir(), reason="there is no ../shared/data/market/daily")
def test_historical_on_the_sp20_series_fails_both_tests():
    returns = sp20.portfolio_returns()
    hits = sp20.exceptions(returns, sp20.historical(returns, 0.99))
    coverage, _ = backtests.kupiec(len(hits), int(hits.sum()), 0.99)
    clusters, _ = backtests.independence(*backtests.transitions(hits))
    assert coverage == pytest.approx(19.486149)
    assert clusters == pytest.approx(18.666626)
    assert backtests.conditional_coverage(coverage, clusters)[1] < 1e-8
