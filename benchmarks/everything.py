"""All of the market system switched on, and the daily events that it then reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson

from replay.heartbeats import heartbeat
from replay.market.session import TOPIC
from replay.message import Message
from state.clock import DAY_NS, NS
from state.outputs import to_json

CLOSES, PORTFOLIOS = "market.closes", "market.portfolios"
INPUTS = (TOPIC, CLOSES, PORTFOLIOS)
"""What a run in which everything is switched on reads."""
SYMBOLS = tuple(f"DAY{index:02d}" for index in range(20))
START_NS = 1_685_653_200 * NS
"""2023-06-01 21:00 UTC: before any tick, and within history's retention, a year, of them."""
MOST = 270
"""How many sessions there are before the first tick of a simulated session."""
SIGNALS = (
    "order-flow-imbalance", "micro-price", "realised-variance", "kyle-lambda", "hawkes", "cusum",
    "vpin",
)  # fmt: skip


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


EVERYTHING = {
    "HEADRACE_MARKET__DAILY": "true",
    "HEADRACE_MARKET__LIST_DUPLICATES": "true",
    "HEADRACE_MARKET__EVENTS": _json([CLOSES, PORTFOLIOS]),
    "HEADRACE_MARKET__RISK__WINDOW": "40",
    "HEADRACE_MARKET__RISK__SCENARIOS": _json({"crash": {"other": -0.2}}),
    "HEADRACE_MARKET__MODELS__EVERY": "5",
    "HEADRACE_MARKET__TARGETS": _json(
        {
            "daily": {"objective": "min-variance", "every": 5, "apply": True},
            "hopeless": {
                "objective": "min-variance",
                "every": 10,
                "bounds": {"*": {"most": 0.01}},
            },
        }
    ),
    "HEADRACE_MARKET__SIGNALS__KINDS": _json(SIGNALS),
    "HEADRACE_MARKET__SIGNALS__VPIN_VOLUME": "1000",
    "HEADRACE_MARKET__LULD__ENABLED": "true",
}
"""Daily risk with models, targets (one that cannot be reached) and stress, all signals, bands.

Sessions are switched on by a calendar besides, where ticks are of its hours."""


def sessions(seed: int, count: int) -> Iterator[Message]:
    """Yield the closes, random walks, of up to `MOST` sessions, each a message of `CLOSES`."""
    rng = np.random.Generator(np.random.Philox(key=seed))
    price = rng.uniform(20, 200, len(SYMBOLS))
    for session in range(min(count, MOST)):
        price *= np.exp(0.012 * rng.standard_t(5, len(SYMBOLS)))
        prices = dict(zip(SYMBOLS, price.tolist(), strict=True))
        yield _event(CLOSES, session, START_NS + session * DAY_NS, prices=prices)


def portfolios() -> list[Message]:
    """Return the portfolios, and a heartbeat that no other will come."""
    weights = dict.fromkeys(SYMBOLS, 1 / len(SYMBOLS))
    made = [
        _event(PORTFOLIOS, offset, START_NS - 1, portfolio=name, weights=weights)
        for offset, name in enumerate(("daily", "hopeless"))
    ]
    return [*made, heartbeat(PORTFOLIOS, 0, len(made), START_NS + MOST * DAY_NS)]


def _event(topic: str, offset: int, ts_ns: int, **fields: Any) -> Message:
    body = {"type": "closes" if topic == CLOSES else "portfolio", "ts_ns": ts_ns, **fields}
    return Message(topic, 0, offset, ts_ns, b"daily", to_json(body))
