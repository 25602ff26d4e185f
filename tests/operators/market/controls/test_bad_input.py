"""What cannot be used is told, and changes nothing."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from operators.market.controls.limits import Limits
from state.errors import BadRecord
from tests.operators.market.controls.stage import quoted, state_of

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
