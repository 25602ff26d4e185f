"""The sequencer: the messages of many topics, appended to one partition in the order of arrival.

What is decided from that one topic alone is a function of its content, so a replay of it gives the
same decisions. Each message keeps its key and its value, and says in a header where it came from.

At-least-once: an epoch is durable only when the broker has acknowledged all that was appended
in it, and the snapshot alone says where to go on; so after a crash some messages are appended
again. The messages of one source partition are appended in the order of their offsets, by
one idempotent producer, so that a reader drops a repetition by the largest offset seen.

Time enters here too, as a record: once a second the wall clock appends one of its own, whose
"offset" is the number of the second since 1970, or one more than before where the clock was set
back: a reader would take a number of before for a repetition. It tells besides which generation of
the flow that wrote the topics readers are to use.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from confluent_kafka import KafkaError, Message, TopicPartition

from connectors.kafka.client import Cluster
from connectors.kafka.continuity import Traces, check_identity, check_traces, trace
from connectors.kafka.delivery import Delivery, Headers, Outgoing
from connectors.kafka.faults import GONE, PASSING
from connectors.kafka.group import ConsumerGroup
from connectors.kafka.sink import (
    COUNTER_HEADER,
    GENERATION_HEADER,
    LENGTH_HEADER,
    ShardSink,
    always,
)
from connectors.kafka.topics import look_at, partition_count
from connectors.pacing import Pacing
from state.clock import NS
from state.errors import Broken, Misuse, OffsetGone, PartitionsChanged, SnapshotRefused
from state.lifecycle import Lifecycle
from state.metrics import CLOCK_BEHIND, KAFKA_ERRORS, MESSAGES
from state.outputs import to_json
from state.records import HEARTBEAT_HEADER

LOG = logging.getLogger(__name__)

SOURCE_HEADER = "headrace-source"
"""``topic/partition/offset`` of the message that was appended."""

CLOCK = "clock"
"""The source topic of what the wall clock appends; no topic of Kafka's is called so."""
BEAT, LATEST = 0, 1
"""What a snapshot holds under CLOCK: the last such number, and the latest second that was told."""

KEPT_HEADERS = (COUNTER_HEADER, GENERATION_HEADER)
"""What is appended of a message's own headers: by these a flow's outputs are told apart."""

MAX_BYTES = 262_144
"""A longer value is left out and its length told. So the broker, which judges whole batches,
refuses none, and no message is sent a second time behind later ones."""

VERSION = 2
CLOSING_S = 5.0
"""How long a drained process waits for the last commit."""

Offsets = dict[str, dict[int, int]]
State = tuple[str, int, Offsets, dict[str, Traces]]
"""("sequencer", VERSION, {topic: {partition: next offset}}, {topic: traces of the last records}).
Version 1 has no traces."""


@dataclass(frozen=True, slots=True)
class Sequencing:
    """What is appended to topic ``into``; ``start`` has an offset for each topic's partitions.

    ``shards`` and ``local`` are as in a ReadingPlan: the first shard does all of it. ``batch``
    is the most messages taken at a time.
    """

    into: str
    group: str
    shards: Sequence[str]
    local: Sequence[str]
    start: Mapping[str, Mapping[int, int]]
    batch: int
    identities: Mapping[str, str] = field(default_factory=dict)
    """Topic -> its identity at the flow's start, where that was noted."""


class SequencerSource(FixedPartitionedSource[tuple[str, Outgoing], State]):
    """Emits ``(shard name, message to append)``, of the first shard alone.

    Raises at opening Misuse where the cluster cannot be used or ``into`` has more than one
    partition; OffsetGone, PartitionsChanged, SnapshotRefused, and Broken for a fatal error.
    """

    def __init__(
        self,
        cluster: Cluster,
        plan: Sequencing,
        lifecycle: Lifecycle,
        now_ns: Callable[[], int],
        generation: Callable[[], int | None],
    ) -> None:
        """Nothing is appended before ``generation`` tells one that is not None."""
        self._cluster = cluster
        self._plan = plan
        self._lifecycle = lifecycle
        self._now_ns = now_ns
        self._generation = generation

    def list_parts(self) -> list[str]:
        """Return the first shard, where it is this process's."""
        return [name for name in self._plan.shards[:1] if name in self._plan.local]

    def build_part(self, step_id: str, for_part: str, resume_state: State | None) -> Sequencer:
        """Open all topics at the snapshot, or at the flow's start."""
        count = partition_count(self._cluster, self._plan.into)
        if count != 1:
            raise Misuse(f"{self._plan.into} has {count} partitions: an order needs exactly one")
        offsets, traces = _position(self._cluster, self._plan, resume_state)
        return Sequencer(
            self._cluster,
            self._plan,
            self._lifecycle,
            self._now_ns,
            self._generation,
            for_part,
            offsets,
            traces,
        )


class Sequencer(StatefulSourcePartition[tuple[str, Outgoing], State]):
    """One consumer of all topics, and the clock."""

    def __init__(
        self,
        cluster: Cluster,
        plan: Sequencing,
        lifecycle: Lifecycle,
        now_ns: Callable[[], int],
        generation: Callable[[], int | None],
        name: str,
        offsets: Offsets,
        traces: dict[str, Traces],
    ) -> None:
        self._plan = plan
        self._lifecycle = lifecycle
        self._now_ns = now_ns
        self._generation = generation
        self._name = name
        told = offsets.pop(CLOCK, {})
        self._offsets = offsets
        self._traces = traces
        self._last: dict[tuple[str, int], Message] = {}
        """The last message of each partition, of which no trace has been taken yet."""
        self._snapshot: Offsets | None = _copy(offsets)
        """The offsets of a snapshot that the next poll will know to be durable."""
        self._second = 0
        """The last one that the clock has told ..."""
        self._beat, self._latest = told.get(BEAT, 0), told.get(LATEST, 0)
        """... its number, and the latest one."""
        self._behind = False
        self._drained = False
        self._fatal: KafkaError | None = None
        self._groups = {
            topic: _group(cluster, plan, topic, len(partitions))
            for topic, partitions in offsets.items()
        }
        self._consumer = cluster.consumer(plan.group, on_fatal=self._note_fatal)
        self._consumer.assign(
            [TopicPartition(t, p, o) for t, found in offsets.items() for p, o in found.items()]
        )

    def next_batch(self) -> list[tuple[str, Outgoing]]:
        """Return what has been fetched, and the second that has begun; never waits."""
        self._lifecycle.polled()
        if self._snapshot is not None:
            self._became_durable(self._snapshot)
            self._snapshot = None
        if self._lifecycle.stopping.is_set():
            self._drained = True
            raise StopIteration
        self._check()
        generation = self._generation()
        if generation is None:
            return []
        found = [m for m in self._consumer.consume(self._plan.batch, 0) if self._usable(m)]
        appended = [self._take(message) for message in found]
        appended += self._tick(generation)
        return [(self._name, outgoing) for outgoing in appended if outgoing is not None]

    def snapshot(self) -> State:
        """Return the state as plain values, copied."""
        self._lifecycle.snapshotted()
        self._snapshot = _copy(self._offsets)
        for (topic, p), m in self._last.items():
            self._traces[topic][p] = trace(m.timestamp()[1], m.key(), m.value())
        self._last.clear()
        traces = {topic: dict(each) for topic, each in self._traces.items()}
        clock = {CLOCK: {BEAT: self._beat, LATEST: self._latest}}
        return ("sequencer", VERSION, _copy(self._offsets) | clock, traces)

    def close(self) -> None:
        """Close the consumer; after a drain, commit the last offsets first."""
        if self._drained:
            self._became_durable(self._offsets)
        self._consumer.close()
        for group in self._groups.values():
            group.close(CLOSING_S if self._drained else 0)

    def _take(self, message: Message) -> Outgoing | None:
        """Move on over a message; return what is appended of it, None for a heartbeat."""
        # The accessors are typed as if every message were an error.
        topic, partition, offset = str(message.topic()), message.partition(), message.offset()
        assert partition is not None
        assert offset is not None
        self._offsets[topic][partition] = offset + 1
        self._last[topic, partition] = message
        MESSAGES.labels(topic).inc()
        own = dict(cast("Headers", message.headers() or ()))
        value = message.value() or b""
        if not value and HEARTBEAT_HEADER in own:
            return None
        headers: Headers = [(SOURCE_HEADER, f"{topic}/{partition}/{offset}".encode())]
        headers += [(name, own[name]) for name in KEPT_HEADERS if name in own]
        key = message.key()
        if len(value) + len(key or b"") > MAX_BYTES:
            headers.append((LENGTH_HEADER, str(len(value)).encode()))
            key, value = None, b""
        return Outgoing(self._plan.into, key, value, headers)

    def _tick(self, generation: int) -> list[Outgoing]:
        now_ns = self._now_ns()
        second = now_ns // NS
        if second == self._second:
            return []
        self._second, self._beat = second, max(second, self._beat + 1)
        self._judge_clock(second)
        headers: Headers = [(SOURCE_HEADER, f"{CLOCK}/0/{self._beat}".encode())]
        value = to_json({"type": "clock", "ts_ns": now_ns, "generation": generation})
        return [Outgoing(self._plan.into, CLOCK.encode(), value, headers)]

    def _judge_clock(self, second: int) -> None:
        """Say at once where the clock has gone back, and where it has caught up."""
        behind, self._latest = max(0, self._latest - second), max(self._latest, second)
        CLOCK_BEHIND.set(behind)
        if behind > 1 and not self._behind:
            LOG.error(
                "the clock of this machine has gone back by %d s: what is decided keeps the later "
                "time until the clock has caught up, and orders find their prices stale",
                behind,
            )
        elif behind <= 1 and self._behind:
            LOG.warning("the clock of this machine has caught up")
        self._behind = behind > 1

    def _became_durable(self, offsets: Offsets) -> None:
        for topic, partitions in offsets.items():
            self._groups[topic].durable(partitions)

    def _check(self) -> None:
        for group in self._groups.values():
            group.check()
        if self._fatal is not None:
            raise Broken(f"Kafka consumer of the sequencer: {self._fatal.str()}")

    def _note_fatal(self, error: KafkaError) -> None:
        self._fatal = error

    def _usable(self, message: Message) -> bool:
        """Return whether this is a message; raise where going on would skip one."""
        error = message.error()
        if error is None:
            return True
        code, topic, p = error.code(), message.topic(), message.partition()
        KAFKA_ERRORS.labels(error.name()).inc()
        if code in GONE and topic is not None and p is not None:
            at = TopicPartition(topic, p)
            low, high = self._consumer.get_watermark_offsets(at, cached=True)
            raise OffsetGone(topic, p, self._offsets[topic][p], low, high)
        if code not in PASSING or error.fatal():
            raise Broken(f"Kafka cannot deliver {topic}[{p}]: {error.str()}")
        LOG.warning("%s[%s]: %s", topic, p, error.str())
        return False


class SequencerSink(ShardSink[Outgoing]):
    """Appends ``(shard name, message)``; its snapshot is the promise that all is acknowledged."""

    def __init__(
        self,
        cluster: Cluster,
        plan: Sequencing,
        lifecycle: Lifecycle,
        may_write: Callable[[], None] = always,
    ) -> None:
        # An order waits for nothing: what is there when the producer is free goes together.
        at_once = replace(cluster, options={"linger.ms": "0", **cluster.options})
        super().__init__(Delivery(at_once, lifecycle), plan.shards, plan.local)
        self._may_write = may_write

    def _send(self, item: Outgoing) -> None:
        self._may_write()
        self._delivery.send(item)


def _group(cluster: Cluster, plan: Sequencing, topic: str, partitions: int) -> ConsumerGroup:
    """Return the started group of one topic: commits to look at, and a look at the topic."""
    # Nothing is merged by event time here, so nothing is paced.
    found = ConsumerGroup(
        cluster,
        plan.group,
        topic,
        partitions,
        list(range(partitions)),
        Pacing(partitions, 0),
        plan.identities.get(topic, ""),
    )
    found.start()
    return found


def _position(
    cluster: Cluster, plan: Sequencing, state: State | None
) -> tuple[Offsets, dict[str, Traces]]:
    """Return the next offsets and the traces at opening."""
    offsets = _copy(plan.start)
    traces: dict[str, Traces] = {topic: {} for topic in offsets}
    if state is not None:
        kind, version, offsets = state[:3]
        if kind != "sequencer" or version not in (1, VERSION):
            raise SnapshotRefused("source", f"{kind} {version}", f"sequencer {VERSION}")
        if sorted(offsets.keys() - {CLOCK}) != sorted(plan.start):
            raise SnapshotRefused("list of topics", sorted(offsets), sorted(plan.start))
        traces |= state[3] if version > 1 else {}
    for topic, partitions in offsets.items():
        if topic == CLOCK:
            continue
        seen = look_at(cluster, topic)
        check_identity(topic, plan.identities.get(topic, ""), seen)
        if len(seen.marks) != len(partitions):
            raise PartitionsChanged(topic, len(partitions), len(seen.marks))
        for p, offset in partitions.items():
            low, high = seen.marks[p]
            if not low <= offset <= high:
                raise OffsetGone(topic, p, offset, low, high)
        check_traces(cluster, topic, partitions, traces[topic], seen)
    return _copy(offsets), {topic: dict(each) for topic, each in traces.items()}


def _copy(offsets: Mapping[str, Mapping[int, int]]) -> Offsets:
    return {topic: dict(partitions) for topic, partitions in offsets.items()}
