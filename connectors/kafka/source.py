"""The Kafka source: one Bytewax partition per shard, emitting blocks by column.

Shard i of n owns the topic's partitions p with p % n == i and reads them with one
consumer by manual assignment: no rebalance moves a partition, and the snapshot alone
says where to go on. ``next_batch`` never waits: it takes what librdkafka has fetched.

Resuming. The state of a shard is the next offset and the newest event time of each of its
partitions, idle ones included, so that a restart neither loses nor repeats. A new
flow starts at offsets that were resolved once (topics.resolve_start) and kept by the
runner. An offset that the broker does not hold stops the flow (OffsetGone), at opening
and in the stream; so do a partition count that changes (PartitionsChanged), a topic that
is another one, and a last record that is not the one that was read (continuity.py).

Commits. The first ``next_batch`` after ``snapshot()`` is called only once that snapshot is
durable (bytewax.md), so it hands those offsets to the group (group.py), for tools to
see. When the flow drains, the last offsets are committed at closing, a moment before
their snapshot is durable: the group is for looking at, and no flow resumes from it.

Stopping. Once ``lifecycle.stopping`` is set each shard raises StopIteration; Bytewax then
snapshots and finishes the epoch, and nothing is replayed at the next start.

Pacing. Partitions too far ahead in event time are paused by connectors/pacing.py. A
paused partition's fetched messages are dropped by librdkafka and fetched again.

Memory. librdkafka holds at most 64 MB of messages per process (client.py), and a block
has at most ``batch`` messages, fewer where they are large: what is worked on at a time
should fit into the processor's caches (packed frames take about a quarter less CPU than in
blocks as large as what has been fetched: `headrace bench market --only c`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, Protocol, TypeVar

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from confluent_kafka import KafkaError

from connectors.kafka.client import Cluster
from connectors.kafka.continuity import Traces, check_identity, check_traces, traces_of
from connectors.kafka.faults import GONE, PASSING
from connectors.kafka.group import ConsumerGroup
from connectors.kafka.messages import Fault
from connectors.kafka.reading import Reading, Way, open_reader, warm_up
from connectors.kafka.topics import Seen, look, look_at
from connectors.pacing import Pacing
from state.errors import (
    Broken,
    Misuse,
    OffsetGone,
    PartitionsChanged,
    SnapshotRefused,
    TopicReplaced,
)
from state.lifecycle import Lifecycle
from state.metrics import EPOCH, KAFKA_ERRORS, LAG, MESSAGES
from state.records import Messages

LOG = logging.getLogger(__name__)

VERSION = 2
LOOK_S = 1.0
"""How often a shard looks at its group and measures its lag."""
BLOCK_BYTES = 6 << 20
"""About the most bytes of a block, going by the mean size of the messages of the last one."""
IDLE_S = 1.0
"""A shard that has had nothing for so long ..."""
IDLE_POLL_US, PATIENT_POLL_US = 5_000, 100_000
"""... is polled on a grid of time (µs), on which all of a process are polled together; the second
is for topics whose records nobody waits for. By Bytewax's millisecond the four shards of a topic
take a seventh of a core while nothing comes, and the topics of history two fifths."""
CLOSING_S = 5.0
"""How long a drained process waits for the last commit."""

State = tuple[str, int, str, int, dict[int, int], dict[int, int], Traces]
"""("kafka", VERSION, topic, partition count, {partition: next offset}, {partition: newest ns},
traces of the last records). Version 1 has no traces."""


class Block(Protocol):
    """What a decoder makes of Messages: any columnar block that says what it covers."""

    ranges: dict[int, tuple[int, int]]
    newest: dict[int, int]
    """The newest event time (ns) of each partition in it, heartbeats included."""
    least: dict[int, int]
    """The smallest of the last event times of each; where it is absent, it is the newest."""

    def __len__(self) -> int: ...


BlockT = TypeVar("BlockT", bound=Block)


@dataclass(frozen=True, slots=True)
class ReadingPlan:
    """What a flow reads. ``start`` has an offset for every partition of the topic.

    ``shards`` names all shards of the flow in order, ``local`` those of this process.
    ``batch`` is the most messages of one block. ``group`` belongs to this flow and
    generation alone. ``way`` is how messages are taken (reading.py).
    """

    topic: str
    group: str
    shards: Sequence[str]
    local: Sequence[str]
    start: Mapping[int, int]
    batch: int
    way: Way = "auto"
    idle_poll_us: int = IDLE_POLL_US
    """How often an idle shard is polled; divides a second."""
    identity: str = ""
    """Of the topic at the flow's start; '' where a former release did not note it."""

    def owned(self, shard: str) -> list[int]:
        """Return the partitions of one shard."""
        index, count = self.shards.index(shard), len(self.shards)
        return [p for p in sorted(self.start) if p % count == index]


class KafkaSource(FixedPartitionedSource[tuple[str, BlockT], State]):
    """Emits ``(shard name, decode(messages))`` for every block that is not empty.

    One per process. Raises Misuse where the cluster cannot be reached at opening,
    OffsetGone, PartitionsChanged, SnapshotRefused, and Broken for a fatal error.
    """

    def __init__(
        self,
        cluster: Cluster,
        plan: ReadingPlan,
        decode: Callable[[Messages], BlockT],
        lifecycle: Lifecycle,
        pacing: Pacing,
    ) -> None:
        self._cluster = cluster
        self._plan = plan
        self._decode = decode
        self._lifecycle = lifecycle
        self._pacing = pacing
        self._process: _Process[BlockT] | None = None
        warm_up(plan.way)

    def list_parts(self) -> list[str]:
        """Return the shards of this process."""
        return list(self._plan.local)

    def build_part(
        self, step_id: str, for_part: str, resume_state: State | None
    ) -> KafkaShard[BlockT]:
        """Open a shard at its snapshot, or at the flow's start."""
        if self._process is None:
            self._process = self._open()
        return KafkaShard(self._process, for_part, resume_state)

    def _open(self) -> _Process[BlockT]:
        plan = self._plan
        seen = look_at(self._cluster, plan.topic)
        check_identity(plan.topic, plan.identity, seen)
        marks = seen.marks
        if len(marks) != len(plan.start):
            raise PartitionsChanged(plan.topic, len(plan.start), len(marks))
        owned = [p for shard in plan.local for p in plan.owned(shard)]
        group = ConsumerGroup(
            self._cluster,
            plan.group,
            plan.topic,
            len(marks),
            owned,
            self._pacing,
            seen.identity,
        )
        group.start()
        return _Process(
            self._cluster, plan, self._decode, self._lifecycle, self._pacing, group, seen
        )


@dataclass(slots=True)
class _Process(Generic[BlockT]):
    """What the shards of a process share."""

    cluster: Cluster
    plan: ReadingPlan
    decode: Callable[[Messages], BlockT]
    lifecycle: Lifecycle
    pacing: Pacing
    group: ConsumerGroup
    seen: Seen
    """The topic at opening."""
    shards: int = 0
    """How many are open."""


class KafkaShard(StatefulSourcePartition[tuple[str, BlockT], State]):
    """One shard: a consumer of its partitions."""

    def __init__(self, process: _Process[BlockT], name: str, state: State | None) -> None:
        self._process = process
        self._name = name
        self._topic = process.plan.topic
        self._offsets, self._newest, self._traces = _position(process, name, state)
        self._untraced: Messages | None = None
        """The last block, of which no trace has been taken yet."""
        self._snapshot: dict[int, int] | None = dict(self._offsets)
        """The offsets of a snapshot that the next poll will know to be durable."""
        self._durable_at = 0.0
        self._looked_at = -LOOK_S
        self._idle_at = 0.0
        """When it is idle, unless something comes before."""
        self._idle = False
        self._paused: set[int] = set()
        self._paced = -1
        """The pacing's count of changes when the partitions were last paused by it."""
        self._drained = False
        self._at_most = process.plan.batch
        """The most messages of the next block."""
        self._fatal: KafkaError | None = None
        self._consumed = MESSAGES.labels(self._topic)
        self._epoch = EPOCH.labels(name)
        for p, newest_ns in self._newest.items():
            process.pacing.update(p, newest_ns)
        reading = Reading(
            self._topic,
            len(process.seen.marks),
            self._offsets,
            process.plan.batch,
            process.plan.group,
            len(process.plan.local),
        )
        self._reader = open_reader(
            process.plan.way, process.cluster, reading, self._judge, self._note_fatal
        )
        process.shards += 1

    def next_batch(self) -> list[tuple[str, BlockT]]:
        """Return a block of what has been fetched, or nothing; never waits."""
        process = self._process
        process.lifecycle.polled()
        now = time.monotonic()
        if self._snapshot is not None:
            self._became_durable(self._snapshot, now)
        if process.lifecycle.stopping.is_set():
            self._drained = True
            raise StopIteration
        # An idle flow does this a thousand times a second: what need not be done is not done.
        if self._fatal is not None:
            raise Broken(f"Kafka consumer of {self._topic}: {self._fatal.str()}")
        if process.pacing.changes != self._paced:
            self._pace()
        if now >= self._looked_at + LOOK_S:
            self._looked_at = now
            process.group.check()
            self._measure_lag()
        messages = self._reader.read(self._at_most, self._offsets)
        if messages is None:
            self._idle = now >= self._idle_at
            return []
        self._idle, self._idle_at = False, now + IDLE_S
        return [(self._name, self._block(messages))]

    def next_awake(self) -> datetime | None:
        """Return when an idle shard wants to be polled again; None leaves it to Bytewax."""
        if not self._idle:
            return None
        now = datetime.now(UTC)
        step = self._process.plan.idle_poll_us
        return now + timedelta(microseconds=step - now.microsecond % step)

    def snapshot(self) -> State:
        """Return the state as plain values, copied."""
        self._process.lifecycle.snapshotted()
        self._snapshot = dict(self._offsets)
        count = len(self._process.seen.marks)
        self._take_traces({})
        offsets, newest = dict(self._offsets), dict(self._newest)
        return ("kafka", VERSION, self._topic, count, offsets, newest, dict(self._traces))

    def close(self) -> None:
        """Close the consumer; after a drain, commit the last offsets first."""
        process = self._process
        if self._drained:
            process.group.durable(self._offsets)
        self._reader.close()
        process.shards -= 1
        if not process.shards:
            process.group.close(CLOSING_S if self._drained else 0)

    def _block(self, messages: Messages) -> BlockT:
        process = self._process
        for p, (_, following) in messages.ranges.items():
            self._offsets[p] = following
        self._take_traces(messages.ranges)
        self._untraced = messages
        fitting = BLOCK_BYTES * len(messages) // max(1, len(messages.data))
        self._at_most = min(process.plan.batch, max(1, fitting))
        block = process.decode(messages)
        for p, newest_ns in block.newest.items():
            self._newest[p] = max(int(newest_ns), self._newest.get(p, int(newest_ns)))
            process.pacing.update(p, self._newest[p], block.least.get(p))
        self._consumed.inc(len(messages))
        return block

    def _take_traces(self, coming: Mapping[int, object]) -> None:
        """Take those of the last block, but of the partitions that the coming one has too."""
        if self._untraced is not None:
            left = self._untraced.ranges.keys() - coming.keys()
            self._traces |= traces_of(self._untraced, left)
            self._untraced = None

    def _became_durable(self, offsets: dict[int, int], now: float) -> None:
        self._process.group.durable(offsets)
        if self._durable_at:
            self._epoch.observe(now - self._durable_at)
        self._durable_at = now
        self._snapshot = None

    def _note_fatal(self, error: KafkaError) -> None:
        self._fatal = error

    def _pace(self) -> None:
        pacing = self._process.pacing
        self._paced = pacing.changes
        for p in self._offsets:
            if pacing.paused(p) == (p in self._paused):
                continue
            if p in self._paused:
                self._reader.resume(p)
                self._paused.discard(p)
            else:
                self._reader.pause(p)
                self._paused.add(p)

    def _measure_lag(self) -> None:
        for p, offset in self._offsets.items():
            # Unknown (negative) until the first answer to a fetch.
            high = max(self._reader.offset_bounds(p)[1], self._process.seen.marks[p][1])
            LAG.labels(self._topic, str(p)).set(max(0, high - offset))

    def _judge(self, fault: Fault) -> None:
        """Raise where going on after an error would skip a message."""
        p, error = fault
        code = error.code()
        KAFKA_ERRORS.labels(error.name()).inc()
        if code in GONE and p is not None:
            raise self._gone(p)
        if code not in PASSING or error.fatal():
            raise Broken(f"Kafka cannot deliver {self._topic}[{p}]: {error.str()}")
        LOG.warning("%s[%s]: %s", self._topic, p, error.str())

    def _gone(self, p: int) -> Broken:
        """Return what is to be said of an offset that the broker does not hold."""
        process, low, high = self._process, -1, -1
        try:
            seen = look(process.cluster, process.cluster.admin(), self._topic)
        except Misuse:  # it cannot be asked either
            return OffsetGone(self._topic, p, self._offsets[p], low, high)
        if seen is None:
            return TopicReplaced(self._topic, "was deleted")
        if seen.identity != process.seen.identity:
            return TopicReplaced(self._topic, "was deleted and made anew")
        return OffsetGone(self._topic, p, self._offsets[p], *seen.marks.get(p, (low, high)))


def _position(
    process: _Process[BlockT], shard: str, state: State | None
) -> tuple[dict[int, int], dict[int, int], Traces]:
    """Return next offsets, newest event times and traces of a shard's partitions at opening."""
    plan, marks = process.plan, process.seen.marks
    owned = plan.owned(shard)
    offsets: dict[int, int] = {p: plan.start[p] for p in owned}
    newest: dict[int, int] = {}
    traces: Traces = {}
    if state is not None:
        kind, version, topic, count, offsets, newest = state[:6]
        if (kind, topic) != ("kafka", plan.topic) or version not in (1, VERSION):
            found = f"{kind} {version} {topic}"
            raise SnapshotRefused("source", found, f"kafka {VERSION} {plan.topic}")
        if count != len(marks):
            raise PartitionsChanged(plan.topic, count, len(marks))
        if sorted(offsets) != owned:
            raise SnapshotRefused(f"partitions of shard {shard}", sorted(offsets), owned)
        traces = state[6] if version > 1 else {}
    for p, offset in offsets.items():
        low, high = marks[p]
        if not low <= offset <= high:
            raise OffsetGone(plan.topic, p, offset, low, high)
    check_traces(process.cluster, plan.topic, offsets, traces, process.seen)
    return dict(offsets), dict(newest), dict(traces)
