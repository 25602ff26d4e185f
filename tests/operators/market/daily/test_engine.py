"""What the daily engine forecasts, and that a restart changes none of it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.market.daily.settings import DailySettings
from operators.market.models import answer
from state.outputs import to_json
from tests.daily_events import close_ns, closes, portfolio
from tests.operators.market.daily.runs import TARGETS, at, late_asset, run


def test_a_change_at_the_close_itself_counts_after_it():
    events = [portfolio("P", {"A": 1.0}), *closes(1, 40)]
    at_close = {"type": "portfolio", "portfolio": "P", "weights": {"A": 2.0}, "ts_ns": close_ns(38)}
    later = at_close | {"ts_ns": close_ns(38) + 1}
    found, wanted = run([at_close, *events]), run([*events, later])
    assert found["pnl"] == wanted["pnl"]
    assert found["backtest"] == wanted["backtest"]
    again = [r for r in wanted["risk"] if r["ts_ns"] == close_ns(38) + 1]
    assert [r["var"] for r in found["risk"] if r["ts_ns"] == close_ns(38)] == [
        r["var"] for r in again
    ]


def test_a_change_between_closes_gives_a_new_forecast_which_is_the_one_that_counts():
    events = [portfolio("P", {"A": 1.0}), *closes(1, 40)]
    changed = at(39, type="portfolio", portfolio="P", weights={"A": 2.0}, value=1.0)
    before = [r for r in run(events)["risk"] if r["ts_ns"] == close_ns(38)]
    found = run([*events, changed])
    after = [r for r in found["risk"] if r["ts_ns"] == changed["ts_ns"]]
    assert [r["var"] for r in after] == pytest.approx([2 * r["var"] for r in before])
    assert found["pnl"][-1]["return"] == pytest.approx(2 * run(events)["pnl"][-1]["return"])


def test_what_is_missing_is_not_zero_in_figures():
    events = [portfolio("P", {"A": 0.4, "B": 0.3, "C": 0.3}), *late_asset(30, 60)]
    found = run(events)
    valid = [record["ts_ns"] for record in found["risk"] if record["valid"]]
    assert min(valid) == close_ns(50), "20 returns of C, after its first price at 30"
    assert min(record["ts_ns"] for record in found["backtest"]) == close_ns(51)
    whole = run([portfolio("P", {"A": 0.4, "B": 0.3, "C": 0.3}), *closes(3, 60)])
    assert min(r["ts_ns"] for r in whole["risk"] if r["valid"]) == close_ns(20)


def test_an_asset_of_which_nothing_is_held_is_not_missed():
    events = [portfolio("P", {"A": 0.6, "B": 0.4, "D": 0.0}), *closes(3, 30)]
    assert min(r["ts_ns"] for r in run(events)["risk"] if r["valid"]) == close_ns(20)


@settings(max_examples=15)
@given(seed=st.integers(0, 99), restart=st.integers(1, 9))
def test_a_restart_changes_no_byte(seed, restart):
    events = [
        *closes(seed, 45),
        portfolio("P", {"A": 0.5, "B": 0.3, "C": 0.2}),
        portfolio("N", {"A": 0.6, "C": 0.4}, 5, rebalance="never"),
        at(9, type="position", portfolio="Q", symbol="B", quantity=-3.0),
        at(12, type="split", symbol="B", ratio=2.0),
        at(20, type="view", portfolio="P", view="v", assets={"A": 1.0}, confidence=0.5)
        | {"return": 0.01},
    ]
    whole = run(events, TARGETS, compute=answer)
    again = run(events, TARGETS, restart, compute=answer)
    assert {k: list(map(to_json, v)) for k, v in again.items()} == {
        k: list(map(to_json, v)) for k, v in whole.items()
    }


def test_monte_carlo_is_near_the_normal_and_the_same_after_a_restart():
    both = ("ewma-normal", "monte-carlo-normal", "monte-carlo-t")
    made = DailySettings(methods=both, window=20, confidences=(0.95,), paths=20_000)
    events = [portfolio("P", {"A": 0.5, "B": 0.3, "C": 0.2}), *closes(3, 40)]
    found = run(events, made)["risk"]
    assert run(events, made, restart=7)["risk"] == found
    by_method = {m: [r for r in found if r["method"] == m] for m in both}
    for normal, drawn in zip(by_method[both[0]], by_method[both[1]], strict=True):
        # The standard error of a quantile: sqrt(c (1 - c) / n) over the density there.
        error = normal["var"] / 1.645 * (0.05 * 0.95 / 20_000) ** 0.5 / 0.1031
        assert abs(drawn["var"] - normal["var"]) < 5 * error
        assert sum(drawn["components"].values()) == pytest.approx(drawn["var"], rel=1e-9)
    assert by_method[both[2]][-1]["es"] > by_method[both[1]][-1]["es"]


@settings(max_examples=20)
@given(seed=st.integers(0, 99), scale=st.floats(0.1, 10.0))
def test_figures_grow_with_the_weights_and_a_zero_position_adds_nothing(seed, scale):
    weights = {"A": 0.5, "B": -0.2, "C": 0.7}
    base = run([portfolio("P", weights), *closes(seed, 40)])["risk"]
    grown = run([portfolio("P", {s: scale * w for s, w in weights.items()}), *closes(seed, 40)])[
        "risk"
    ]
    more = run([portfolio("P", weights | {"D": 0.0}), *closes(seed, 40)])["risk"]
    for one, two, three in zip(base, grown, more, strict=True):
        assert two["var"] == pytest.approx(scale * one["var"], rel=1e-9, abs=1e-12)
        assert two["es"] == pytest.approx(scale * one["es"], rel=1e-9, abs=1e-12)
        assert three["var"] == pytest.approx(one["var"], rel=1e-12, abs=1e-15)
        assert three["components"]["D"] == 0.0
