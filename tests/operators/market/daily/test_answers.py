"""Target weights and fits: what is asked for, and from when an answer counts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from operators.audit import Verifier
from operators.market.daily.engine import Daily
from operators.market.daily.settings import Target
from operators.market.models import answer
from state.outputs import to_json
from tests.daily_events import DAY_NS, close_ns, closes, portfolio
from tests.operators.market.daily.runs import (
    DEFAULTS,
    EVENTS,
    TARGETS,
    at,
    late_asset,
    run,
    time_of,
)


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
