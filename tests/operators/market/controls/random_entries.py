"""Entries of all kinds at random, and controls small enough to meet their bounds."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from operators.market.controls.controls import Controls
from operators.market.controls.entries import Emitted, Entry
from operators.market.controls.limits import ControlSettings, Limits
from state.clock import NS
from state.errors import BadRecord
from state.records import Coordinates
from tests.operators.market.controls.stage import START

SMALL = ControlSettings(
    limits=Limits(max_position=20.0, max_open_orders=5, max_messages=10),
    order_ids=30,
    stale_after_ns=15 * NS,
    symbol_ttl_ns=60 * NS,
)
ACCOUNTS, SYMBOLS = "ABC", "XYZ"
FIGURE = {"method": "historical", "interval": "session", "confidence": 0.99, "horizon": 1}


def entries(seed: int, count: int) -> list[Entry]:
    """Return entries of all kinds, bad ones too, of few accounts, symbols and order ids."""
    rng = random.Random(seed)
    offsets: dict[str, int] = {}
    now_ns = START
    made = []
    for index in range(count):
        now_ns += rng.choice([0, 0, NS // 100, NS // 10, NS // 3, rng.randrange(60) // 10 * NS])
        topic = rng.choice(TOPICS)
        offset = offsets[topic] = offsets.get(topic, -1) + 1
        by_people = topic in ("market.orders", "market.control")
        generation = 0 if by_people else rng.choice([1] * 9 + [2])
        place, source = Coordinates("market.sequenced", 0, index), Coordinates(topic, 0, offset)
        body = BODIES[topic](rng, index, now_ns)
        made.append(Entry(place, source, now_ns, topic, body, generation))
    return made


def applied(controls: Controls, entry: Entry) -> list[Emitted] | str:
    """Return what comes of an entry, or why it cannot be used."""
    try:
        return controls.apply(entry)
    except BadRecord as error:
        return str(error)


def _order(rng: random.Random, index: int, now_ns: int) -> dict[str, Any]:
    kind = rng.choice(["order", "order", "order", "cancel", "fill"])
    again = kind != "order" or rng.random() < 0.2
    return {
        "type": kind,
        "ts_ns": 1,
        "account": rng.choice(ACCOUNTS),
        "order_id": str(index - (rng.randrange(20) if again else 0)),
        "symbol": rng.choice(SYMBOLS),
        "side": rng.choice(["buy", "sell"]),
        "quantity": rng.choice([1, 2.5, 0.1, 9, -1]),
        "price": rng.choice([None, 100.0, 100.0, 101.5, 100.5, 93.0, "x"]),
    }


def _control(rng: random.Random, index: int, now_ns: int) -> dict[str, Any]:
    kind = rng.choice(["state"] * 3 + ["kill", "limits", "clock"] + ["resume"] * 6)
    body = {"type": kind, "ts_ns": 1, "account": rng.choice([rng.choice(ACCOUNTS)] * 4 + ["*"])}
    if kind == "clock":
        return body | {"generation": rng.choice([1] * 9 + [2])}
    if kind == "limits":
        body |= {"max_position": rng.choice([5.0, 50.0]), "max_messages": 20}
        return body | {"drawdown_limit": rng.choice([0.1, None])}
    return body | {"state": rng.choice(["ACTIVE"] * 9 + ["REDUCING", "HALTED"])}


def _nbbo(rng: random.Random, index: int, now_ns: int) -> dict[str, Any]:
    told = {"bid": rng.choice([99.0, 98.5, None]), "ask": rng.choice([101.0, 100.0])}
    return told | {"symbol": rng.choice(SYMBOLS), "ts_ns": now_ns - rng.randrange(3 * NS)}


def _bands(rng: random.Random, index: int, now_ns: int) -> dict[str, Any]:
    state = rng.choice(["open", "open", "open", "limit_up", "paused"])
    told = {"state": state, "lower": rng.choice([90.0, 95.0]), "upper": 110.0}
    return told | {"symbol": rng.choice(SYMBOLS), "ts_ns": now_ns - rng.randrange(3 * NS)}


def _pnl(rng: random.Random, index: int, now_ns: int) -> dict[str, Any]:
    pnl = rng.choice([15.0, 15.0, -4.0, -15.0])
    return {"scope": f"portfolio:{rng.choice(ACCOUNTS)}", "pnl": pnl, "equity": 100.0}


def _risk(rng: random.Random, index: int, now_ns: int) -> dict[str, Any]:
    var = rng.choice([0.03, 0.03, 0.045, 0.06])
    return {"scope": f"portfolio:{rng.choice(ACCOUNTS)}", "var": var, "valid": True} | FIGURE


BODIES: dict[str, Callable[[random.Random, int, int], dict[str, Any]]] = {
    "market.orders": _order,
    "market.control": _control,
    "market.nbbo": _nbbo,
    "market.bands": _bands,
    "market.pnl": _pnl,
    "market.risk": _risk,
}
TOPICS = (
    ["market.orders"] * 20
    + ["market.nbbo"] * 15
    + ["market.control"] * 3
    + ["market.bands", "market.pnl", "market.risk"]
)
