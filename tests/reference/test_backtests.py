"""The reference of the backtests, and of the daily engine that makes them.

Published values, properties of the definitions, and sessions computed by hand.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import vartests  # type: ignore[import-untyped]  # reason: ships no types
from scipy.stats import norm, t

from tests.reference import backtests, daily, risk, sp20


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


DAY = 100
SMALL = daily.DailySettings(window=4, min_observations=2, methods=("historical", "ewma-normal"))


def closes(day, **prices):
    return {"type": "closes", "ts_ns": day * DAY, "prices": prices}


def weights(ts_ns, rebalance="daily", **held):
    return {
        "type": "portfolio",
        "portfolio": "P",
        "ts_ns": ts_ns,
        "weights": held,
        "rebalance": rebalance,
    }


def position(ts_ns, symbol, quantity):
    return {
        "type": "position",
        "portfolio": "P",
        "ts_ns": ts_ns,
        "symbol": symbol,
        "quantity": quantity,
    }


def split(ts_ns, symbol, ratio):
    return {"type": "split", "ts_ns": ts_ns, "symbol": symbol, "ratio": ratio}


def dividend(ts_ns, symbol, amount):
    return {"type": "dividend", "ts_ns": ts_ns, "symbol": symbol, "amount": amount}


def pnl_of(*events):
    return daily.run(events, SMALL).pnl


def test_returns_cross_splits_and_dividends():
    market = daily.market_of(
        [
            closes(1, A=100.0, B=10.0),
            split(150, "A", 4.0),
            dividend(150, "A", 1.0),
            dividend(200, "B", 0.5),
            closes(2, A=25.0, B=10.0),
            dividend(201, "B", 1.0),
            closes(3, A=24.0, B=9.0),
        ]
    )
    assert market.returns[1] == pytest.approx([4 * 26 / 100 - 1, 0.05])
    assert market.returns[2] == pytest.approx([-0.04, 0.0])


def test_a_gap_returns_nothing_until_the_next_price():
    market = daily.market_of(
        [
            closes(1, A=100.0, B=1.0),
            split(120, "A", 2.0),
            dividend(130, "A", 3.0),
            closes(2, B=1.0),
            split(220, "A", 2.0),
            closes(3, A=24.0, B=1.0, C=7.0),
        ]
    )
    assert market.gaps == {"A": 1, "B": 0, "C": 0}
    assert market.prices[:, 0].tolist() == [100.0, 50.0, 24.0]
    assert market.returns[:, 0] == pytest.approx([0, 0, (24 * 4 + 2 * 3) / 100 - 1])
    assert market.returns[:, 2].tolist() == [0, 0, 0]


def test_weights_are_rebalanced_or_drift():
    prices = [closes(1, A=1.0, B=1.0), closes(2, A=1.5, B=1.0), closes(3, A=3.0, B=1.0)]
    (_, daily_two) = pnl_of(weights(1, A=0.5, B=0.5), *prices)
    (one, drifted_two) = pnl_of(weights(1, "never", A=0.5, B=0.5), *prices)
    assert (one["return"], one["value"]) == (0.25, 1.25)
    assert (daily_two["return"], daily_two["value"]) == (0.5, 1.875)
    assert drifted_two["return"] == pytest.approx(0.6)  # A has come to 0.75 / 1.25
    assert drifted_two["value"] == pytest.approx(2.0)  # what bought and held is worth


def test_positions_equal_weights_that_drift():
    rng = np.random.default_rng(8)
    prices = np.exp(np.cumsum(rng.normal(0, 0.02, (12, 2)), axis=0))
    sessions = [closes(i + 1, A=float(a), B=float(b)) for i, (a, b) in enumerate(prices)]
    worth = 30 * prices[0, 0] + 20 * prices[0, 1]
    held = daily.run([*sessions[:1], position(110, "A", 30.0), position(110, "B", 20.0)], SMALL)
    assert held.pnl == []
    positions = daily.run(
        [sessions[0], position(110, "A", 30.0), position(110, "B", 20.0), *sessions[1:]], SMALL
    )
    share = float(30 * prices[0, 0] / worth)
    drifting = daily.run(
        [
            sessions[0],
            {**weights(110, "never", A=share, B=1 - share), "value": float(worth)},
            *sessions[1:],
        ],
        SMALL,
    )
    for mine, theirs in zip(positions.pnl, drifting.pnl, strict=True):
        assert mine["value"] == pytest.approx(theirs["value"])
        assert mine["return"] == pytest.approx(theirs["return"])
        assert mine["exceptions"] == theirs["exceptions"]
    assert len(positions.risk) == len(drifting.risk) > 0
    for mine, theirs in zip(positions.risk, drifting.risk, strict=True):
        assert mine["var"] == pytest.approx(theirs["var"])


@pytest.mark.parametrize("split_ns", [150, 200])
def test_a_split_of_a_position_is_no_profit(split_ns):
    (record,) = pnl_of(
        position(1, "A", 10.0), closes(1, A=100.0), split(split_ns, "A", 4.0), closes(2, A=25.5)
    )
    assert (record["return"], record["pnl"], record["value"]) == pytest.approx((0.02, 20.0, 1020.0))


def test_a_position_after_a_split_is_in_new_shares():
    (record,) = pnl_of(
        closes(1, A=100.0), split(150, "A", 4.0), position(150, "A", 40.0), closes(2, A=25.5)
    )
    assert (record["return"], record["pnl"]) == pytest.approx((0.02, 20.0))


def test_a_short_book_has_money_but_no_return():
    (record,) = pnl_of(position(1, "A", -10.0), closes(1, A=10.0), closes(2, A=11.0))
    assert (record["return"], record["pnl"], record["value"]) == (0.0, pytest.approx(-10), -110.0)
    assert record["exceptions"] == {}


def test_holdings_at_a_close_count_from_the_next_return():
    prices = [closes(i, A=float(2**i), B=1.0) for i in (1, 2, 3)]
    records = pnl_of(weights(1, B=1.0), *prices[:2], weights(200, A=1.0), prices[2])
    assert [record["return"] for record in records] == [0.0, 1.0]
    records = pnl_of(weights(1, B=1.0), prices[0], weights(199, A=1.0), *prices[1:])
    assert [record["return"] for record in records] == [1.0, 1.0]


def noisy_sessions(count):
    rng = np.random.default_rng(4)
    prices = np.exp(np.cumsum(rng.normal(0, 0.02, (count, 2)), axis=0))
    return prices, [closes(i + 1, A=float(a), B=float(b)) for i, (a, b) in enumerate(prices)]


def test_constant_weights_run_on_and_changed_ones_start_from_eight_returns():
    prices, sessions = noisy_sessions(30)
    returns = prices[1:] / prices[:-1] - 1
    whole = daily.run([weights(1, A=0.3, B=0.7), *sessions], SMALL).risk
    last = {record["method"]: record["var"] for record in whole if record["ts_ns"] == 30 * DAY}
    past = returns @ [0.3, 0.7]
    assert last["ewma-normal"] == pytest.approx(risk.ewma_normal(past, 0.99)[0])
    assert last["historical"] == pytest.approx(-past[-4:].min())

    changed = daily.run([*sessions[:20], weights(2050, A=0.3, B=0.7), *sessions[20:]], SMALL).risk
    assert changed[0]["ts_ns"] == 21 * DAY
    last = {record["method"]: record["var"] for record in changed[-2:]}
    # Twenty sessions are nineteen returns, of which two windows are kept.
    assert last["ewma-normal"] == pytest.approx(risk.ewma_normal(past[11:], 0.99)[0])
    assert last["ewma-normal"] != pytest.approx(risk.ewma_normal(past, 0.99)[0])


def test_risk_begins_with_min_observations_and_counts_from_a_full_window():
    _, sessions = noisy_sessions(12)
    result = daily.run([weights(1, A=1.0), *sessions], SMALL)
    assert result.risk[0]["ts_ns"] == 3 * DAY
    assert {r["ts_ns"] for r in result.risk if not r["valid"]} == {3 * DAY, 4 * DAY}
    assert result.backtest[0]["ts_ns"] == 6 * DAY
    assert [r["observations"] for r in result.backtest] == [n for n in range(1, 8) for _ in "hn"]
    hits = [r["exceptions"]["historical|0.99"] for r in result.pnl if r["exceptions"]]
    ending = result.backtest[-2]
    assert ending["exceptions"] == sum(hits) > 0
    assert ending["kupiec_lr"] == backtests.kupiec(7, sum(hits), 0.99)[0]


def test_a_full_window_counts_where_cornish_fisher_is_not_valid():
    _, sessions = noisy_sessions(8)
    settings = daily.DailySettings(window=4, min_observations=2, methods=("cornish-fisher",))
    result = daily.run([weights(1, A=1.0), *sessions], settings)
    assert not any(record["valid"] for record in result.risk)
    assert [record["observations"] for record in result.backtest] == [1, 2, 3]


def test_a_portfolio_that_ended_is_forgotten():
    _, sessions = noisy_sessions(12)
    result = daily.run(
        [
            weights(1, A=1.0),
            *sessions[:8],
            weights(850),
            *sessions[8:10],
            weights(1050, A=1.0),
            *sessions[10:],
        ],
        SMALL,
    )
    assert [r["ts_ns"] // DAY for r in result.pnl] == [2, 3, 4, 5, 6, 7, 8, 11, 12]
    assert result.backtest[-1]["observations"] == 1


@pytest.mark.skipif(not sp20.DAILY.is_dir(), reason="there is no ../shared/data/market/daily")
def test_the_daily_reference_equals_all_days_at_once():
    _, symbols, prices = sp20.prices()
    settings = daily.DailySettings(min_observations=sp20.WINDOW)
    sessions = [
        closes(i + 1, **dict(zip(symbols, row, strict=True)))
        for i, row in enumerate(prices[:560].tolist())
    ]
    result = daily.run([weights(1, **dict.fromkeys(symbols, 0.05)), *sessions], settings)
    returns = sp20.portfolio_returns()[:559]
    assert [r["return"] for r in result.pnl] == pytest.approx(returns.tolist(), rel=1e-9, abs=1e-15)
    for method, forecast in sp20.METHODS.items():
        figures = forecast(returns, 0.99)
        records = [r for r in result.risk if r["method"] == method][:-1]
        assert len(records) == len(figures.var) == 59
        assert [r["var"] for r in records] == pytest.approx(figures.var.tolist(), rel=1e-9)
        assert [r["es"] for r in records] == pytest.approx(figures.es.tolist(), rel=1e-9)
        assert [r["valid"] for r in records] == figures.valid.tolist()
        hits = sp20.exceptions(returns, figures)
        counts = [r for r in result.backtest if r["method"] == method]
        assert [r["exceptions"] for r in counts] == np.cumsum(hits).tolist()
