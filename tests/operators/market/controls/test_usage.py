"""How much of its limits an account uses, told at the heartbeat after it changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from operators.market.controls.controls import Controls
from operators.market.controls.fields import UNITS
from operators.market.controls.limits import ControlSettings
from tests.operators.market.controls.random_entries import SMALL, applied, entries
from tests.operators.market.controls.stage import WIDE, Stage

LIMITS = ("max_position", "max_open_orders", "drawdown_limit", "var_limit")


def stage(**limits: Any) -> Stage:
    """Return a stage with a price of X and Y, and account A known and told."""
    made = Stage(ControlSettings(limits=replace(WIDE, max_position=10.0, **limits)))
    made.quote()
    made.quote(symbol="Y")
    made.fill("0", quantity=4)
    made.beat()
    return made


def used(s: Stage, account: str = "A") -> dict[str, tuple[float | None, ...]]:
    """Let the timer beat; return what it tells of an account: used, most and share."""
    s.beat()
    told = {name: r for (of, name), r in s.used.items() if of == account}
    return {name: (r["used"], r["most"], r["share"]) for name, r in told.items()}


def test_a_record_tells_what_it_was_made_from() -> None:
    s = Stage(ControlSettings(limits=replace(WIDE, max_position=10.0)))
    s.fill("0", quantity=4)
    s.beat()
    assert list(s.used) == [("A", limit) for limit in LIMITS]
    assert s.used["A", "max_position"] == {
        "id": "clock/0/0/0|A|max_position",
        "ts_ns": s.now_ns,
        "account": "A",
        "name": "max_position",
        "used": 4.0,
        "most": 10.0,
        "share": 0.4,
        "symbol": "X",
        "source": None,
        "sequenced": "market.sequenced/0/1",
    }
    assert s.used["A", "max_open_orders"]["symbol"] is None


def test_a_position_counts_with_the_open_orders_of_one_side() -> None:
    s = stage()
    s.order("1", quantity=5)
    assert used(s)["max_position"] == (9.0, 10.0, 0.9)
    s.order("2", side="sell", quantity=13)
    assert s.used["A", "max_position"]["used"] == 9.0
    assert used(s)["max_position"] == (9.0, 10.0, 0.9), "13 sold of 4 held is 9 short"
    s.cancel("1")
    s.order("3", symbol="Y", side="sell", quantity=9.5)
    assert used(s)["max_position"] == (9.5, 10.0, 0.95)
    assert s.used["A", "max_position"]["symbol"] == "Y"
    s.cancel("2")
    s.cancel("3")
    s.fill("4", side="sell", quantity=4)
    assert used(s)["max_position"] == (0.0, 10.0, 0.0)
    assert s.used["A", "max_position"]["symbol"] is None


def test_an_order_that_would_go_beyond_is_refused_and_uses_nothing() -> None:
    s = stage(max_open_orders=1)
    assert s.order("1", quantity=6.5)["reason"] == "POSITION_LIMIT"
    assert used(s) == {}, "nothing has changed"
    s.order("2", quantity=6)
    assert used(s)["max_open_orders"] == (1.0, 1.0, 1.0)
    assert s.order("3", side="sell")["reason"] == "OPEN_ORDER_LIMIT"


def test_what_has_not_changed_is_not_told_again() -> None:
    s = stage()
    assert used(s) == {}
    s.quote(199.0, 201.0)
    s.fill("9", account="B")
    assert used(s) == {}
    assert used(s, "B") == {}
    s.cancel("unknown")
    assert used(s) == {}


def test_drawdown_and_var_are_those_of_the_last_figures_that_the_limits_name() -> None:
    s = stage(drawdown_limit=0.2, drawdown_resume=0.1, var_limit=0.05, var_resume=0.04)
    s.value(100.0)
    assert used(s)["drawdown_limit"] == (0.0, 0.2, 0.0)
    s.value(95.0)
    assert used(s)["drawdown_limit"] == pytest.approx((0.05, 0.2, 0.25))
    assert used(s) == {}
    s.var(0.06)
    told = used(s)
    assert told["var_limit"] == pytest.approx((0.06, 0.05, 1.2))
    assert told["drawdown_limit"] == pytest.approx((0.05, 0.2, 0.25))
    s.var(0.01, horizon=10)
    assert used(s) == {}, "the limits name no such figure"
    s.control("limits", var_horizon=10)
    assert used(s)["var_limit"] == (None, 0.05, None), "nobody has told it yet"
    s.var(0.02, horizon=10)
    assert used(s)["var_limit"] == pytest.approx((0.02, 0.05, 0.4))


def test_a_limit_that_is_off_has_no_most() -> None:
    s = stage()
    s.value(100.0)
    s.value(95.0)
    s.control("limits", drawdown_limit=None, var_limit=None, max_position=0.0)
    told = used(s)
    assert told["drawdown_limit"] == (None, None, None), "its peak is forgotten"
    assert told["var_limit"] == (None, None, None)
    assert told["max_position"] == (4.0, 0.0, None)
    assert s.used["A", "max_position"]["source"] == "market.control/0/0"


def test_a_var_is_forgotten_once_no_limit_goes_by_it() -> None:
    s = stage()
    for change, back in (
        ({"var_limit": None}, {"var_limit": 0.05}),
        ({"var_horizon": 10}, {"var_horizon": 1}),
    ):
        for account in ("A", "*"):
            s.var(0.03)
            assert used(s)["var_limit"] == pytest.approx((0.03, 0.05, 0.6))
            s.control("limits", account=account, **change)
            assert used(s)["var_limit"][0] is None
            s.control("limits", account=account, **back)
            assert used(s)["var_limit"] == (None, 0.05, None)
            s = stage()


def test_a_share_that_no_number_can_tell_is_null() -> None:
    s = stage()
    s.control("limits", max_position=5e-324)
    assert used(s)["max_position"] == (4.0, 5e-324, None)


def test_limits_for_all_are_told_of_those_who_have_none_of_their_own() -> None:
    s = stage()
    s.fill("1", account="B", quantity=1)
    s.control("limits", account="B", max_position=2.0)
    assert used(s, "B")["max_position"] == (1.0, 2.0, 0.5)
    s.control("limits", account="*", max_position=8.0)
    assert used(s)["max_position"] == (4.0, 8.0, 0.5)
    assert {account for account, _ in s.used} == {"A"}


@pytest.mark.parametrize("seed", range(5))
def test_the_last_told_is_what_is_used_however_the_entries_come(seed: int) -> None:
    """By the definition: all positions and open orders of all accounts, at each beat."""
    controls = Controls(SMALL)
    last: dict[tuple[str, str], Any] = {}
    beats = 0
    for entry in entries(seed, 4000):
        emitted = applied(controls, entry)
        if isinstance(emitted, str) or entry.body.get("type") != "clock":
            continue
        beats += 1
        told = [each.record for each in emitted if each.output == "limits"]
        last |= {(record["account"], record["name"]): record for record in told}
        for account in "ABC":
            known = controls.describe(account)
            if not known:
                continue
            reached = by_definition(known)
            assert last[account, "max_position"]["used"] == max(reached, default=0) / UNITS
            assert last[account, "max_open_orders"]["used"] == len(known["open"])
            assert last[account, "drawdown_limit"]["used"] == known["drawdown"]
    assert beats > 5
    assert {key[0] for key in last} == set("ABC")


def by_definition(known: dict[str, Any]) -> list[int]:
    """Return the units of each symbol, long and short, if all open orders of a side fill."""
    found = []
    for symbol in "XYZ":
        held = known["positions"].get(symbol, 0)
        for side in (1, -1):
            open_ = sum(u for name, s, u in known["open"].values() if (name, s) == (symbol, side))
            found.append(side * held + open_)
    return [max(0, each) for each in found]


def test_a_restart_goes_on_where_it_was() -> None:
    s = stage()
    s.value(100.0)
    s.var(0.03)
    s.beat()
    again = Controls(s.settings)
    again.restore(s.controls.snapshot())
    s.controls = again
    assert used(s) == {}
    s.fill("5", side="sell", quantity=1)
    assert used(s)["var_limit"] == pytest.approx((0.03, 0.05, 0.6))


def test_a_snapshot_of_before_tells_every_account_once() -> None:
    s = stage()
    parts = s.controls.snapshot()
    for account in parts["accounts"]["accounts"].values():
        del account["var"], account["usage_told"]
    s.controls.restore(parts)
    assert used(s)["max_position"] == (4.0, 10.0, 0.4)
    assert used(s) == {}
