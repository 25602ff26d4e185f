"""Returns, profits and money of what a portfolio holds, through corporate actions."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.daily_events import START_NS, close_ns, closes, portfolio
from tests.operators.market.daily.runs import at, prices, run


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


def test_a_portfolio_without_weights_ends():
    events = [portfolio("P", {"A": 1.0}), *closes(1, 3), portfolio("P", {}, 3), *closes(1, 9)[3:]]
    assert len(run(events)["pnl"]) == 2


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
