"""Messages for the trading controls, and sequences of them."""

from __future__ import annotations

import random
from typing import Any

from connectors.kafka.sequencer import SOURCE_HEADER
from replay.message import Message
from state.clock import MS, NS
from state.outputs import to_json
from state.records import Coordinates
from state.sequenced import Sequenced

Body = dict[str, Any]
START_NS = 1_700_000_000 * NS


def order(order_id: str, account: str = "a", **more: Any) -> Body:
    """Return an order that passes while the symbol's quote is near 100."""
    fields = {"symbol": "AAPL", "side": "buy", "quantity": 1, "price": 100.0, "ts_ns": START_NS}
    return {"type": "order", "account": account, "order_id": order_id} | fields | more


def control(kind: str, account: str = "*", **more: Any) -> Body:
    """Return a control event."""
    return {"type": kind, "account": account, "ts_ns": START_NS, "reason": "a test"} | more


def quote(
    symbol: str = "AAPL", bid: float = 99.5, ask: float = 100.5, ts_ns: int = START_NS
) -> Body:
    """Return what the controls read of an nbbo record."""
    return {"symbol": symbol, "ts_ns": ts_ns, "bid": bid, "ask": ask}


def row(
    offset: int,
    body: Body | None = None,
    *,
    topic: str = "market.orders",
    partition: int = 0,
    place: int = 0,
    ts_ns: int = START_NS,
    run: str = "",
    counter: int = 0,
) -> Sequenced:
    """Return a sequenced message of a source's ``offset``; its own offset is ``place``."""
    own = Coordinates("market.sequenced", 0, place)
    source = Coordinates(topic, partition, offset)
    value = to_json(body or {})
    return Sequenced(own, source, ts_ns, run, counter, b"key", value, body or {})


def sequence(seed: int, count: int) -> list[Sequenced]:
    """Return a busy minute: orders, some unusable, quotes, kills, resumes, clocks, repetitions.

    What is repeated comes as after a crash: from some point on, everything once more.
    """
    rng = random.Random(seed)
    rows: list[Sequenced] = []
    offsets: dict[str, int] = {}
    while len(rows) < count:
        if rows and rng.random() < 0.02:
            again = rows[-rng.randrange(1, min(40, len(rows)) + 1) :]
        else:
            topic, body = _event(rng, len(rows))
            offsets[topic] = offsets.get(topic, -1) + 1
            again = [row(offsets[topic], body, topic=topic)]
        for each in again:
            place = each.coordinates._replace(offset=len(rows))
            # Kafka's clock may step back.
            ts_ns = _moment(len(rows)) + rng.randrange(-30, 30) * MS
            rows.append(each._replace(coordinates=place, ts_ns=ts_ns))
    return rows


def _moment(number: int) -> int:
    return START_NS + number * 20 * MS


def _event(rng: random.Random, number: int) -> tuple[str, Body]:
    account = rng.choice("abc")
    kind = rng.choices(
        ("order", "bad", "cancel", "quote", "clock", "kill", "resume", "state", "market"),
        (40, 3, 5, 25, 10, 2, 4, 2, 8),
    )[0]
    if kind == "order":
        order_id = f"o{rng.choice((number, number, number, rng.randrange(number + 1)))}"
        symbol = "AAPL" if rng.random() < 0.9 else "ZZZ"
        side = rng.choice(("buy", "sell"))
        return "market.orders", order(order_id, account, side=side, symbol=symbol)
    if kind == "bad":
        return "market.orders", rng.choice([{"type": "order"}, order("", account), {"type": "?"}])
    if kind == "cancel":
        body = order(f"o{rng.randrange(number + 1)}", account) | {"type": "cancel"}
        return "market.orders", body
    if kind == "quote":
        return "market.nbbo", quote(ts_ns=_moment(number))
    if kind == "clock":
        return "clock", {"type": "clock", "ts_ns": START_NS}
    if kind == "state":
        state = rng.choice(("ACTIVE", "REDUCING", "HALTED"))
        return "market.control", control("state", account, state=state, by="desk")
    if kind == "market":
        return _of_market(rng, number, account)
    return "market.control", control(kind, rng.choice(("*", account)))


def _of_market(rng: random.Random, number: int, account: str) -> tuple[str, Body]:
    """Return what moves breakers, bands, limits and positions."""
    scope = f"portfolio:{account}"
    figure = {"method": "historical", "confidence": 0.99, "horizon": 1, "interval": "session"}
    bands = {"symbol": "AAPL", "ts_ns": _moment(number), "lower": 95.0, "upper": 105.0}
    return rng.choice(
        [
            (
                "market.pnl",
                {"id": "p", "scope": scope, "pnl": rng.uniform(-20.0, 20.0), "equity": 100.0},
            ),
            (
                "market.risk",
                {"id": f"r{number}", "scope": scope, "var": rng.uniform(0.0, 0.1), "valid": True}
                | figure,
            ),
            ("market.bands", bands | {"state": rng.choice(("open", "paused"))}),
            ("market.control", control("limits", account, max_quantity=rng.randrange(1, 9))),
            ("market.orders", order(f"o{number // 2}", account) | {"type": "fill"}),
        ]
    )


def message(each: Sequenced) -> Message:
    """Return a row as a message of a recording."""
    topic, partition, offset, _ = each.source
    header = (SOURCE_HEADER, f"{topic}/{partition}/{offset}".encode())
    own = each.coordinates
    return Message(own.topic, own.partition, own.offset, each.ts_ns, each.key, each.value, [header])
