"""The world of market's demo: what its flows run on, and with which settings."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
import psycopg

from connectors.kafka.topics import ensure_topics
from flows.demo.stage import Stage, servers
from flows.engine.systems import output_topic
from flows.market import demo_past
from state.clock import now_ns
from state.errors import Misuse
from state.market.outputs import MARKET
from state.outputs import DEAD

PARTITIONS = 4
SETTINGS = {
    "MARKET__INTERVALS": '["1s", "10s"]',
    "MARKET__RISK__INTERVAL": "1s",
    "MARKET__RISK__MIN_OBSERVATIONS": "5",
    "MARKET__RISK__BREACH_CONFIDENCE": "0.95",
    "MARKET__SIGNALS__KINDS": '["order-flow-imbalance", "micro-price", "realised-variance"]',
}
"""Risk from bars of a second, a low bar for signals, some features: there is soon a lot to see."""

Portfolios = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Ticks:
    """What the demo runs on: one topic, and portfolios of its symbols.

    ``symbols`` are those that have a past of daily closes (flows/market/demo_past.py).
    """

    topic: str
    partitions: int
    portfolios: Portfolios
    symbols: Sequence[str] = ()

    @property
    def flows(self) -> tuple[str, ...]:
        """Return the flows that work on it, in the order in which they end."""
        return ("market", *(("models",) if self.symbols else ()), "trading", "history")


def simulated(symbols: int) -> Ticks:
    """Return the ticks of flows/market/demo_ticks.py with three portfolios."""
    names = [f"SIM{index:04d}" for index in range(symbols)]
    half = symbols // 2
    return Ticks(
        "market.ticks",
        PARTITIONS,
        {
            "broad": _equal(names),
            "leaders": _equal(names[:3]),
            "hedged": _equal(names[:half]) | _equal(names[half:], -0.8),
        },
        names,
    )


def recorded(path: Path) -> Ticks:
    """Return the ticks of a recording, with one portfolio of its (first twenty) symbols.

    Raises Misuse where it does not hold one topic.
    """
    recording = importlib.import_module("replay.recording").Recording([path])
    if len(recording.partitions) != 1:
        raise Misuse(f"{path} holds the topics {sorted(recording.partitions)}: the demo takes one")
    ((topic, partitions),) = recording.partitions.items()
    polars = importlib.import_module("polars")
    keys = polars.scan_parquet(path).select("key").unique().collect()["key"].drop_nulls()
    names = sorted(key.decode() for key in keys)[:20]
    return Ticks(topic, partitions, {"broad": _equal(names)})


def _equal(names: list[str], total: float = 1.0) -> dict[str, float]:
    return {name: total / len(names) for name in names}


@dataclass
class World(Stage):
    """The servers of market's demo, and how to start its flows on them."""

    ticks: Ticks

    def prepare_topics(self) -> None:
        """Create the ticks' topic and those of the outputs, and write the past."""
        # A recording is of the past: by default Kafka would delete it at once.
        ensure_topics(
            self.cluster(), {self.ticks.topic: self.ticks.partitions}, {"retention.ms": "-1"}
        )
        names = [output_topic("market", name) for name in [*(o.name for o in MARKET), DEAD]]
        ensure_topics(self.cluster(), dict.fromkeys(names, self.ticks.partitions))
        if self.ticks.symbols:
            demo_past.send(self.cluster(), self.ticks.symbols, now_ns())

    def history_rows(self) -> int:
        """Return how many bars PostgreSQL holds."""
        with psycopg.connect(self.servers.postgres.dsn) as connection:
            try:
                row = connection.execute("SELECT count(*) FROM market_bars").fetchone()
            except psycopg.errors.UndefinedTable:  # it ended before history had begun
                return 0
        return int(row[0]) if row else 0


@contextmanager
def world(directory: Path, ticks: Ticks) -> Iterator[World]:
    """Launch the servers in an empty ``directory``, not waiting until they answer.

    They end with the context, the broker last.
    """
    with servers(directory) as started:
        yield World(directory.resolve(), started, _settings(ticks), ticks)


def _settings(ticks: Ticks) -> dict[str, str]:
    return {
        **SETTINGS,
        **(demo_past.SETTINGS if ticks.symbols else {}),
        "FEED__SYSTEMS": '["market"]',
        "KAFKA__SHARDS": str(min(PARTITIONS, ticks.partitions)),
        "MARKET__TOPIC": ticks.topic,
        "MARKET__PORTFOLIOS": orjson.dumps(ticks.portfolios).decode(),
    }
