"""States by hand, accounts, limits, fills and cancels."""

from __future__ import annotations

import pytest

from state.errors import OutOfRange, SnapshotRefused
from tests.operators.market.controls.stage import START, quoted


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
    emitted = s.put("clock", type="clock", ts_ns=s.now_ns)
    records = [each.record for each in emitted if each.output == "state"]
    assert [(r["id"], r["cause"], r["reason"], r["source"]) for r in records] == [
        (f"clock/0/0/0|{account}|manual", "manual", "fed day", "market.control/0/0")
        for account in ("*", "A")
    ]


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
