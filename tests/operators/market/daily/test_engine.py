"""What the daily engine makes of events between closes, of answers, and of restarts."""

from __future__ import annotations

import pickle
from dataclasses import replace
from datetime import UTC, date, datetime, time
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.audit import Verifier
from operators.market.daily.engine import Daily
from operators.market.daily.settings import DailySettings, Shock, Target
from operators.market.models import answer
from state.outputs import to_json
from tests.daily_events import DAY_NS, START_NS, close_ns, closes, portfolio

SMALL = DailySettings(methods=("historical", "ewma-normal"), window=20, confidences=(0.9,))


DEFAULTS = {"ex_ns": None, "value": 1.0, "rebalance": "daily"}
time_of = itemgetter("ts_ns")


def run(
    events: list[dict], settings: DailySettings = SMALL, restart: int = 0, **more: Any
) -> dict[str, list[dict]]:
    """Return the records by output; ``restart``: after so many times, go on from a snapshot."""
    daily = Daily(settings, **more)
    found: dict[str, list[dict]] = {}
    by_time = groupby(sorted(events, key=time_of), time_of)
    for number, (ts_ns, together) in enumerate(by_time):
        items = [
            (int(event["type"] == "closes"), "t", 0, place, 0, DEFAULTS | event)
            for place, event in enumerate(together)
        ]
        for output, _, _, _, record in daily.accept(ts_ns, sorted(items)):
            found.setdefault(output, []).append(record)
        if restart and number % restart == 0:
            kept = pickle.loads(pickle.dumps(daily.snapshot()))
            daily = Daily(settings, **more)
            daily.restore(kept)
    return found


def prices(session: int, **of: float) -> dict:
    return {"type": "closes", "ts_ns": close_ns(session), "prices": of}


def at(session: int, **event: Any) -> dict:
    """Return an event in the night before a session."""
    return event | {"ts_ns": close_ns(session) - DAY_NS // 2}


def profits(events: list[dict]) -> list[float]:
    return [record["return"] for record in run(events)["pnl"]]


def test_a_return_is_that_of_the_weights():
    events = [portfolio("P", {"A": 0.5, "B": -0.5}), prices(0, A=10, B=20), prices(1, A=11, B=19)]
    assert profits(events) == pytest.approx([0.5 * 0.1 + 0.5 * 0.05])


def test_a_split_is_no_move_and_a_dividend_no_loss():
    events = [
        portfolio("P", {"A": 1.0}),
        prices(0, A=100.0),
        at(1, type="split", symbol="A", ratio=4.0),
        prices(1, A=25.0),
        at(2, type="dividend", symbol="A", amount=1.0),
        prices(2, A=24.0),
        prices(3, A=24.0),
    ]
    assert profits(events) == [0.0, 0.0, 0.0]


def test_an_action_waits_for_its_ex_time_and_for_a_price():
    split = {"type": "split", "symbol": "A", "ratio": 2.0, "ex_ns": close_ns(2)}
    events = [
        portfolio("P", {"A": 0.5, "B": 0.5}),
        split | {"ts_ns": START_NS - 5},
        prices(0, A=100.0, B=1.0),
        prices(1, A=110.0, B=1.0),
        prices(2, B=1.0),
        prices(3, A=55.0, B=1.0),
    ]
    assert profits(events) == pytest.approx([0.05, 0.0, 0.0], abs=1e-15)


def test_on_one_day_the_split_comes_before_the_dividend():
    events = [
        portfolio("P", {"A": 1.0}),
        prices(0, A=100.0),
        at(1, type="dividend", symbol="A", amount=1.0),
        at(1, type="split", symbol="A", ratio=2.0),
        prices(1, A=49.0),
    ]
    assert profits(events) == [0.0]


def test_a_missing_price_is_carried():
    events = [
        portfolio("P", {"A": 0.5, "B": 0.5}),
        prices(0, A=10.0, B=10.0),
        prices(1, A=11.0),
        prices(2, A=11.0, B=12.0),
    ]
    assert profits(events) == pytest.approx([0.05, 0.1])


def test_weights_that_are_never_rebalanced_drift():
    events = [
        portfolio("P", {"A": 0.5, "B": 0.5}, rebalance="never"),
        prices(0, A=10.0, B=10.0),
        prices(1, A=20.0, B=10.0),
        prices(2, A=40.0, B=10.0),
    ]
    assert profits(events) == pytest.approx([0.5, 2 / 3])
    assert run(events)["pnl"][-1]["value"] == pytest.approx(2.5)


def test_positions_are_valued_at_the_close_and_follow_splits():
    events = [
        at(0, type="position", portfolio="P", symbol="A", quantity=10.0),
        at(0, type="position", portfolio="P", symbol="B", quantity=-5.0),
        prices(0, A=10.0, B=4.0),
        at(1, type="split", symbol="A", ratio=2.0),
        prices(1, A=6.0, B=4.0),
        at(2, type="position", portfolio="P", symbol="B", quantity=0.0),
        prices(2, A=6.0, B=400.0),
    ]
    found = run(events)["pnl"]
    assert [r["pnl"] for r in found] == pytest.approx([20.0, 0.0])
    assert [r["value"] for r in found] == pytest.approx([100.0, 120.0])


def test_a_position_is_told_in_the_shares_of_its_time():
    after = [
        prices(0, A=100.0),
        at(1, type="split", symbol="A", ratio=4.0),
        at(1, type="position", portfolio="P", symbol="A", quantity=40.0),
        prices(1, A=26.0),
        prices(2, A=26.0),
    ]
    told = after[2] | {"quantity": 10.0, "ts_ns": after[1]["ts_ns"] - 1}
    before = [told, *(event for event in after if event["type"] != "position")]
    for events in (after, before):
        found = run(events)["pnl"]
        assert [r["pnl"] for r in found] == pytest.approx([40.0, 0.0])
        assert [r["value"] for r in found] == [1040.0, 1040.0]


def test_positions_follow_a_split_before_the_first_close():
    events = [
        at(0, type="position", portfolio="P", symbol="A", quantity=10.0),
        at(0, type="split", symbol="A", ratio=2.0) | {"ts_ns": close_ns(0) - 1},
        prices(0, A=50.0),
        prices(1, A=51.0),
    ]
    (found,) = run(events)["pnl"]
    assert (found["pnl"], found["value"]) == (pytest.approx(20.0), 1020.0)


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


def test_a_portfolio_without_weights_ends():
    events = [portfolio("P", {"A": 1.0}), *closes(1, 3), portfolio("P", {}, 3), *closes(1, 9)[3:]]
    assert len(run(events)["pnl"]) == 2


def test_a_change_between_closes_gives_a_new_forecast_which_is_the_one_that_counts():
    events = [portfolio("P", {"A": 1.0}), *closes(1, 40)]
    changed = at(39, type="portfolio", portfolio="P", weights={"A": 2.0}, value=1.0)
    before = [r for r in run(events)["risk"] if r["ts_ns"] == close_ns(38)]
    found = run([*events, changed])
    after = [r for r in found["risk"] if r["ts_ns"] == changed["ts_ns"]]
    assert [r["var"] for r in after] == pytest.approx([2 * r["var"] for r in before])
    assert found["pnl"][-1]["return"] == pytest.approx(2 * run(events)["pnl"][-1]["return"])


def test_stress_is_the_sum_of_shocks_with_the_second_order():
    scenarios = {
        "made up": Shock(shocks={"A": -0.2}, other=-0.1, gamma={"B": 4.0}),
    }
    made = DailySettings(methods=("historical",), window=20, scenarios=scenarios)
    found = run([portfolio("P", {"A": 0.5, "B": 0.5}, value=100.0), *closes(1, 3)], made)
    assert found["stress"][0]["return"] == pytest.approx(-0.1 - 0.05 + 0.5 * 4 * 0.01)


def test_a_historical_scenario_repeats_its_sessions_once_they_have_been_seen():
    days = [datetime.fromtimestamp(close_ns(i) // 10**9, UTC).date() for i in range(9)]
    made = DailySettings(
        methods=("historical",),
        window=20,
        scenarios={"then": Shock(since=days[3], until=days[5])},
    )
    given_closes = closes(1, 9)
    found = run([portfolio("P", {"A": 1.0}), *given_closes], made)["stress"]
    moved = given_closes[5]["prices"]["A"] / given_closes[2]["prices"]["A"] - 1
    assert [r["ts_ns"] for r in found] == [close_ns(i) for i in range(5, 9)]
    assert found[-1]["return"] == pytest.approx(moved)


@pytest.mark.parametrize("how", ["zone", "session"])
def test_a_session_keeps_the_date_of_its_exchange(how: str) -> None:
    """Closes at 20:30 in New York are of the next day in UTC."""
    new_york = ZoneInfo("America/New_York")
    days = [date(2024, 3, day) for day in (4, 5, 6, 7, 8)]
    events: list[dict] = [portfolio("P", {"A": 1.0})]
    for number, day in enumerate(days):
        close = datetime.combine(day, time(20, 30), new_york)
        body = {"type": "closes", "ts_ns": int(close.timestamp()) * 10**9}
        said = {"session": day.isoformat()} if how == "session" else {}
        events.append(body | said | {"prices": {"A": 100.0 - 10 * number}})
    shock = Shock(since=days[2], until=days[3])
    made = replace(SMALL, scenarios={"then": shock})
    if how == "zone":
        made = replace(made, zone=new_york)
    found = run(events, made, restart=1)["stress"]
    assert [r["return"] for r in found] == pytest.approx([70 / 90 - 1] * 2)


def test_a_historical_scenario_whose_sessions_were_never_seen_says_nothing():
    from datetime import date

    made = replace(
        SMALL, scenarios={"then": Shock(since=date(2008, 9, 15), until=date(2008, 11, 20))}
    )
    assert "stress" not in run([portfolio("P", {"A": 1.0}), *closes(1, 4)], made)


@pytest.mark.parametrize(("first", "listed", "told"), [(0, 0, True), (4, 0, False), (0, 4, False)])
def test_a_period_that_was_seen_in_part_says_nothing(first, listed, told):
    """The recording begins within it, or an asset does."""
    days = [datetime.fromtimestamp(close_ns(i) // 10**9, UTC).date() for i in range(9)]
    made = replace(SMALL, scenarios={"then": Shock(since=days[3], until=days[5])})
    known = [
        event | {"prices": {s: p for s, p in event["prices"].items() if s == "A" or i >= listed}}
        for i, event in enumerate(closes(1, 9))
        if i >= first
    ]
    found = run([portfolio("P", {"A": 0.5, "B": 0.5}, first), *known], made)
    assert ("stress" in found) == told
    assert "stress" in run([portfolio("P", {"A": 1.0}, first), *known], made) or first


def test_what_was_sold_short_is_owed_when_the_value_is_gone():
    quotes = [147.98, 347.51, 193.60, 325.00]
    events = [
        portfolio("P", {"GME": -1.0}, rebalance="never", value=1000.0),
        *(prices(session, GME=price) for session, price in enumerate(quotes)),
    ]
    shares = -1000.0 / quotes[0]
    expected = [shares * (after - before) for before, after in pairwise(quotes)]
    assert expected == pytest.approx([-1348.36, 1040.07, -887.96], abs=0.005)
    found = run(events)["pnl"]
    assert [record["pnl"] for record in found] == pytest.approx(expected)
    assert found[-1]["value"] == pytest.approx(1000.0 + sum(expected))
    assert [record["return"] > 0 for record in found] == [False, True, False]


def test_weights_that_are_restored_are_of_nothing_when_the_value_is_gone():
    events = [
        portfolio("P", {"A": 2.0}, value=100.0),
        *(prices(session, A=price) for session, price in enumerate([10.0, 4.0, 8.0, 4.0])),
    ]
    assert [record["pnl"] for record in run(events)["pnl"]] == pytest.approx([-120.0, 0.0, 0.0])


def late_asset(late: int, sessions: int) -> list[dict]:
    """Return closes in which C has its first price at session ``late``."""
    return [
        event | {"prices": {s: p for s, p in event["prices"].items() if s != "C" or i >= late}}
        for i, event in enumerate(closes(3, sessions))
    ]


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


def test_weights_are_of_the_sessions_that_all_assets_have_and_say_so():
    asked = replace(TARGETS, methods=("historical",))
    events = [portfolio("P", {"A": 0.5, "B": 0.3, "C": 0.2}), *late_asset(40, 90)]
    found = run(events, asked, compute=answer)
    sessions = [len(request["input"]["returns"]) for request in found["requests"]]
    assert sessions[0] == asked.min_observations == 20
    assert sessions[-1] == 30
    reasons = [record["reason"] for record in found["weights"]]
    assert reasons[0] == "of the 20 sessions that all assets have"
    assert reasons[-1] == ""
    assert not any(record["stale"] for record in found["weights"])


def test_weights_name_an_asset_that_does_not_trade():
    events = [portfolio("P", {"A": 0.5, "B": 0.3, "C": 0.2})]
    for number, event in enumerate(closes(3, 60)):
        given = {s: p for s, p in event["prices"].items() if s != "B" or number < 40}
        events.append(event | {"prices": given})
    reasons = [r["reason"] for r in run(events, TARGETS, compute=answer)["weights"]]
    assert "" in reasons
    assert reasons[-1].startswith("B has not moved for 1")


TARGETS = DailySettings(
    methods=("historical", "garch-normal"),
    window=30,
    models_every=7,
    targets={"P": Target("min-variance", every=7, apply=True)},
)
EVENTS = [portfolio("P", {"A": 0.5, "B": 0.3, "C": 0.2}), *closes(3, 60)]


def test_target_weights_count_from_their_time_and_are_taken_over():
    found = run(EVENTS, TARGETS, compute=answer)
    assert [r["stale"] for r in found["weights"]] == [False] * 5
    first, request = found["weights"][0], found["requests"][0]
    assert first["ts_ns"] == close_ns(31)  # the first time from which it counts
    assert request["ts_ns"] == close_ns(30)
    assert first["ts_ns"] >= request["counts_from_ns"]
    moved = np.array(
        [closes(3, 60)[31]["prices"][s] / closes(3, 60)[30]["prices"][s] - 1 for s in "ABC"]
    )
    weights = np.array([first["weights"][s] for s in "ABC"])
    assert found["pnl"][30]["return"] == pytest.approx(float(moved @ weights))


def test_weights_that_are_taken_over_are_judged_by_figures_of_their_own():
    asked = replace(TARGETS, methods=("historical",))
    found = run(EVENTS, asked, compute=answer)
    times = [r["counts_from_ns"] for r in found["requests"]]
    told = [
        {"type": "portfolio", "portfolio": "P", "ts_ns": ts_ns, "weights": record["weights"]}
        for ts_ns, record in zip(times, found["weights"], strict=False)
    ]
    by_hand = run([*EVENTS, *told], replace(asked, targets={}))
    assert len(told) == 5
    assert [found[name] for name in ("pnl", "risk", "backtest")] == [
        by_hand[name] for name in ("pnl", "risk", "backtest")
    ]


def test_without_a_delay_figures_have_still_one_time_each():
    found = run(EVENTS, replace(TARGETS, models_delay_ns=0), compute=answer)
    assert len({r["id"] for r in found["risk"]}) == len(found["risk"])


def test_weights_of_other_assets_than_are_held_by_now_are_not_taken_over():
    given_closes = closes(3, 60, ["A", "B", "C", "D"])
    start = portfolio("P", {"A": 0.5, "B": 0.5})
    change = {"type": "portfolio", "portfolio": "P", "weights": {"C": 0.5, "D": 0.5}}
    asked = run([start, *given_closes], TARGETS, compute=answer)["requests"]
    first = next(r for r in asked if r["model"] == "weights")
    found = run(
        [start, *given_closes, change | {"ts_ns": first["counts_from_ns"] - 1}],
        replace(TARGETS, models_every=21, targets={"P": replace(TARGETS.targets["P"], every=40)}),
        compute=answer,
    )
    (record,) = found["weights"]
    assert (record["stale"], record["weights"]) == (True, {"A": 0.5, "B": 0.5})
    assert record["reason"] == "the portfolio holds other assets by now"
    moves = [given_closes[32]["prices"][s] / given_closes[31]["prices"][s] - 1 for s in "CD"]
    assert found["pnl"][31]["return"] == pytest.approx(sum(moves) / 2)


def test_an_answer_that_counts_from_a_close_counts_after_it():
    found = run(EVENTS, replace(TARGETS, models_delay_ns=DAY_NS), compute=answer)
    assert found["weights"][0]["ts_ns"] == close_ns(31)
    unasked = run(EVENTS, replace(TARGETS, targets={}), compute=answer)
    assert found["pnl"][:31] == unasked["pnl"][:31]
    assert found["pnl"][31] != unasked["pnl"][31]


def test_quantities_are_told_by_events_alone():
    held = [at(0, type="position", portfolio="P", symbol=s, quantity=9.0) for s in "ABC"]
    found = run([*held, *closes(3, 60)], TARGETS, compute=answer)
    assert found["weights"]
    unasked = run([*held, *closes(3, 60)], replace(TARGETS, targets={}), compute=answer)
    assert found["pnl"] == unasked["pnl"]


def test_nothing_that_an_answer_counts_for_is_said_before_it_comes():
    whole = run(EVENTS, TARGETS, compute=answer)
    daily = Daily(TARGETS)
    found: dict[str, list[dict]] = {}
    asked: list[dict] = []

    def put(records: list[Any]) -> None:
        for output, _, _, _, record in records:
            found.setdefault(output, []).append(record)
            if output == "requests":
                asked.append(record)

    for number, event in enumerate(sorted(EVENTS, key=lambda e: e["ts_ns"])):
        body = {"value": 1.0, "rebalance": "daily"} | event
        put(
            daily.accept(
                event["ts_ns"], [(int(event["type"] == "closes"), "t", 0, number, 0, body)]
            )
        )
        if number == 40:
            assert found["pnl"][-1]["ts_ns"] == close_ns(30)
            assert daily.waiting == 9  # the closes 31 to 39
            assert daily.unanswered == 2
    while asked:
        put(daily.answer(answer(asked.pop(0))))
    assert found == whole


def test_a_failed_answer_leaves_the_last_good_weights_stale_with_a_reason():
    def fails_later(request: dict) -> dict:
        made = answer(request)
        if request["model"] == "weights" and request["ts_ns"] > close_ns(40):
            made |= {"status": "failed", "reason": "infeasible", "output": {}}
        return made

    found = run(EVENTS, TARGETS, compute=fails_later)["weights"]
    good = [r for r in found if not r["stale"]]
    stale = [r for r in found if r["stale"]]
    assert good
    assert stale
    assert {r["reason"] for r in stale} == {"infeasible"}
    assert all(r["weights"] == good[-1]["weights"] for r in stale)


def test_decisions_are_chained():
    lines = [to_json(r) + b"\n" for r in run(EVENTS, TARGETS, compute=answer)["audit"]]
    assert len(lines) == 10
    verifier = Verifier()
    assert len(list(verifier.read(lines))) == 10
    assert verifier.fault is None


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


@pytest.mark.parametrize(
    ("held", "target", "prior"),
    [
        ({"A": 0.5, "B": 0.3, "C": 0.2}, {}, [0.5, 0.3, 0.2]),
        ({"A": 0.5, "B": 0.3, "C": 0.2}, {"apply": True}, [1 / 3, 1 / 3, 1 / 3]),
        ({"A": 0.9, "B": 0.3, "C": -0.2}, {}, [1 / 3, 1 / 3, 1 / 3]),
        ({"A": 0.5, "B": 0.3, "C": 0.2}, {"market_weights": {"A": 3.0, "C": 1.0}}, [0.75, 0, 0.25]),
        (
            {"A": 0.5, "B": 0.3, "C": 0.2},
            {"apply": True, "market_weights": {"A": 3.0, "C": 1.0, "other": 9.0}},
            [0.75, 0, 0.25],
        ),
    ],
)
def test_without_views_black_litterman_says_the_equilibrium(held, target, prior):
    made = replace(TARGETS, targets={"P": Target("black-litterman", every=99, **target)})
    found = run([portfolio("P", held), *closes(3, 40)], made, compute=answer)
    (weights,) = found["weights"]
    assert not weights["stale"], weights["reason"]
    assert list(weights["weights"].values()) == pytest.approx(prior, abs=1e-5)
    (request,) = [r for r in found["requests"] if r["model"] == "weights"]
    assert answer(request)["output"]["weights"] == weights["weights"]


def test_a_market_of_other_assets_is_no_equilibrium():
    target = Target("black-litterman", every=99, market_weights={"other": 1.0})
    made = replace(TARGETS, targets={"P": target})
    (weights,) = run(EVENTS, made, compute=answer)["weights"]
    assert weights["stale"]
    assert "equilibrium" in weights["reason"]


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


def test_answers_may_come_before_their_requests_and_twice():
    whole = run(EVENTS, TARGETS, compute=answer)
    daily = Daily(TARGETS)
    for request in [*whole["requests"], *whole["requests"]]:
        daily.answer(answer(request))
    found: dict[str, list[dict]] = {}
    for number, event in enumerate(sorted(EVENTS, key=lambda e: e["ts_ns"])):
        body = {"value": 1.0, "rebalance": "daily"} | event
        items = [(int(event["type"] == "closes"), "t", 0, number, 0, body)]
        for output, _, _, _, record in daily.accept(event["ts_ns"], items):
            found.setdefault(output, []).append(record)
    assert found == whole


def position(ts_ns: int, quantity: float, symbol: str = "A") -> dict:
    event = {"type": "position", "portfolio": "Q", "symbol": symbol, "quantity": quantity}
    return event | {"ts_ns": ts_ns}


def equities(*events: dict) -> list[tuple[float, ...]]:
    """Return (pnl, value, equity) of each session."""
    found = run(list(events), restart=1)["pnl"]
    return [tuple(round(r[name], 9) for name in ("pnl", "value", "equity")) for r in found]


def test_selling_positions_changes_no_equity() -> None:
    """Case 7: 800 at 10, then 400 at 10: P&L is 0 on all days, and then the price halves."""
    events = [
        position(close_ns(0) - 1, 800.0),
        *(prices(session, A=10.0) for session in range(3)),
        position(close_ns(2) + 1, 400.0),
        prices(3, A=10.0),
        prices(4, A=5.0),
        position(close_ns(4) + 1, 0.0),
        prices(5, A=5.0),
        position(close_ns(5) + 1, 1200.0),
        prices(6, A=6.0),
        position(close_ns(6) + 1, 2000.0),
        prices(7, A=6.0),
    ]
    assert equities(*events) == [
        (0.0, 8000.0, 8000.0),
        (0.0, 8000.0, 8000.0),
        (0.0, 4000.0, 8000.0),
        (-2000.0, 2000.0, 6000.0),
        (1200.0, 7200.0, 7200.0),
        # More than there was: 4,800 were paid in.
        (0.0, 12000.0, 12000.0),
    ]


def test_cash_that_is_told_counts_and_none_is_paid_in() -> None:
    cash = {"type": "cash", "portfolio": "Q", "amount": 500.0, "ts_ns": close_ns(1) + 1}
    events = [
        position(close_ns(0) - 1, 10.0), prices(0, A=10.0), prices(1, A=10.0), cash,
        prices(2, A=11.0), position(close_ns(2) + 1, 100.0), prices(3, A=12.0),
        cash | {"amount": -700.0, "ts_ns": close_ns(3) + 1}, prices(4, A=12.0),
    ]  # fmt: skip
    assert equities(*events) == [
        (0.0, 100.0, 100.0),
        (10.0, 110.0, 610.0),
        (100.0, 1200.0, 710.0),
        (0.0, 1200.0, 500.0),
    ]


def test_what_is_sold_short_needs_its_own_money() -> None:
    events = [position(close_ns(0) - 1, -10.0), prices(0, A=10.0), prices(1, A=11.0)]
    assert equities(*events) == [(-10.0, -110.0, 90.0)]


@pytest.mark.parametrize(("word", "told", "kept"), [(0.5, 2.0, False), (2.0, 5.0, True)])
def test_words_that_are_told_late_and_answers_count_in_the_order_of_their_times(
    word: float, told: float, kept: bool
) -> None:
    """Weights are asked for at a close, and count an hour later; others are told beside them."""
    hour_ns = 3600 * 10**9
    settings = replace(TARGETS, methods=("historical",), models_delay_ns=hour_ns)
    asked = next(r["ts_ns"] for r in run(EVENTS, settings, compute=answer)["requests"])
    before = [event for event in EVENTS if event["ts_ns"] <= asked]
    weights = {"A": 0.8, "B": 0.1, "C": 0.1}
    own = portfolio("P", weights) | {"ts_ns": asked + int(word * hour_ns)}

    def held(*moments: tuple[float, dict | None]) -> dict:
        daily = Daily(settings, compute=answer)
        for event in sorted(before, key=time_of):
            is_close = int(event["type"] == "closes")
            daily.accept(event["ts_ns"], [(is_close, "t", 0, 0, 0, DEFAULTS | event)])
        for hours, late in moments:
            items = [] if late is None else [(0, "t", 0, 1, 0, DEFAULTS | late)]
            daily.accept(asked + int(hours * hour_ns), items)
        found: dict = daily.describe("P")["holdings"]["weights"]
        return found

    on_time = held((word, own), (1.5, None), (6.0, None))
    assert (on_time == weights) == kept
    assert held((told, own), (6.0, None)) == on_time
    assert kept or held((1.5, None), (told, own), (6.0, None)) == on_time
