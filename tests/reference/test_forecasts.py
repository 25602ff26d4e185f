"""The reference's volatility, VaR, ES and breaches of symbols and portfolios, by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tests.reference.by_hand import BASE, S, beat, outputs, trade
from tests.reference.market import Tick
from tests.reference.vocabulary import Record

Z99 = 2.3263478740408408  # the standard normal quantile at 99 %

PHI_Z99 = 0.02665214220345808  # the density there


def test_volatility_var_and_es_of_a_symbol() -> None:
    settings = replace(BASE, horizons=(4,), min_observations=2)
    ticks = trade(0, 100), trade(1, 101), trade(5, 99.99), beat(6)
    first, second = outputs(*ticks, settings=settings)["risk"]
    r1, r2 = 101 / 100 - 1, 99.99 / 101 - 1
    assert first["id"] == f"symbol:A|ewma-normal|1s|0.99|4|{2 * S}"
    assert (first["ts_ns"], first["valid"], second["valid"]) == (2 * S, False, True)
    assert first["var"] == pytest.approx(Z99 * 2 * abs(r1), rel=1e-12)
    assert first["es"] == pytest.approx(2 * abs(r1) * PHI_Z99 / 0.01, rel=1e-12)
    sigma = math.sqrt(0.94 * r1**2 + 0.06 * r2**2)
    assert second["var"] == pytest.approx(Z99 * 2 * sigma, rel=1e-12)
    assert (second["components"], second["scope"]) == (None, "symbol:A")


def test_a_breach_is_signalled_once_a_direction_and_forecast() -> None:
    # The forecast after two bars: reference 101, sigma 1 %, threshold 2.326 %.
    ticks = [trade(0, 100), trade(1, 101)]
    ticks += [trade(2.1, 103), trade(2.2, 104), trade(2.3, 98), trade(2.4, 110), trade(2.5, 90)]
    signals = outputs(*ticks)["signals"]
    assert [(signal["id"], signal["kind"]) for signal in signals] == [
        ("t/0/3/0", "breach_up"),
        ("t/0/4/0", "breach_down"),
    ]
    assert signals[0]["value"] == pytest.approx(3 / 101, rel=1e-12)
    assert signals[0]["threshold"] == pytest.approx(Z99 * 0.01, rel=1e-12)
    assert signals[1]["threshold"] == -signals[0]["threshold"]


def test_the_next_forecast_allows_the_next_breach() -> None:
    # After 2 s: reference 101, threshold 2.3 %; after 3 s: reference 104, threshold 2.7 %.
    ticks = trade(0, 100), trade(1, 101), trade(2.1, 104), trade(3.1, 110), trade(3.2, 120)
    assert [signal["id"] for signal in outputs(*ticks)["signals"]] == ["t/0/2/0", "t/0/3/0"]


def test_the_trade_that_closes_a_bar_is_judged_by_the_new_forecast() -> None:
    settings = replace(BASE, min_observations=2)
    flat = trade(0, 100), trade(1, 100), trade(2, 100)
    (signal,) = outputs(*flat, trade(3, 101), settings=settings)["signals"]
    assert (signal["value"], signal["threshold"]) == (101 / 100 - 1, 0.0)
    assert outputs(*flat[1:], trade(3, 101), settings=settings)["signals"] == []


def test_an_excluded_trade_makes_no_breach() -> None:
    settings = replace(BASE, excluded_conditions=frozenset({"odd"}))
    ticks = trade(0, 100), trade(1, 101), trade(2, 200, condition="odd")
    assert outputs(*ticks, settings=settings)["signals"] == []


TWO = replace(BASE, partitions=2, portfolios={"P": {"A": 0.5, "B": 0.25}})


def other(ts_s: float, price: float) -> Tick:
    return replace(trade(ts_s, price), partition=1, symbol="B")


def of_portfolio(records: list[Record]) -> list[Record]:
    return [record for record in records if record["scope"] == "portfolio:P"]


def test_portfolio_var_and_its_components() -> None:
    ticks = trade(0, 100), trade(1, 102), other(0, 100), other(1, 101), beat(2), beat(2, 1)
    (record,) = of_portfolio(outputs(*ticks, settings=TWO)["risk"])
    # r = (2 %, 1 %), S = rr', w'Sw = (0.5 * 2 % + 0.25 * 1 %)^2 = (1.25 %)^2
    assert record["id"] == f"portfolio:P|ewma-normal|1s|0.99|1|{2 * S}"
    assert record["var"] == pytest.approx(Z99 * 0.0125, rel=1e-12)
    assert record["es"] == pytest.approx(0.0125 * PHI_Z99 / 0.01, rel=1e-12)
    assert record["components"] == {
        "A": pytest.approx(Z99 * 0.01, rel=1e-12),
        "B": pytest.approx(Z99 * 0.0025, rel=1e-12),
    }
    assert record["valid"] is True


def test_portfolio_risk_grows_with_the_root_of_the_horizon() -> None:
    settings = replace(TWO, horizons=(1, 4))
    ticks = trade(0, 100), trade(1, 102), beat(2), beat(2, 1)
    one, four = of_portfolio(outputs(*ticks, settings=settings)["risk"])
    assert (one["horizon"], four["horizon"]) == (1, 4)
    assert four["var"] == pytest.approx(2 * one["var"], rel=1e-12)
    assert four["es"] == pytest.approx(2 * one["es"], rel=1e-12)
    assert four["components"]["A"] == pytest.approx(2 * one["components"]["A"], rel=1e-12)


def test_a_covariance_of_two_bars() -> None:
    ticks = [trade(0, 100), trade(1, 102), trade(2, 102), other(0, 100), other(2, 101)]
    risk = of_portfolio(outputs(*ticks, beat(3), beat(3, 1), settings=TWO)["risk"])
    # At 2 s only A returns 2 %; at 3 s A returns 0 and B 1 %: S = diag(.94 * 4e-4, .06 * 1e-4).
    sigma = math.sqrt(0.94 * 4e-4 * 0.25 + 0.06 * 1e-4 * 0.0625)
    assert [record["valid"] for record in risk] == [False, True]
    assert risk[1]["var"] == pytest.approx(Z99 * sigma, rel=1e-12)
    assert sum(risk[1]["components"].values()) == pytest.approx(risk[1]["var"], rel=1e-12)


def test_a_silent_partition_holds_the_portfolios_back() -> None:
    ticks = trade(0, 100), trade(1, 102), trade(2, 103)
    assert of_portfolio(outputs(*ticks, settings=TWO)["risk"]) == []
    assert len(of_portfolio(outputs(*ticks, beat(2, 1), settings=TWO)["risk"])) == 1


def test_a_portfolio_without_a_bar_at_that_time_makes_no_forecast() -> None:
    settings = replace(TWO, portfolios={"P": {"A": 0.5}, "Q": {"B": 0.5}})
    ticks = trade(0, 100), trade(1, 101), other(0, 100), beat(2), beat(2, 1)
    risk = outputs(*ticks, settings=settings)["risk"]
    assert [record["scope"] for record in risk] == ["portfolio:P", "symbol:A"]


def test_a_first_bar_has_no_return_but_brings_its_portfolio_a_forecast() -> None:
    ticks = trade(0, 100), trade(1, 102), other(1, 50), beat(2), beat(2, 1)
    settings = replace(TWO, portfolios={"P": {"A": 0.5}, "Q": {"B": 0.5}})
    risk = outputs(*ticks, settings=settings)["risk"]
    assert [(record["scope"], record["valid"]) for record in risk] == [
        ("portfolio:P", True),
        ("portfolio:Q", False),
        ("symbol:A", True),
    ]


def test_a_portfolio_breach_upwards() -> None:
    settings = replace(TWO, portfolios={"P": {"A": 0.5}})
    ticks = trade(0, 100), trade(1, 101), trade(2, 111.1), beat(3), beat(3, 1)
    (signal,) = of_portfolio(outputs(*ticks, settings=settings)["signals"])
    assert signal["kind"] == "breach_up"
    assert signal["value"] == pytest.approx(0.05, rel=1e-12)
    assert signal["threshold"] == pytest.approx(Z99 * 0.005, rel=1e-12)


def test_a_forecast_that_is_not_valid_makes_no_portfolio_breach() -> None:
    settings = replace(TWO, portfolios={"P": {"A": 0.5}}, min_observations=2)
    ticks = trade(0, 100), trade(1, 101), trade(2, 111.1), beat(3), beat(3, 1)
    assert of_portfolio(outputs(*ticks, settings=settings)["signals"]) == []


def test_a_flat_portfolio_has_components_of_zero() -> None:
    ticks = trade(0, 100), trade(1, 100), beat(2), beat(2, 1)
    (record,) = of_portfolio(outputs(*ticks, settings=TWO)["risk"])
    assert (record["var"], record["components"]) == (0.0, {"A": 0.0, "B": 0.0})


def test_a_portfolio_breach_is_judged_by_the_forecast_before_it() -> None:
    settings = replace(TWO, portfolios={"P": {"A": 0.5}})
    ticks = trade(0, 100), trade(1, 101), trade(2, 90.9), beat(3), beat(3, 1)
    (signal,) = of_portfolio(outputs(*ticks, settings=settings)["signals"])
    assert signal == {
        "id": f"portfolio:P|{3 * S}",
        "ts_ns": 3 * S,
        "scope": "portfolio:P",
        "kind": "breach_down",
        "method": "ewma-normal",
        "value": pytest.approx(-0.05, rel=1e-12),
        "threshold": pytest.approx(-Z99 * 0.005, rel=1e-12),
    }
