"""Topics filled before anything is measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from confluent_kafka import Producer

from benchmarks.market.feed import START_NS, Feed, evenly
from connectors.kafka.client import Cluster
from connectors.kafka.topics import ensure_topics
from connectors.market.frames import encode_frame
from connectors.market.json_ticks import ticks_json
from connectors.market.tick_columns import TickColumns
from state.clock import NS
from state.errors import Undelivered
from state.records import heartbeat_header

FRAME = 4096
_CHUNK = 1 << 18
_CONFIG = {"retention.ms": "-1", "retention.bytes": "-1"}
_POLL_S = 0.1


def make_topic(bootstrap: str, topic: str, partitions: int, **config: str) -> None:
    """Make a topic that keeps what is old; option names with underscores for dots."""
    options = {name.replace("_", "."): value for name, value in config.items()}
    ensure_topics(Cluster(bootstrap), {topic: partitions}, _CONFIG | options)


def publish_json(
    bootstrap: str, topic: str, partitions: int, feed: Feed, count: int, rate: float
) -> int:
    """Publish ``count`` ticks, one a message; return how many messages there are.

    A heartbeat ends each partition, so that every window closes.
    """
    out = _Out(bootstrap, topic, partitions)
    for times in evenly(count, rate, _CHUNK):
        out.ticks(feed.ticks(times))
    out.end(START_NS + int(count * NS / rate))
    return out.sent


def publish_frames(
    bootstrap: str, topic: str, partitions: int, feed: Feed, count: int, rate: float
) -> int:
    """Publish about ``count`` ticks in full frames; return how many messages there are."""
    out = _Out(bootstrap, topic, partitions)
    waiting: list[TickColumns | None] = [None] * partitions
    for times in evenly(count, rate, _CHUNK):
        ticks = feed.ticks(times)
        for partition in range(partitions):
            mine = ticks.take(np.flatnonzero(ticks.symbol % partitions == partition))
            rest = waiting[partition]
            whole = mine if rest is None else _joined(rest, mine)
            frames = len(whole) // FRAME
            for first in range(0, frames * FRAME, FRAME):
                frame = encode_frame(whole.take(slice(first, first + FRAME)))
                out.send(partition, b"frame", frame)
            waiting[partition] = whole.take(slice(frames * FRAME, None))
    for partition, rest in enumerate(waiting):
        if rest is not None and len(rest):
            out.send(partition, b"frame", encode_frame(rest))
    out.end(START_NS + int(count * NS / rate))
    return out.sent


def payloads(ticks: TickColumns) -> list[bytes]:
    """Return each tick's JSON."""
    values: list[bytes] = ticks_json(ticks).to_pylist()
    return values


def keys(feed: Feed) -> list[bytes]:
    """Return the message key of each symbol."""
    return [name.encode() for name in feed.names]


class _Out:
    """A producer to chosen partitions of one topic, which loses nothing."""

    def __init__(self, bootstrap: str, topic: str, partitions: int) -> None:
        self._topic = topic
        self._partitions = partitions
        self._failed: list[str] = []
        self._producer: Producer = Cluster(bootstrap, options={"linger.ms": "20"}).producer(
            lambda error, _: self._failed.append(str(error)),
            lambda error: self._failed.append(str(error)),
        )
        self.sent = 0

    def ticks(self, ticks: TickColumns) -> None:
        names = [name.encode() for name in ticks.symbols]
        for symbol, value in zip(ticks.symbol.tolist(), payloads(ticks), strict=True):
            self.send(symbol % self._partitions, names[symbol], value)

    def send(
        self,
        partition: int,
        key: bytes | None,
        value: bytes,
        headers: Iterable[tuple[str, bytes]] = (),
    ) -> None:
        while True:
            try:
                self._producer.produce(
                    self._topic, value, key, partition=partition, headers=list(headers)
                )
            except BufferError:
                self._producer.poll(_POLL_S)
            else:
                self.sent += 1
                return

    def end(self, last_ns: int) -> None:
        """Close every window, and wait for the broker."""
        closing = (last_ns // NS + 3600) * NS
        beat = heartbeat_header(closing)
        for partition in range(self._partitions):
            self.send(partition, None, b"", [beat])
        self._producer.flush()
        if self._failed:
            raise Undelivered(self._topic, self._failed[0])


def _joined(first: TickColumns, second: TickColumns) -> TickColumns:
    columns: Sequence[str] = (
        "kind", "symbol", "ts_ns", "recv_ns", "seq", "price", "size", "ask", "ask_size", "side",
        "venue", "condition",
    )  # fmt: skip
    both = {name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in columns}
    return TickColumns(
        **both, symbols=first.symbols, venues=first.venues, conditions=first.conditions
    )
