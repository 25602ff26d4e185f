"""The soak: full speed for minutes, symbols that come and go, and memory that does not grow.

Ticks of an endless, moving population of symbols are fed to real Kafka as fast as the
market flow works them off, never more than `MAX_LAG` ahead; topics keep a bounded size.
The resident memory (RSS) of the worker is sampled each second.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
from confluent_kafka import Producer
from numpy.typing import NDArray

from benchmarks.rig import FlowRun, Rig, eventually
from connectors.market.json_ticks import ticks_json
from connectors.market.tick_columns import TickColumns
from replay.market.session import TOPIC
from replay.partitioner import partition_of
from state.clock import NS
from state.errors import Broken
from state.market.ticks import QUOTE, TRADE

PARTITIONS = 4
CHUNK = 20_000
"""Ticks made at a time: one second of event time."""
ACTIVE = 1_000
"""Symbols that trade at any moment."""
LIFE_S = 20
"""Seconds of event time for which a symbol trades, never to come again."""
MAX_LAG = 1_000_000
"""What is behind no snapshot yet counts as unread, so some epochs fit in."""
LOOK_S = 0.2
QUOTES = 0.7
"""The share of quotes among the ticks."""
START_NS = 1_700_000_000 * NS
MB = 1 << 20
STALL_S = 300.0
SETTINGS = {
    "HEADRACE_MARKET__INTERVALS": '["5s"]',
    "HEADRACE_MARKET__RISK__INTERVAL": "5s",
    "HEADRACE_MARKET__RISK__MIN_OBSERVATIONS": "2",
    "HEADRACE_MARKET__LATENESS": "100ms",
    "HEADRACE_MARKET__SYMBOL_TTL": "10s",
    "HEADRACE_REDIS__STREAM_LENGTH": "10000",
}
TOPICS = {
    # A partition keeps more than MAX_LAG takes in all: what is not read is never deleted.
    "retention_bytes": str(256 * MB),
    "segment_bytes": str(32 * MB),
    "file_delete_delay_ms": "1000",
}


@dataclass(frozen=True)
class Sample:
    """The state of the run at one moment."""

    seconds: float
    rss: int
    """Bytes."""
    consumed: int
    lag: int


@dataclass(frozen=True)
class Outcome:
    """What a soak measured."""

    samples: list[Sample]
    growth: float
    """Of the RSS between the end of the warm-up and the end, as a share."""
    ticks_per_s: float
    """Behind a durable snapshot, from the end of the warm-up on."""
    symbols: int
    topic_bytes: int
    """What the topics took on disk in the end."""


def soak(
    directory: Path,
    warm: Callable[[Sample], bool],
    done: Callable[[Sample], bool],
    tell: Callable[[Sample], None] = lambda sample: None,
) -> Outcome:
    """Run until a sample is ``done``; growth counts from the first that is ``warm``.

    ``tell`` gets each sample, one a second. Raises Broken where the flow ends.
    """
    with Rig(directory, SETTINGS) as rig:
        rig.make_topics(PARTITIONS, **TOPICS)
        market = rig.start("market")
        feed = Feed(rig)
        eventually("the worker", market.workers)
        feed.start()
        eventually("the first snapshot", lambda: rig.consumed("market", TOPIC) > 0)
        samples: list[Sample] = []
        began, moved = time.monotonic(), (0, 0.0)
        while not samples or not done(samples[-1]):
            market.check()
            feed.note_consumed(rig.consumed("market", TOPIC))
            now = time.monotonic() - began
            if feed.consumed > moved[0]:
                moved = feed.consumed, now
            elif now > moved[1] + STALL_S:
                raise Broken(f"market worked off nothing for {STALL_S:g} s")
            if not samples or now >= samples[-1].seconds + 1:
                samples.append(_sample(market, feed, now))
                tell(samples[-1])
            time.sleep(LOOK_S)
        feed.stop()
        stored = sum(file.stat().st_size for file in directory.glob("kafka/data/market.*/*.log"))
        if code := market.drain():
            raise Broken(f"market drained with code {code}: {market.said()}")
    counted = [sample for sample in samples if warm(sample)]
    return Outcome(samples, growth(counted), _rate(counted), feed.symbols, stored)


def growth(samples: list[Sample]) -> float:
    """Return how much the RSS grew, as a share.

    From the median of the first tenth of the samples to that of the last tenth: one sample says
    little, since buffers come and go.
    """
    rss = [sample.rss for sample in samples]
    tenth = max(1, len(rss) // 10)
    return statistics.median(rss[-tenth:]) / statistics.median(rss[:tenth]) - 1


def _rate(samples: list[Sample]) -> float:
    first, last = samples[0], samples[-1]
    return (last.consumed - first.consumed) / max(1e-9, last.seconds - first.seconds)


def _sample(market: FlowRun, feed: Feed, now: float) -> Sample:
    (worker,) = market.workers()
    return Sample(now, worker.memory_info().rss, feed.consumed, feed.sent - feed.consumed)


class Feed:
    """Makes ticks without end and produces them in a thread, as far as `MAX_LAG` allows."""

    def __init__(self, rig: Rig) -> None:
        self._rng = np.random.default_rng(1)
        self._producer = Producer(
            {"bootstrap.servers": rig.kafka.bootstrap, "linger.ms": 20, "batch.size": 1_000_000}
        )
        self._numbers = np.zeros((2, ACTIVE), np.int64)
        """The last sequence number of each symbol's trades and quotes."""
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)
        self._failure: BaseException | None = None
        self.sent = 0
        self.consumed = 0
        self.symbols = 0
        """How many have come so far."""

    def start(self) -> None:
        """Start."""
        self._thread.start()

    def note_consumed(self, messages: int) -> None:
        """Note how far the flow is; raises what stopped the feed."""
        self.consumed = messages
        self.check()

    def check(self) -> None:
        """Raise what stopped the feed."""
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Stop; return when nothing more is on its way. Raises what stopped the feed before."""
        self._ending.set()
        self._thread.join()
        self._producer.flush(30)
        self.check()

    def _run(self) -> None:
        try:
            for second in count():
                names, values, codes = self._chunk(second)
                while self.sent + CHUNK - self.consumed > MAX_LAG and not self._ending.wait(0.01):
                    pass
                if self._ending.is_set():
                    return
                self._send(names, values, codes)
        except BaseException as error:  # noqa: BLE001  # a thread dies unheard: `check` raises it
            self._failure = error

    def _chunk(self, second: int) -> tuple[list[str], list[bytes], list[int]]:
        """Return the symbols of one second, its messages, and each one's symbol by index."""
        born = second * ACTIVE // LIFE_S
        new = born + ACTIVE - self.symbols if self.symbols else 0
        self._numbers = np.concatenate(
            [self._numbers[:, new:], np.zeros((2, new), np.int64)], axis=1
        )
        self.symbols = born + ACTIVE
        names = [f"S{number}" for number in range(born, born + ACTIVE)]
        rng = self._rng
        symbol = rng.integers(0, ACTIVE, CHUNK)
        ts_ns = START_NS + second * NS + np.arange(CHUNK) * (NS // CHUNK)
        quote = rng.random(CHUNK) < QUOTES
        price = np.rint(rng.lognormal(4, 0.01, CHUNK) * 100) / 100
        ticks = TickColumns.of(
            kind=np.where(quote, QUOTE, TRADE),
            symbol=symbol,
            symbols=names,
            ts_ns=ts_ns,
            price=price,
            size=100.0,
            ask=np.where(quote, price + 0.01, 0),
            ask_size=np.where(quote, 100.0, 0),
            seq=self._number(quote, symbol),
            venues=("N",),
        )
        return names, ticks_json(ticks).to_pylist(), symbol.tolist()

    def _number(self, quote: NDArray[np.bool_], symbol: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the next sequence number of each tick, by kind and symbol."""
        group = quote * ACTIVE + symbol
        order = np.argsort(group, kind="stable")
        sizes = np.bincount(group, minlength=2 * ACTIVE)
        rank = np.empty(CHUNK, np.int64)
        rank[order] = np.arange(CHUNK) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        numbers: NDArray[np.int64] = self._numbers.ravel()[group] + rank + 1
        self._numbers += sizes.reshape(2, ACTIVE)
        return numbers

    def _send(self, names: list[str], values: list[bytes], codes: list[int]) -> None:
        keys = [name.encode() for name in names]
        homes = [partition_of(key, PARTITIONS) for key in keys]
        produce = self._producer.produce
        for value, code in zip(values, codes, strict=True):
            while True:
                try:
                    produce(TOPIC, value, keys[code], homes[code])
                except BufferError:
                    self._producer.poll(0.05)
                else:
                    break
        self._producer.poll(0)
        self.sent += len(values)
