"""Recordings of made-up sessions: closes, portfolios, positions, views and corporate actions."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import orjson

from replay.heartbeats import heartbeat
from replay.message import Message
from state.clock import NS

DAY_NS = 86_400 * NS
START_NS = 1_600_000_000 * NS
SYMBOLS = ["A", "B", "C"]
TOPIC_OF = {
    "closes": "market.closes",
    "portfolio": "market.portfolios",
    "position": "market.positions",
    "cash": "market.positions",
    "view": "market.views",
    "split": "market.actions",
    "dividend": "market.actions",
}


def close_ns(session: int) -> int:
    """Return the close of a session."""
    return START_NS + session * DAY_NS


def closes(seed: int, sessions: int, symbols: list[str] | None = None) -> list[dict]:
    """Return the closes of so many sessions of random walks."""
    names = symbols or SYMBOLS
    rng = np.random.default_rng(seed)
    moves = rng.standard_t(4, (sessions, len(names))) * 0.01
    prices = 100.0 * np.exp(np.cumsum(moves, axis=0))
    return [
        {"type": "closes", "ts_ns": close_ns(i), "prices": dict(zip(names, row, strict=True))}
        for i, row in enumerate(prices.tolist())
    ]


def portfolio(name: str, weights: dict[str, float], session: int = 0, **more: object) -> dict:
    """Return a portfolio event just before a session's close."""
    ts_ns = close_ns(session) - 1
    return {"type": "portfolio", "portfolio": name, "ts_ns": ts_ns, "weights": weights} | more


def messages(events: Iterable[dict]) -> list[Message]:
    """Return the events as messages of their topics, each topic ended by a heartbeat."""
    made: list[Message] = []
    offsets: dict[str, int] = {}
    last_ns = START_NS
    for event in sorted(events, key=lambda e: e["ts_ns"]):
        topic, ts_ns = TOPIC_OF[event["type"]], event["ts_ns"]
        offset = offsets[topic] = offsets.get(topic, -1) + 1
        made.append(Message(topic, 0, offset, ts_ns, b"k", orjson.dumps(event)))
        last_ns = max(last_ns, ts_ns)
    for topic, offset in offsets.items():
        made.append(heartbeat(topic, 0, offset + 1, last_ns + DAY_NS))
    return made


def topics(made: Iterable[Message]) -> dict[str, int]:
    """Return the partition count of each topic."""
    return {message.topic: 1 for message in made}
