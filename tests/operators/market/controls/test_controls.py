"""The controls as a whole: states and breakers, stale data, bad input, snapshots, bounds."""

from __future__ import annotations

import copy
import pickle
import random
from dataclasses import replace
from functools import partial
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from operators.market.controls.controls import Controls
from operators.market.controls.entries import Emitted, Entry
from operators.market.controls.limits import ControlSettings, Limits
from state.clock import NS
from state.errors import BadRecord, OutOfRange, SnapshotRefused
from state.records import Coordinates
from tests.operators.market.controls.stage import START, WIDE, Stage


def quoted(**limits: Any) -> Stage:
    """Return a stage with X at 100 and account A known."""
    made = Stage(ControlSettings(limits=replace(WIDE, **limits)))
    made.quote()
    made.order("0")
    return made


def test_a_decision_tells_what_it_was_made_from() -> None:
    s = quoted()
    s.put("market.bands", symbol="X", ts_ns=1, state="open", lower=90.0, upper=110.0)
    s.control("limits", max_quantity=7.0)
    s.control("state", state="REDUCING", reason="r")
    s.fill("0", side="sell", quantity=2.5)
    assert s.order("1", quantity=2) == {
        "id": "market.orders/0/2/0",
        "ts_ns": START,
        "account": "A",
        "order_id": "1",
        "kind": "order",
        "decision": "accept",
        "reason": "NONE",
        "code": -1,
        "state": "REDUCING",
        "state_source": "market.control/0/1",
        "mark": 100.0,
        "mark_source": "market.nbbo/0/0",
        "band_source": "market.bands/0/0",
        "limits_source": "market.control/0/0",
        "position": -2.5,
        "sequenced": "market.sequenced/0/6",
    } | {"reason": "ACCOUNT_REDUCING", "code": 0, "decision": "reject"}  # order 0 is open still
    s.cancel("0")
    assert s.order("2", quantity=2)["decision"] == "accept"


def test_the_kill_switch_stays_thrown_until_it_is_resumed() -> None:
    s = quoted()
    (killed,) = s.control("kill", reason="fat finger")
    assert killed == {
        "id": "market.control/0/0/0|A|kill",
        "ts_ns": START,
        "account": "A",
        "state": "HALTED",
        "event": "kill",
        "cause": "kill",
        "reason": "fat finger",
        "source": "market.control/0/0",
        "sequenced": "market.sequenced/0/2",
    }
    (told,) = s.control("state", state="ACTIVE")
    assert told["state"] == "HALTED"
    assert s.order("1")["reason"] == "ACCOUNT_HALTED"
    assert s.control("kill") == []
    assert [r["state"] for r in s.control("resume")] == ["ACTIVE"]
    assert s.order("2")["decision"] == "accept"
    assert s.control("resume") == []


def test_a_reason_that_is_null_is_none_and_does_not_hold_up_the_kill_switch() -> None:
    s = quoted()
    assert [r["state"] for r in s.control("kill", reason=None)] == ["HALTED"]


def test_what_halts_all_is_told_to_each_whom_it_changes() -> None:
    s = quoted()
    s.order("1", account="C")
    s.control("state", account="B", state="HALTED", new=True)
    told = s.control("kill", account="*", reason="all")
    assert [(r["account"], r["state"]) for r in told] == [
        ("*", "HALTED"),
        ("A", "HALTED"),
        ("C", "HALTED"),
    ]
    assert s.beat() == {"*": "HALTED", "A": "HALTED", "B": "HALTED", "C": "HALTED"}
    assert s.order("2", account="never seen")["reason"] == "ACCOUNT_HALTED"
    s.control("resume", account="A")
    assert s.beat()["A"] == "HALTED"
    s.control("resume", account="*")
    assert s.beat() == {"*": "ACTIVE", "A": "ACTIVE", "B": "HALTED", "C": "ACTIVE"} | {
        "never seen": "ACTIVE"
    }


@pytest.mark.parametrize("kind", ["kill", "resume", "state"])
def test_an_account_that_is_not_known_is_refused_unless_it_is_said_to_be_new(kind: str) -> None:
    s = quoted()
    with pytest.raises(OutOfRange, match="no known account"):
        s.control(kind, account="AA", state="HALTED")
    with pytest.raises(OutOfRange, match="no known account"):
        s.control(kind, account="AA", state="HALTED", new=False)
    assert set(s.beat()) == {"*", "A"}
    s.control(kind, account="AA", state="HALTED", new=True)
    assert set(s.beat()) == {"*", "A", "AA"}
    s.control(kind, account="AA", state="ACTIVE")


def test_an_account_held_back_before_its_first_order_stays_so() -> None:
    s = quoted()
    s.control("kill", account="late", new=True)
    assert s.order("1", account="late")["reason"] == "ACCOUNT_HALTED"


def test_an_account_has_one_spelling() -> None:
    s = quoted()
    s.order("1", account="Zo\u00eb")
    for spelling in (" Zo\u00eb", "Zoe\u0308", "Zo\u00eb\u3000\t"):
        (told,) = s.control("kill", account=spelling)
        assert told["account"] == "Zo\u00eb"
        assert s.order(spelling, account=spelling)["reason"] == "ACCOUNT_HALTED"
        s.control("resume", account=spelling)
    assert set(s.beat()) == {"*", "A", "Zo\u00eb"}


def test_accounts_of_before_are_spelled_as_today() -> None:
    s = quoted()
    s.put("market.control", type="kill", ts_ns=s.now_ns, account="A", reason="x")
    old = s.controls.snapshot()
    accounts = old["accounts"]["accounts"]
    accounts["Zoe\u0308 "] = accounts.pop("A")
    s.controls.restore(old)
    assert s.order("1", account="Zo\u00eb")["reason"] != "NONE"
    accounts["Zo\u00eb"] = accounts["Zoe\u0308 "]
    with pytest.raises(SnapshotRefused, match="two spellings"):
        s.controls.restore(old)
    del accounts["Zo\u00eb"]
    accounts["a|b"] = accounts["Zoe\u0308 "]
    with pytest.raises(SnapshotRefused, match="is not an account"):
        s.controls.restore(old)


@pytest.mark.parametrize("name", ["A\x00", "A\nB", "A\u200b", "\u202eA", "A\ud800", " * ", "\t"])
def test_a_name_that_cannot_be_read_is_no_account(name: str) -> None:
    s = quoted()
    with pytest.raises(OutOfRange):
        s.control("kill", account=name, new=True)
    assert s.order("1", account=name)["reason"] == "MALFORMED"


def test_a_heartbeat_tells_why() -> None:
    s = quoted()
    s.control("state", account="*", state="REDUCING", reason="fed day")
    records = [e.record for e in s.put("clock", type="clock", ts_ns=s.now_ns)]
    assert [(r["id"], r["cause"], r["reason"], r["source"]) for r in records] == [
        (f"clock/0/0/0|{account}|manual", "manual", "fed day", "market.control/0/0")
        for account in ("*", "A")
    ]


def test_the_drawdown_breaker_trips_and_comes_back_with_hysteresis() -> None:
    s = quoted(drawdown_limit=0.10, drawdown_resume=0.05)
    steps: list[tuple[float, list[str]]] = [(80.0, []), (100.0, []), (90.01, [])]
    steps += [(90.0, ["reduce"]), (80.0, []), (94.9, []), (95.0, ["reset"])]
    steps += [(91.0, []), (120.0, []), (108.0, ["reduce"]), (114.0, ["reset"])]
    found = [(value, [r["event"] for r in s.value(value)]) for value, _ in steps]
    assert found == steps


def test_what_is_taken_out_or_paid_in_is_no_drawdown_and_no_gain() -> None:
    """Case 7: positions of 800 at 10, then 400 at 10, and what else moves money without earning."""
    s = quoted(drawdown_limit=0.10, drawdown_resume=0.05)
    assert s.earned(0.0, 8000.0) == s.earned(0.0, 4000.0) == []
    assert [r["event"] for r in s.earned(-400.0, 3600.0)] == ["reduce"]
    # Fresh money does not repair a loss; earning it back does.
    assert s.earned(0.0, 36000.0) == []
    assert [r["event"] for r in s.earned(2400.0, 38400.0)] == ["reset"]


def test_a_loss_of_the_first_session_is_a_drawdown() -> None:
    s = quoted(drawdown_limit=0.10, drawdown_resume=0.05)
    assert [r["event"] for r in s.earned(-10.0, 90.0)] == ["reduce"]


def test_records_of_before_cash_tell_the_value() -> None:
    s = quoted(drawdown_limit=0.10, drawdown_resume=0.05)
    tell = partial(s._states, "market.pnl", ts_ns=1, scope="portfolio:A")
    assert tell(pnl=0.0, value=8000.0) == tell(pnl=0.0, value=4000.0) == []
    assert [r["event"] for r in tell(pnl=-400.0, value=3600.0)] == ["reduce"]


def test_a_trip_is_told_with_its_reason_and_counts_at_once() -> None:
    s = quoted(drawdown_action="HALTED")
    s.value(100.0)
    (tripped,) = s.value(85.0)
    assert (tripped["state"], tripped["cause"], tripped["source"]) == (
        "HALTED",
        "drawdown",
        "market.pnl/0/1",
    )
    assert tripped["reason"] == "drawdown 0.15, limit 0.1, resumes at 0.05"
    refused = s.order("1")
    assert (refused["reason"], refused["state_source"]) == ("ACCOUNT_HALTED", "market.pnl/0/1")
    assert s.order("1", account="B")["decision"] == "accept"


def test_the_var_breaker_goes_by_the_figure_that_the_limits_name() -> None:
    s = quoted(var_limit=0.05, var_resume=0.04)
    for other in (
        {"method": "ewma-normal"},
        {"confidence": 0.95},
        {"horizon": 10},
        {"interval": "1m"},
        {"valid": False},
        {"scope": "symbol:A"},
    ):
        assert s.var(0.9, **other) == []
    steps: list[tuple[float, list[str]]]
    steps = [(0.05, []), (0.0501, ["reduce"]), (0.06, []), (0.04, []), (0.0399, ["reset"])]
    assert [(v, [r["event"] for r in s.var(v)]) for v, _ in steps] == steps


def test_the_breakers_of_a_portfolio_with_the_longest_name_work() -> None:
    name = "P" * 64
    s = Stage()
    s.value(100.0, portfolio=name)
    assert [r["account"] for r in s.value(50.0, portfolio=name)] == [name]
    assert [r["cause"] for r in s.var(0.9, scope=f"portfolio:{name}")] == ["var"]


def test_one_breaker_does_not_let_go_what_the_other_holds() -> None:
    s = quoted(var_action="HALTED")
    s.value(100.0)
    assert [r["state"] for r in s.value(80.0)] == ["REDUCING"]
    assert [r["state"] for r in s.var(0.2)] == ["HALTED"]
    assert [r["state"] for r in s.value(100.0)] == ["HALTED"]
    assert [r["state"] for r in s.var(0.01)] == ["ACTIVE"]


def test_turning_a_breaker_off_lets_go_and_forgets_the_peak() -> None:
    s = quoted()
    s.value(100.0)
    s.value(50.0)
    s.var(0.9)
    told = s.control("limits", drawdown_limit=None, var_limit=None)
    assert [(r["event"], r["cause"], r["state"]) for r in told] == [
        ("reset", "drawdown", "REDUCING"),
        ("reset", "var", "ACTIVE"),
    ]
    assert s.value(1.0) == []
    assert s.var(0.9) == []
    s.control("limits", drawdown_limit=0.1)
    assert s.value(1.0) == []


def test_limits_replace_what_they_name_and_all_are_for_whoever_has_none() -> None:
    s = quoted()
    s.control("limits", max_quantity=5.0, reason="smaller", by="the desk")
    s.control("limits", account="*", max_quantity=1.0, max_notional=150.0)
    found = [s.order("1", quantity=5), s.order("2", quantity=6)]
    found += [s.order("1", account="B", quantity=1), s.order("2", account="B", quantity=2)]
    assert [f["reason"] for f in found] == ["NONE", "MAX_QUANTITY"] * 2
    assert [f["limits_source"] for f in found] == ["market.control/0/0"] * 2 + [
        "market.control/0/1"
    ] * 2


def test_stale_data_refuse_orders_until_enough_has_come_again() -> None:
    s = quoted()
    s.wait(5)
    s.beat()
    assert s.order("1")["reason"] == "NONE", "just old enough"
    s.wait(0.000_000_001)
    s.beat()
    found = [s.order("2")]
    for i in range(3):
        s.quote()
        found.append(s.order(f"{3 + i}"))
    assert [f["reason"] for f in found] == ["STALE_DATA"] * 3 + ["NONE"]


def test_data_that_stop_again_while_fresh_ones_are_counted_begin_anew() -> None:
    s = quoted()
    s.wait(6)
    s.quote()
    s.quote()
    s.wait(6)
    s.quote()
    s.quote()
    assert s.order("1")["reason"] == "STALE_DATA"
    s.quote()
    assert s.order("2")["reason"] == "NONE"


def test_data_are_stale_without_a_beat_of_the_timer_too() -> None:
    s = quoted()
    s.wait(5.1)
    assert s.order("1")["reason"] == "STALE_DATA"


def test_a_mark_is_as_old_as_its_event_time_whenever_it_was_heard() -> None:
    s = Stage()
    s.quote(age=7200)
    assert s.order("1")["reason"] == "STALE_DATA"
    s.quote(age=5)
    s.quote(age=5)
    assert s.order("2")["reason"] == "STALE_DATA", "two of three fresh ones"
    s.quote(age=5)
    assert s.order("3")["reason"] == "NONE"
    s.wait(0.000_000_001)
    assert s.order("4")["reason"] == "STALE_DATA"


def test_an_older_mark_does_not_replace_a_newer_one() -> None:
    s = quoted()
    s.quote(149.0, 151.0, age=1)
    assert s.order("1")["mark_source"] == "market.nbbo/0/0"
    s.put("market.bars", symbol="X", interval="1m", start_ns=s.now_ns - 61 * NS, close=150.0)
    assert s.order("2")["mark"] == 100.0
    s.put("market.bars", symbol="X", interval="1m", start_ns=s.now_ns - 60 * NS, close=101.0)
    assert s.order("3")["mark"] == 101.0


def test_a_price_that_is_not_above_zero_is_no_mark() -> None:
    s = quoted()
    unknown = s.order("1", symbol="never heard of")["reason"]
    s.put("market.bars", symbol="X", interval="1m", start_ns=s.now_ns - 60 * NS, close=-37.63)
    s.quote(149.0, 151.0, age=1)
    refused = s.order("2")
    assert (refused["decision"], refused["reason"]) == ("reject", unknown)
    s.quote(-1.0, 3.0)
    assert s.order("3")["mark"] == 1.0


def test_a_mark_of_the_future_is_one_of_now() -> None:
    s = quoted()
    s.quote(age=-3600)
    s.wait(1)
    s.quote(101.0, 103.0)
    assert s.order("1")["mark"] == 102.0
    s.wait(5.1)
    assert s.order("2")["reason"] == "STALE_DATA"


def test_older_bands_do_not_replace_newer_ones() -> None:
    s = quoted()
    open_ = {"symbol": "X", "state": "open", "lower": 90.0, "upper": 110.0}
    s.put("market.bands", ts_ns=s.now_ns - NS, **open_)
    s.put("market.bands", ts_ns=s.now_ns - 7200 * NS, **(open_ | {"state": "paused"}))
    found = s.order("1")
    assert (found["reason"], found["band_source"]) == ("NONE", "market.bands/0/0")


def test_marks_and_bands_are_those_of_the_generation_in_use() -> None:
    s = Stage()
    s.put("clock", type="clock", ts_ns=s.now_ns, generation=1)
    s.quote(99.0, 101.0, generation=1)
    s.quote(119.0, 121.0, generation=2)
    s.put("market.bands", 2, symbol="X", ts_ns=s.now_ns, state="paused", lower=1.0, upper=2.0)
    assert s.order("1")["mark_source"] == "market.nbbo/0/0"
    s.put("clock", type="clock", ts_ns=s.now_ns, generation=2)
    assert s.order("2")["reason"] == "SYMBOL_PAUSED"
    s.put("market.bands", 1, symbol="X", ts_ns=s.now_ns, state="open", lower=1.0, upper=2.0)
    found = s.order("3")
    assert (found["reason"], found["mark"]) == ("SYMBOL_PAUSED", 120.0)


def test_the_breakers_go_by_the_generation_in_use() -> None:
    s = quoted(drawdown_limit=0.1)
    s.put("clock", type="clock", ts_ns=s.now_ns, generation=2)
    for generation, pnl in ((1, 0.0), (1, -50.0), (2, 0.0)):
        told = {"scope": "portfolio:A", "ts_ns": 1, "pnl": pnl, "equity": 100.0}
        assert s.put("market.pnl", generation, **told) == []
    told = {"scope": "portfolio:A", "ts_ns": 1, "pnl": -50.0, "equity": 50.0}
    assert [e.record["cause"] for e in s.put("market.pnl", 2, **told)] == ["drawdown"]


def test_one_sided_quotes_keep_no_mark_fresh() -> None:
    s = quoted()
    for _ in range(6):
        s.wait(1)
        s.quote(99.0, None)
    assert s.order("1")["reason"] == "STALE_DATA"


def test_fills_move_the_position_whatever_they_belong_to() -> None:
    s = quoted()
    s.order("1", quantity=10)
    found = [
        s.fill("1", quantity=4),
        s.fill("1", quantity=8),  # more than was open
        s.fill("1", quantity=1),  # of an order that is gone
        s.fill("0", quantity=1, side="sell"),  # not what order 0 was
        s.fill("9", account="B", quantity=3, side="sell"),
    ]
    assert [(f["decision"], f["reason"], f["position"]) for f in found] == [
        ("accept", "NONE", 4.0),
        ("accept", "NONE", 12.0),
        ("accept", "UNKNOWN_ORDER", 13.0),
        ("accept", "UNKNOWN_ORDER", 12.0),
        ("accept", "UNKNOWN_ORDER", -3.0),
    ]
    assert s.cancel("0")["reason"] == "NONE"


def test_a_fill_with_an_id_counts_once() -> None:
    s = quoted()
    s.order("1", quantity=10)
    found = [s.fill("1", quantity=4, fill_id=name) for name in ("a", "a", "b")]
    assert [(f["decision"], f["reason"], f["position"]) for f in found] == [
        ("accept", "NONE", 4.0),
        ("accept", "DUPLICATE_FILL", 4.0),
        ("accept", "NONE", 8.0),
    ]
    assert s.fill("1", quantity=4, fill_id="a", account="B")["position"] == 4.0


def test_a_cancel_passes_even_if_nobody_knows_its_order() -> None:
    s = quoted()
    found = [s.cancel("0"), s.cancel("0"), s.cancel("1", account="B")]
    assert [(f["decision"], f["reason"], f["code"]) for f in found] == [
        ("accept", "NONE", -1),
        ("accept", "UNKNOWN_ORDER", 5),
        ("accept", "UNKNOWN_ORDER", 5),
    ]
    assert "B" not in s.beat(), "a cancel makes no account"


ORDER = {
    "type": "order",
    "ts_ns": 1,
    "account": "A",
    "order_id": "new",
    "symbol": "X",
    "side": "buy",
    "quantity": 1,
    "price": 100.0,
}
NAN, INF = float("nan"), float("inf")


def state_of(controls: Controls) -> bytes:
    return pickle.dumps(controls.snapshot())


@pytest.mark.parametrize(
    "wrong",
    [
        *({"quantity": q} for q in (0, -1, NAN, INF, 1e16, 10**400, "1", True, None, 1e-9)),
        *({"price": p} for p in (0, -1, NAN, INF, "1", False)),
        *({"side": x} for x in ("", "BUY", None, 1)),
        *({"symbol": symbol} for symbol in ("", None, 5, "x" * 65)),
        *({"ts_ns": ts} for ts in (None, 1.5, -1, 1 << 63, "1", True)),
        *({"account": a} for a in ("*", "", "a|b", None, 7, "a" * 65)),
    ],
    ids=str,
)
def test_a_malformed_order_with_an_id_is_refused_and_changes_nothing(wrong: dict[str, Any]) -> None:
    s = quoted()
    before = state_of(s.controls)
    (emitted,) = s.put("market.orders", **(ORDER | wrong))
    assert emitted.record["reason"] == "MALFORMED"
    assert emitted.record["decision"] == "reject"
    assert emitted.record["account"] == (None if "account" in wrong else "A")
    orjson.dumps(emitted.record)
    assert state_of(s.controls) == before


@pytest.mark.parametrize("field", ["account", "symbol", "side", "quantity", "price", "ts_ns"])
def test_an_order_that_lacks_a_field_is_malformed(field: str) -> None:
    s = quoted()
    body = {name: value for name, value in ORDER.items() if name != field}
    assert s.put("market.orders", **body)[0].record["reason"] == "MALFORMED"


BAD = [
    ("market.orders", ORDER | {"order_id": None}),
    ("market.orders", ORDER | {"order_id": ""}),
    ("market.orders", ORDER | {"order_id": "x" * 65, "quantity": -1}),
    ("market.orders", {"order_id": "1"}),
    ("market.orders", ORDER | {"type": "amend"}),
    ("market.orders", ORDER | {"type": ["order"]}),
    ("market.orders", ORDER | {"type": "cancel", "ts_ns": None}),
    ("market.orders", ORDER | {"type": "fill", "quantity": -1}),
    ("market.orders", ORDER | {"type": "fill", "price": None}),
    ("market.control", {"type": "kill", "account": "A"}),
    ("market.control", {"type": "kill", "ts_ns": 1}),
    ("market.control", {"type": "kill", "ts_ns": 1, "account": "A", "reason": 5}),
    ("market.control", {"type": "kill", "ts_ns": 1, "account": "A", "new": "yes"}),
    ("market.control", {"type": "state", "ts_ns": 1, "account": "A", "state": "active"}),
    ("market.control", {"type": "explode", "ts_ns": 1, "account": "A"}),
    ("market.control", {"type": "limits", "ts_ns": 1, "account": "A", "max_quantity": -1.0}),
    ("market.control", {"type": "limits", "ts_ns": 1, "account": "A", "max_quantity": NAN}),
    ("market.control", {"type": "limits", "ts_ns": 1, "account": "A", "max_messages": 1.5}),
    ("market.control", {"type": "limits", "ts_ns": 1, "account": "A", "max_messages": True}),
    ("market.control", {"type": "limits", "ts_ns": 1, "account": "A", "most": 1}),
    ("market.control", {"type": "limits", "ts_ns": 1, "account": "*", "var_limit": 0.01}),
    ("market.control", {"type": "limits", "ts_ns": 1, "account": "N", "var_action": "STOP"}),
    ("clock", {"type": "clock"}),
    ("clock", {"type": "kill", "ts_ns": 1, "account": "*"}),
    ("clock", {"type": "clock", "ts_ns": 1, "generation": 0}),
    ("clock", {"type": "clock", "ts_ns": 1, "generation": "2"}),
    ("market.nbbo", {"symbol": "X", "ts_ns": 1, "bid": 1.0}),
    ("market.nbbo", {"symbol": "X", "ts_ns": 1, "bid": "1", "ask": 1.0}),
    ("market.nbbo", {"symbol": "X", "bid": 1.0, "ask": 2.0}),
    ("market.bars", {"symbol": "X", "interval": "1s", "start_ns": 1, "close": None}),
    ("market.bars", {"symbol": "X", "interval": "soon", "start_ns": 1, "close": 1.0}),
    ("market.bands", {"symbol": "X", "ts_ns": 1, "state": "closed", "lower": 1.0, "upper": 2.0}),
    ("market.bands", {"symbol": "N", "ts_ns": 1, "state": "open", "lower": 1.0, "upper": None}),
    ("market.pnl", {"scope": "portfolio:A", "value": NAN, "pnl": 1.0}),
    ("market.pnl", {"scope": "portfolio:A", "value": 1.0}),
    ("market.pnl", {"scope": "portfolio:A", "equity": None, "value": 1.0, "pnl": 1.0}),
    ("market.pnl", {"scope": "portfolio:*", "value": 1.0, "pnl": 1.0}),
    ("market.pnl", {"scope": "symbol:A", "value": 1.0, "pnl": 1.0}),
    ("market.risk", {"scope": "portfolio:A", "var": 1.0}),
    ("market.ticks", {"symbol": "X"}),
]


@pytest.mark.parametrize(("topic", "body"), BAD, ids=str)
def test_what_cannot_be_used_raises_a_bad_record_and_changes_nothing(
    topic: str, body: dict[str, Any]
) -> None:
    s = quoted()
    before = state_of(s.controls)
    with pytest.raises(BadRecord):
        s.put(topic, **body)
    assert state_of(s.controls) == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_quantity": -1.0},
        {"max_messages": 0},
        {"var_confidence": 1.0},
        {"drawdown_limit": 0.05},
        {"var_action": "STOP"},
    ],
    ids=str,
)
def test_limits_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong)).split("_")[0]):
        Limits(**wrong)


def entries(seed: int, count: int) -> list[Entry]:
    """Return entries of all kinds, bad ones too, of few accounts, symbols and order ids."""
    rng = random.Random(seed)
    offsets: dict[str, int] = {}
    now_ns = START
    made = []

    def body_of(topic: str) -> dict[str, Any]:
        account = rng.choice(["A", "B", "C"])
        if topic == "market.orders":
            kind = rng.choice(["order", "order", "order", "cancel", "fill"])
            again = kind != "order" or rng.random() < 0.2
            return {
                "type": kind,
                "ts_ns": 1,
                "account": account,
                "order_id": str(index - (rng.randrange(20) if again else 0)),
                "symbol": rng.choice("XYZ"),
                "side": rng.choice(["buy", "sell"]),
                "quantity": rng.choice([1, 2.5, 0.1, 9, -1]),
                "price": rng.choice([None, 100.0, 100.0, 101.5, 100.5, 93.0, "x"]),
            }
        if topic == "market.control":
            kind = rng.choice(["state"] * 3 + ["kill", "limits", "clock"] + ["resume"] * 6)
            body = {"type": kind, "ts_ns": 1, "account": rng.choice([account] * 4 + ["*"])}
            if kind == "clock":
                body |= {"generation": rng.choice([1] * 9 + [2])}
            body |= {"state": rng.choice(["ACTIVE"] * 9 + ["REDUCING", "HALTED"])}
            if kind == "limits":
                del body["state"]
                body |= {"max_position": rng.choice([5.0, 50.0]), "max_messages": 20}
                body |= {"drawdown_limit": rng.choice([0.1, None])}
            return body
        if topic == "market.nbbo":
            bid = rng.choice([99.0, 98.5, None])
            told: dict[str, Any] = {"bid": bid, "ask": rng.choice([101.0, 100.0])}
            return told | {"symbol": rng.choice("XYZ"), "ts_ns": now_ns - rng.randrange(3 * NS)}
        if topic == "market.bands":
            lower = rng.choice([90.0, 95.0])
            state = rng.choice(["open", "open", "open", "limit_up", "paused"])
            told = {"state": state, "lower": lower, "upper": 110.0}
            return told | {"symbol": rng.choice("XYZ"), "ts_ns": now_ns - rng.randrange(3 * NS)}
        if topic == "market.pnl":
            pnl = rng.choice([15.0, 15.0, -4.0, -15.0])
            return {"scope": f"portfolio:{account}", "pnl": pnl, "equity": 100.0}
        figure = {"method": "historical", "interval": "session", "confidence": 0.99, "horizon": 1}
        var = rng.choice([0.03, 0.03, 0.045, 0.06])
        return {"scope": f"portfolio:{account}", "var": var, "valid": True} | figure

    topics = ["market.orders"] * 20 + ["market.nbbo"] * 15 + ["market.control"] * 3
    topics += ["market.bands", "market.pnl", "market.risk"]
    for index in range(count):
        now_ns += rng.choice([0, 0, NS // 100, NS // 10, NS // 3, rng.randrange(60) // 10 * NS])
        topic = rng.choice(topics)
        offset = offsets[topic] = offsets.get(topic, -1) + 1
        source = Coordinates(topic, 0, offset)
        place = Coordinates("market.sequenced", 0, index)
        generation = (
            0 if topic in ("market.orders", "market.control") else rng.choice([1] * 9 + [2])
        )
        made.append(Entry(place, source, now_ns, topic, body_of(topic), generation))
    return made


SMALL = ControlSettings(
    limits=Limits(max_position=20.0, max_open_orders=5, max_messages=10),
    order_ids=30,
    stale_after_ns=15 * NS,
    symbol_ttl_ns=60 * NS,
)


def applied(controls: Controls, entry: Entry) -> list[Emitted] | str:
    try:
        return controls.apply(entry)
    except BadRecord as error:
        return str(error)


@pytest.mark.parametrize("seed", range(5))
def test_a_restart_anywhere_continues_exactly(seed: int) -> None:
    rng = random.Random(seed)
    whole, parted = Controls(SMALL), Controls(SMALL)
    reasons = set()
    for entry in entries(seed, 1500):
        body = copy.deepcopy(entry.body)
        expected = applied(whole, entry)
        assert applied(parted, entry) == expected
        assert entry.body == body, "an entry is not changed"
        reasons |= {e.record.get("reason") for e in expected if isinstance(e, Emitted)}
        if rng.random() < 0.1:
            kept = pickle.loads(pickle.dumps(parted.snapshot()))
            parted = Controls(SMALL)
            parted.restore(kept)
            assert parted.snapshot() == whole.snapshot()
    assert {"NONE", "POSITION_LIMIT", "DUPLICATE_ORDER", "MALFORMED", "ACCOUNT_HALTED"} <= reasons
    assert {"STALE_DATA", "SYMBOL_PAUSED", "PRICE_COLLAR", "ACCOUNT_REDUCING"} <= reasons


def test_a_snapshot_is_a_copy_of_plain_values() -> None:
    controls = Controls(SMALL)
    stream = entries(1, 800)
    for entry in stream[:400]:
        applied(controls, entry)
    kept = controls.snapshot()
    then = pickle.dumps(kept)
    for entry in stream[400:]:
        applied(controls, entry)
    assert pickle.dumps(kept) == then
    assert b"operators" not in then, "no instance is pickled"


def test_records_are_json_and_their_ids_are_unique() -> None:
    controls = Controls(SMALL)
    ids = []
    for entry in entries(2, 1500):
        found = applied(controls, entry)
        for emitted in found if isinstance(found, list) else []:
            assert orjson.loads(orjson.dumps(emitted.record)) == emitted.record
            ids.append((emitted.output, emitted.record["id"]))
    assert len(set(ids)) == len(ids)


def test_memory_is_bounded() -> None:
    s = Stage(ControlSettings(limits=WIDE, order_ids=20, max_accounts=20, symbol_ttl_ns=60 * NS))
    sizes = []
    for period in range(6):
        for i in range(600):
            name = f"{period}.{i:03}"
            s.quote(symbol=name)
            s.order(name, account=f"a{i % 30}", symbol=name)
            s.cancel(name, account=f"a{i % 30}")
        s.wait(61)
        s.beat()
        sizes.append(len(state_of(s.controls)))
    assert max(sizes[2:]) <= 1.02 * max(sizes[:2]), sizes


@hypothesis_settings(max_examples=60)
@given(data=st.data())
def test_no_order_of_fills_takes_a_position_beyond_its_limit(data: st.DataObject) -> None:
    """Whatever was accepted, filled in part and in any order, while cancels go on."""
    s = Stage(ControlSettings(limits=replace(WIDE, max_position=10.0)))
    s.quote()
    left: dict[str, tuple[str, int]] = {}
    for i in range(data.draw(st.integers(1, 40))):
        act = data.draw(st.sampled_from(["order", "order", "fill", "fill", "cancel"]))
        if act == "order":
            side, lots = data.draw(st.sampled_from(["buy", "sell"])), data.draw(st.integers(1, 60))
            if s.order(str(i), side=side, quantity=lots / 10)["decision"] == "accept":
                left[str(i)] = (side, lots)
        elif left:
            order_id = data.draw(st.sampled_from(sorted(left)))
            side, lots = left.pop(order_id)
            if act == "cancel":
                s.cancel(order_id)
                continue
            part = data.draw(st.integers(1, lots))
            if part < lots:
                left[order_id] = (side, lots - part)
            held = s.fill(order_id, side=side, quantity=part / 10)["position"]
            assert -10.0 <= held <= 10.0


@hypothesis_settings(max_examples=60)
@given(data=st.data())
def test_while_reducing_no_fill_takes_a_position_away_from_nothing(data: st.DataObject) -> None:
    s = Stage()
    s.quote()
    start = data.draw(st.integers(-50, 50).filter(bool))
    held = s.fill("0", side="buy" if start > 0 else "sell", quantity=abs(start) / 10)["position"]
    s.control("state", state="REDUCING")
    left: list[tuple[str, str, int]] = []
    for i in range(data.draw(st.integers(1, 30))):
        fills = data.draw(st.booleans())
        if left and fills:
            order_id, side, lots = left.pop(data.draw(st.integers(0, len(left) - 1)))
            part = data.draw(st.integers(1, lots))
            if part < lots:
                left.append((order_id, side, lots - part))
            now = s.fill(order_id, side=side, quantity=part / 10)["position"]
            assert abs(now) < abs(held)
            assert now * held >= 0.0
            held = now
            continue
        side, lots = data.draw(st.sampled_from(["buy", "sell"])), data.draw(st.integers(1, 30))
        if s.order(str(i + 1), side=side, quantity=lots / 10)["decision"] == "accept":
            left.append((str(i + 1), side, lots))
