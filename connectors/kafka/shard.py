"""One shard of a Kafka source while it runs.

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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic

from bytewax.inputs import StatefulSourcePartition
from confluent_kafka import KafkaError

from connectors.kafka.client import Cluster
from connectors.kafka.continuity import Traces, check_traces, traces_of
from connectors.kafka.faults import GONE, PASSING
from connectors.kafka.group import ConsumerGroup
from connectors.kafka.messages import Fault
from connectors.kafka.plan import VERSION, BlockT, ReadingPlan, State
from connectors.kafka.reading import Reading, open_reader
from connectors.kafka.topics import Seen, look
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

LOOK_S = 1.0
"""How often a shard looks at its group and measures its lag."""
BLOCK_BYTES = 6 << 20
"""About the most bytes of a block, going by the mean size of the messages of the last one."""
IDLE_S = 1.0
"""A shard that has had nothing for so long is idle."""
CLOSING_S = 5.0
"""How long a drained process waits for the last commit."""


@dataclass(slots=True)
class Process(Generic[BlockT]):
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

    def __init__(self, process: Process[BlockT], name: str, state: State | None) -> None:
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
    process: Process[BlockT], shard: str, state: State | None
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
