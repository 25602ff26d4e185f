"""The demo's ticks: a simulated session at the pace of the clock, or a recording."""

from __future__ import annotations

import importlib
import queue
import threading
import time
from collections.abc import Iterator
from functools import cache
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message

from connectors.kafka.client import Cluster
from state.clock import MS, NS, now_ns
from state.errors import Broken

TICKS_PER_SECOND = 5000
SYMBOLS = 20
SESSION_S = 23_400
"""A trading day; the opening, where it starts, is 2.2 times as busy as its mean."""

SIMULATOR = "replay.market.session"
"""In a higher layer, so it is found by name."""

LEAD_NS = NS // 2
"""How far ahead of the clock ticks are made, so that making them delays none."""

BEAT_S = 0.002


class Feed:
    """Sends a simulated session from a thread of its own; `stop` ends it."""

    def __init__(
        self,
        cluster: Cluster,
        topic: str,
        partitions: int,
        ticks_per_second: int = TICKS_PER_SECOND,
    ) -> None:
        self._cluster = cluster
        self._rate = ticks_per_second
        self._topic = topic
        self._partitions = partitions
        self._ahead: queue.Queue[Any] = queue.Queue(maxsize=2)
        self._stopping = threading.Event()
        self._failure: Exception | None = None
        self.sent = 0
        """Messages handed to Kafka so far."""
        self._threads = [
            threading.Thread(target=self._make, name="simulate", daemon=True),
            threading.Thread(target=self._send, name="feed", daemon=True),
        ]

    def load(self) -> None:
        """Load the simulator beside whatever else is done, so that `start` need not."""
        threading.Thread(target=_simulator, name="load", daemon=True).start()

    def start(self) -> None:
        """Start to send."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Send no more, and return once Kafka has what was sent."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def check(self) -> None:
        """Raise what went wrong in the threads."""
        if self._failure is not None:
            raise self._failure

    def _make(self) -> None:
        simulate = _simulator()
        session = simulate.Session(
            seed=now_ns() % (1 << 32),
            count=int(self._rate / 2.2 * SESSION_S),
            symbols=SYMBOLS,
            partitions=self._partitions,
            start_ns=now_ns() + LEAD_NS,
            duration_ns=SESSION_S * NS,
        )
        for batch in simulate.batches(session):
            while not self._stopping.is_set():
                try:
                    self._ahead.put(batch, timeout=0.1)
                    break
                except queue.Full:
                    continue
            if self._stopping.is_set():
                return

    def _send(self) -> None:
        producer = self._cluster.producer(self._refused, lambda error: self._refused(error, None))
        try:
            for at_ns, partition, key, value in self._rows():
                while (early_ns := at_ns - now_ns()) > 0 and not self._stopping.is_set():
                    producer.poll(0)
                    time.sleep(min(BEAT_S, early_ns / NS))
                if self._stopping.is_set():
                    break
                producer.produce(
                    self._topic, value, key, partition=partition, timestamp=at_ns // MS
                )
                self.sent += 1
        except (KafkaException, BufferError) as error:
            self._failure = Broken(f"the demo cannot send ticks: {error}")
        producer.flush(10)

    def _rows(self) -> Iterator[tuple[int, int, bytes | None, bytes]]:
        while not self._stopping.is_set():
            try:
                batch = self._ahead.get(timeout=0.1)
            except queue.Empty:
                continue
            yield from zip(
                batch.timestamp_ns.tolist(),
                batch.partition.tolist(),
                batch.key.to_pylist(),
                batch.value.to_pylist(),
                strict=True,
            )

    def _refused(self, error: KafkaError | None, message: Message | None) -> None:
        if error is not None:
            self._failure = Broken(f"Kafka refused a tick: {error.str()}")


@cache
def _simulator() -> Any:
    """Return the module, used once: that loads more than its import does."""
    simulate = importlib.import_module(SIMULATOR)
    next(simulate.batches(simulate.Session(seed=0, count=1)))
    return simulate
