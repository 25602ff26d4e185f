"""Each pre-trade check at its border, and the order of the checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from operators.market.controls.checks import CHECKS
from operators.market.controls.limits import ControlSettings
from operators.market.controls.reasons import Reason
from state.clock import NS
from tests.operators.market.controls.stage import WIDE, Stage


def stage(**limits: Any) -> Stage:
    """Return a stage with X at 100 and some limits."""
    made = Stage(ControlSettings(limits=replace(WIDE, **limits)))
    made.quote()
    return made


def reasons(decisions: list[dict[str, Any]]) -> list[str]:
    return [decision["reason"] for decision in decisions]


def test_an_order_within_all_limits_is_accepted() -> None:
    assert stage().order("1")["decision"] == "accept"


def test_the_numbers_are_those_of_fix_103() -> None:
    """FIX 5.0 SP2, OrdRejReason (103)."""
    codes = {reason.name: reason.code for reason in Reason}
    assert {n: codes[n] for n in ("UNKNOWN_SYMBOL", "SYMBOL_PAUSED", "MAX_NOTIONAL")} == {
        "UNKNOWN_SYMBOL": 1,
        "SYMBOL_PAUSED": 2,
        "MAX_NOTIONAL": 3,
    }
    assert codes["UNKNOWN_ORDER"] == 5
    assert codes["DUPLICATE_ORDER"] == 6
    assert codes["UNKNOWN_ACCOUNT"] == 15
    assert codes["PRICE_BAND"] == codes["PRICE_COLLAR"] == 16
    assert codes["STALE_DATA"] == codes["MALFORMED"] == 99
    assert len({reason.value for reason in Reason}) == len(Reason), "two names became one"


def test_max_quantity() -> None:
    s = stage(max_quantity=10.0)
    assert reasons([s.order("1", quantity=10), s.order("2", quantity=10.00000001)]) == [
        "NONE",
        "MAX_QUANTITY",
    ]


def test_max_notional_at_the_price_or_at_the_mark() -> None:
    s = stage(max_notional=1000.0)
    assert reasons(
        [
            s.order("1", quantity=10, price=100.0),
            s.order("2", quantity=10, price=100.01),
            s.order("3", quantity=10, price=None),
            s.order("4", quantity=10.01, price=None),
        ]
    ) == ["NONE", "MAX_NOTIONAL", "NONE", "MAX_NOTIONAL"]


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_the_collar_holds_to_both_sides(side: str) -> None:
    s = stage(collar_percent=5.0)
    prices = [105.0, 105.01, 95.0, 94.99, None]
    found = [s.order(str(p), price=p, side=side) for p in prices]
    assert reasons(found) == ["NONE", "PRICE_COLLAR", "NONE", "PRICE_COLLAR", "NONE"]
    assert {(f["mark"], f["mark_source"]) for f in found} == {(100.0, "market.nbbo/0/0")}


def test_the_rate_counts_within_a_sliding_window() -> None:
    s = stage(max_messages=3, message_window_ns=NS)
    found = [s.order("1"), s.order("2")]
    s.wait(0.5)
    found += [s.order("3"), s.order("4")]
    s.wait(0.499_999_999)
    found.append(s.order("5"))
    s.wait(0.000_000_001)  # the first two are a second old
    found += [s.order("6"), s.order("7"), s.order("8")]
    assert reasons(found) == ["NONE"] * 3 + ["MESSAGE_RATE"] * 2 + ["NONE"] * 2 + ["MESSAGE_RATE"]


def test_an_order_refused_for_its_rate_may_come_again_and_cancels_do_not_count() -> None:
    s = stage(max_messages=1)
    s.order("1")
    assert s.order("2")["reason"] == "MESSAGE_RATE"
    assert s.cancel("1")["decision"] == "accept"
    s.wait(1)
    assert s.order("2")["reason"] == "NONE"


def test_accounts_do_not_share_rates_or_order_ids() -> None:
    s = stage(max_messages=1)
    assert reasons([s.order("1"), s.order("1", account="B")]) == ["NONE", "NONE"]


def test_an_order_id_is_used_up_even_by_a_refusal() -> None:
    s = stage(max_quantity=5.0)
    assert reasons(
        [s.order("1", quantity=9), s.order("1"), s.order("2"), s.cancel("2"), s.order("2")]
    ) == ["MAX_QUANTITY", "DUPLICATE_ORDER", "NONE", "NONE", "DUPLICATE_ORDER"]


def test_the_last_order_ids_are_remembered_and_those_of_open_orders() -> None:
    s = Stage(ControlSettings(limits=WIDE, order_ids=3))
    s.quote()
    for order_id in "abcde":
        s.order(order_id)
        if order_id != "a":
            s.cancel(order_id)
    assert [s.order(i)["reason"] for i in "acdb"] == [
        "DUPLICATE_ORDER",  # open still
        "DUPLICATE_ORDER",
        "DUPLICATE_ORDER",
        "NONE",  # the fourth last, and closed
    ]


def test_the_position_limit_counts_open_orders_of_the_same_side() -> None:
    s = stage(max_position=10.0)
    s.order("1", quantity=6)
    s.fill("1", quantity=4)
    found = [
        s.order("2", quantity=4.5),  # 4 held + 2 open + 4.5
        s.order("3", quantity=4),
        s.order("4", side="sell", quantity=14),
        s.order("5", side="sell", quantity=0.5),
    ]
    assert reasons(found) == ["POSITION_LIMIT", "NONE", "NONE", "POSITION_LIMIT"]
    s.cancel("4")
    assert s.order("6", side="sell", quantity=0.5)["reason"] == "NONE"


def test_an_account_beyond_a_lowered_position_limit_may_still_reduce() -> None:
    s = stage()
    s.order("1", quantity=100)
    s.fill("1", quantity=100)
    s.control("limits", max_position=10.0)
    assert reasons([s.order("2"), s.order("3", side="sell", quantity=50)]) == [
        "POSITION_LIMIT",
        "NONE",
    ]


def test_quantities_add_up_without_rounding() -> None:
    s = stage(max_position=0.3)
    found = [s.order("1", quantity=0.1), s.order("2", quantity=0.2)]
    assert reasons(found) == ["NONE", "NONE"], "0.1 + 0.2 is 0.3 here"
    s.fill("1", quantity=0.1)
    assert s.fill("2", quantity=0.2)["position"] == 0.3
    s.fill("3", quantity=0.3, side="sell")
    assert s.order("4", quantity=0.3)["position"] == 0.0


def test_the_number_of_open_orders_is_limited() -> None:
    s = stage(max_open_orders=2)
    assert reasons([s.order("1"), s.order("2"), s.order("3")])[2] == "OPEN_ORDER_LIMIT"
    s.fill("1")
    assert s.order("4")["reason"] == "NONE"


def test_reducing_takes_only_what_brings_the_position_nearer_to_nothing() -> None:
    s = stage()
    s.order("1", quantity=10)
    s.fill("1", quantity=10)
    s.order("2", side="sell", quantity=4)
    s.control("state", state="REDUCING")
    found = [
        s.order("3", quantity=1),
        s.order(
            "4", side="sell", quantity=6.00000001
        ),  # with the 4 that are open: it would turn short
        s.order("5", side="sell", quantity=6),
        s.order("6", side="sell", quantity=1),
        s.order("7", symbol="Y", side="sell"),  # nothing is held of it
    ]
    assert reasons(found) == ["ACCOUNT_REDUCING"] * 2 + ["NONE"] + ["ACCOUNT_REDUCING"] * 2
    assert s.cancel("2")["decision"] == "accept"


def test_reducing_a_short_position_is_buying() -> None:
    s = stage()
    s.fill("0", side="sell", quantity=10)
    s.control("state", state="REDUCING")
    found = [s.order("1", side="sell"), s.order("2", quantity=10.5), s.order("3", quantity=10)]
    assert reasons(found) == ["ACCOUNT_REDUCING", "ACCOUNT_REDUCING", "NONE"]


def test_halted_takes_cancels_alone() -> None:
    s = stage()
    s.fill("0", quantity=10)
    s.order("1")
    s.control("state", state="HALTED", account="*", reason="maintenance")
    refused = s.order("2", side="sell")
    assert (refused["reason"], refused["state"]) == ("ACCOUNT_HALTED", "HALTED")
    assert refused["state_source"] == "market.control/0/0"
    assert s.cancel("1")["decision"] == "accept"


def test_an_unknown_symbol_is_one_without_a_price() -> None:
    s = stage()
    s.quote(None, 101.0, symbol="Y")
    s.put("market.bands", symbol="Z", ts_ns=1, state="open", lower=90.0, upper=110.0)
    assert [s.order(x, symbol=x)["reason"] for x in "YZW"] == ["UNKNOWN_SYMBOL"] * 3


def test_the_mark_is_the_last_middle_or_close() -> None:
    s = stage()
    s.put("market.bars", symbol="X", interval="1s", start_ns=s.now_ns - NS, close=102.0)
    assert s.order("1")["mark"] == 102.0
    s.quote(99.0, None)  # one side gives no mark
    assert s.order("2")["mark_source"] == "market.bars/0/0"
    s.quote(99.0, 100.0)
    assert s.order("3")["mark"] == 99.5


def test_bands_bound_buying_above_and_selling_below() -> None:
    s = stage()
    s.put("market.bands", symbol="X", ts_ns=1, state="limit_up", lower=95.0, upper=105.0)
    found = [
        s.order("1", price=105.0),
        s.order("2", price=105.01),
        s.order("3", price=94.99),
        s.order("4", price=94.99, side="sell"),
        s.order("5", price=105.01, side="sell"),
        s.order("6", price=None),
    ]
    none, band = "NONE", "PRICE_BAND"
    assert reasons(found) == [none, band, none, band, none, none]
    assert found[0]["band_source"] == "market.bands/0/0"


def test_a_paused_symbol_takes_no_order_until_it_is_open() -> None:
    s = stage()
    s.put("market.bands", symbol="X", ts_ns=1, state="paused", lower=95.0, upper=105.0)
    assert s.order("1")["reason"] == "SYMBOL_PAUSED"
    s.put("market.bands", symbol="X", ts_ns=1, state="open", lower=None, upper=None)
    assert s.order("2", price=140.0)["reason"] == "NONE"


def test_an_account_beyond_the_most_is_refused() -> None:
    s = Stage(ControlSettings(limits=WIDE, max_accounts=2))
    s.quote()
    assert [s.order("1", account=a)["reason"] for a in "ABCA"] == [
        "NONE",
        "NONE",
        "UNKNOWN_ACCOUNT",
        "DUPLICATE_ORDER",
    ]


def test_the_first_check_that_fails_decides() -> None:
    """An order fails every check; each time, what it failed at is mended."""
    s = stage(max_quantity=1.0, max_notional=1.0, max_messages=1, collar_percent=1.0)
    s.fill("0", side="sell", quantity=2)
    s.control("limits", max_position=1.0, max_open_orders=1)
    s.quote(1.0, 1.0, symbol="W")
    s.order("open", quantity=0.5, symbol="W", price=1.0)
    s.control("state", state="HALTED")
    s.put("market.bands", symbol="Y", ts_ns=1, state="paused", lower=90.0, upper=110.0)
    order: dict[str, Any] = {"symbol": "Y", "quantity": 5, "price": 200.0}

    def quotes() -> None:
        for _ in range(3):
            s.quote(symbol="Y")

    def lapse() -> None:
        s.quote(symbol="Y")
        s.wait(9)

    def bands() -> None:
        s.put("market.bands", symbol="Y", ts_ns=1, state="open", lower=90.0, upper=110.0)

    def limit(**limits: Any) -> Callable[[], object]:
        return lambda: s.control("limits", **limits)

    def state(name: str) -> Callable[[], object]:
        return lambda: s.control("state", state=name)

    mended: list[tuple[str, Callable[[], object]]] = [
        ("open", lambda: s.wait(1)),  # its rate is that of another second
        ("1", lambda: None),  # its id is new
        ("2", state("REDUCING")),
        ("3", state("ACTIVE")),
        ("4", lapse),
        ("5", quotes),
        ("6", bands),
        ("7", limit(max_quantity=9.0)),
        ("8", limit(max_notional=9e9)),
        ("9", limit(collar_percent=150.0)),
        ("10", lambda: order.update(price=110.0)),
        ("11", limit(max_position=9.0)),
        ("12", limit(max_open_orders=2)),
    ]
    found = [s.order("open", **order)]
    for order_id, mend in mended:
        mend()
        s.control("limits", max_messages=len(found) + 1)
        found.append(s.order(order_id, **order))
    assert reasons(found) == [reason.name for reason, _ in CHECKS] + ["NONE"]
