"""A decoder and a source over the shared broker, small enough to see through."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from confluent_kafka import Consumer, TopicPartition

from connectors.kafka.client import Cluster
from connectors.kafka.marks import Mark
from connectors.kafka.plan import ReadingPlan
from connectors.kafka.reading import Way
from connectors.kafka.shard import KafkaShard
from connectors.kafka.source import KafkaSource
from connectors.kafka.topics import resolve_start
from connectors.pacing import Pacing
from state.lifecycle import Lifecycle
from state.records import HEARTBEAT_HEADER, Header, Messages
from state.shards import shard_names
from tests import producing
from tests.waiting import PATIENCE_S

Row = tuple[int, int, bytes]
Written = tuple[int, bytes | None] | tuple[int, bytes | None, list[Header]]


@dataclass
class Rows:
    """The plainest block: (partition, offset, value) of each message."""

    messages: Messages
    rows: list[Row]
    ranges: dict[int, tuple[int, int]]
    newest: dict[int, int] = field(default_factory=dict)
    least: dict[int, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)


def decode(messages: Messages) -> Rows:
    """A value of digits is an event time in ns; a heartbeat carries one in its header."""
    partitions, offsets = messages.partition.tolist(), messages.offset.tolist()
    values = [messages.value(row) for row in range(len(messages))]
    rows = Rows(messages, list(zip(partitions, offsets, values, strict=True)), messages.ranges)
    for row, (partition, _, value) in enumerate(rows.rows):
        beat = dict(messages.headers.get(row, [])).get(HEARTBEAT_HEADER)
        if beat is not None or value.isdigit():
            at = int.from_bytes(beat, "big") if beat is not None else int(value)
            rows.newest[partition] = max(at, rows.newest.get(partition, at))
    return rows


MARK = Mark(b"a key of the tests")


@dataclass
class Rig:
    """Makes sources of one topic and group, and writes into it."""

    cluster: Cluster
    topic: str
    partitions: int
    shards: int = 1
    batch: int = 1000
    max_skew_ns: int = 1 << 62
    way: Way = "columns"
    group: str = field(default_factory=lambda: f"g.{uuid.uuid4().hex[:8]}")
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    opened: list[KafkaShard[Rows]] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        return shard_names(self.shards)

    def write(self, messages: Iterable[Written]) -> None:
        """Produce (partition, value[, headers]) and wait until all are there."""
        producer = producing.producer(self.cluster.bootstrap, message_max_bytes=20_000_000)
        for partition, value, *headers in messages:
            producer.produce(
                self.topic,
                value,
                b"k",
                partition=partition,
                headers=dict(*headers),
            )
        assert producer.flush(PATIENCE_S) == 0

    def source(
        self,
        start: str | dict[int, int] = "earliest",
        local: Sequence[str] | None = None,
        decoder: Callable[[Messages], Rows] = decode,
        identity: str = "",
    ) -> KafkaSource[Rows]:
        offsets = resolve_start(self.cluster, self.topic, start)
        plan = ReadingPlan(
            self.topic,
            self.group,
            self.names,
            self.names if local is None else local,
            offsets,
            self.batch,
            self.way,
            identity=identity,
        )
        pacing = Pacing(self.partitions, self.max_skew_ns)
        return KafkaSource(self.cluster, plan, decoder, self.lifecycle, pacing)

    def open(
        self,
        source: KafkaSource[Rows] | None = None,
        state: object = None,
        shard: int = 0,
    ) -> KafkaShard[Rows]:
        """Open one shard as Bytewax does."""
        part = (source or self.source()).build_part("in", self.names[shard], state)  # type: ignore[arg-type]  # a snapshot
        self.opened.append(part)
        return part

    def committed(self) -> dict[int, tuple[int, str]]:
        """Return (offset, metadata) of each partition, as any Kafka tool sees them."""
        consumer = Consumer({"bootstrap.servers": self.cluster.bootstrap, "group.id": self.group})
        asked = [TopicPartition(self.topic, p) for p in range(self.partitions)]
        answers = consumer.committed(asked, timeout=PATIENCE_S)
        consumer.close()
        return {a.partition: (a.offset, a.metadata or "") for a in answers}


def read(
    parts: KafkaShard[Rows] | list[KafkaShard[Rows]], count: int, seconds: float = PATIENCE_S
) -> list[Row]:
    """Poll the shards in turn until ``count`` rows have come; fewer where time is up."""
    rows: list[Row] = []
    deadline = time.monotonic() + seconds
    while len(rows) < count and time.monotonic() < deadline:
        for part in parts if isinstance(parts, list) else [parts]:
            for _, block in part.next_batch():
                rows += block.rows
        time.sleep(0.001)
    return rows
