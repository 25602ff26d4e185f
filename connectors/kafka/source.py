"""The Kafka source: one Bytewax partition per shard, emitting blocks by column.

Shard i of n owns the topic's partitions p with p % n == i and reads them with one
consumer by manual assignment: no rebalance moves a partition, and the snapshot alone
says where to go on. ``next_batch`` never waits: it takes what librdkafka has fetched (shard.py).

Resuming. The state of a shard is the next offset and the newest event time of each of its
partitions, idle ones included, so that a restart neither loses nor repeats. A new
flow starts at offsets that were resolved once (topics.resolve_start) and kept by the
runner. An offset that the broker does not hold stops the flow (OffsetGone), at opening
and in the stream; so do a partition count that changes (PartitionsChanged), a topic that
is another one, and a last record that is not the one that was read (continuity.py).
"""

from __future__ import annotations

from collections.abc import Callable

from bytewax.inputs import FixedPartitionedSource

from connectors.kafka.client import Cluster
from connectors.kafka.continuity import check_identity
from connectors.kafka.group import ConsumerGroup
from connectors.kafka.plan import BlockT, ReadingPlan, State
from connectors.kafka.reading import warm_up
from connectors.kafka.shard import KafkaShard, Process
from connectors.kafka.topics import look_at
from connectors.pacing import Pacing
from state.errors import PartitionsChanged
from state.lifecycle import Lifecycle
from state.records import Messages


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
        self._process: Process[BlockT] | None = None
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

    def _open(self) -> Process[BlockT]:
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
        return Process(
            self._cluster, plan, self._decode, self._lifecycle, self._pacing, group, seen
        )
