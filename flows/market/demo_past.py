"""The demo's past: a portfolio, and the daily closes that its risk and target weights come of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson

from connectors.kafka.client import Cluster
from connectors.kafka.topics import ensure_topics
from flows.market.settings import CLOSES
from state.clock import DAY_NS, MS
from state.errors import Broken
from state.outputs import to_json
from state.records import heartbeat_header

PORTFOLIO = "core"
PORTFOLIOS = "market.portfolios"
SESSIONS = 130

SETTINGS = {
    "MARKET__DAILY": "true",
    "MARKET__EVENTS": orjson.dumps([CLOSES, PORTFOLIOS]).decode(),
    "MARKET__RISK__WINDOW": "100",
    "MARKET__MODELS__EVERY": "110",
    "MARKET__TARGETS": orjson.dumps(
        {
            PORTFOLIO: {
                "objective": "min-variance",
                "every": 21,
                "apply": True,
                "bounds": {"*": {"most": 0.15}},
            }
        }
    ).decode(),
}
"""Daily risk of the last months: valid from 100 sessions on, weights once a month, one fit."""


class _Event(NamedTuple):
    topic: str
    ts_ns: int
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


def send(cluster: Cluster, symbols: Sequence[str], now_ns: int) -> None:
    """Write the past up to now; return when the broker has it. Raises Broken where it refuses."""
    ensure_topics(cluster, dict.fromkeys((CLOSES, PORTFOLIOS), 1), {"retention.ms": "-1"})
    faults: list[str] = []
    producer = cluster.producer(
        lambda error, _: faults.append(error.str()) if error is not None else None,
        lambda error: faults.append(error.str()),
    )
    for event in _events(symbols, now_ns):
        producer.produce(
            event.topic,
            event.value,
            PORTFOLIO,
            partition=0,
            timestamp=event.ts_ns // MS,
            headers=list(event.headers),
        )
    if producer.flush(30) or faults:
        raise Broken(f"Kafka refused the demo's past: {', '.join(faults) or 'no answer in 30 s'}")


def _events(symbols: Sequence[str], now_ns: int) -> Iterator[_Event]:
    first_ns = now_ns - now_ns % DAY_NS - SESSIONS * DAY_NS
    weights = dict.fromkeys(symbols, 1 / len(symbols))
    yield _event(PORTFOLIOS, "portfolio", first_ns, portfolio=PORTFOLIO, weights=weights)
    for session, prices in enumerate(_prices(symbols)):
        yield _event(CLOSES, "closes", first_ns + session * DAY_NS, prices=prices)
    # No other portfolio came until now: without this nobody could know.
    yield _Event(PORTFOLIOS, now_ns, b"", (heartbeat_header(now_ns),))


def _prices(symbols: Sequence[str]) -> Iterator[dict[str, float]]:
    """Yield random walks that share a market factor; every symbol has a volatility of its own.

    They are quiet, for trading's drawdown breaker looks at this past as well.
    """
    rng = np.random.Generator(np.random.Philox(key=7))
    price = rng.uniform(20, 200, len(symbols))
    own = rng.uniform(0.002, 0.008, len(symbols))
    for _ in range(SESSIONS):
        price = price * np.exp(0.002 * rng.standard_t(5) + own * rng.standard_normal(len(symbols)))
        yield dict(zip(symbols, price.tolist(), strict=True))


def _event(topic: str, kind: str, ts_ns: int, **fields: Any) -> _Event:
    return _Event(topic, ts_ns, to_json({"type": kind, "ts_ns": ts_ns, **fields}))
