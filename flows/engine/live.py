"""The live context: Kafka in; Redis and Kafka out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bytewax.inputs import FixedPartitionedSource

from connectors.kafka.delivery import Delivery
from connectors.kafka.plan import IDLE_POLL_US, PATIENT_POLL_US, BlockT, ReadingPlan
from connectors.kafka.sequencer import SequencerSink, SequencerSource, Sequencing
from connectors.kafka.sink import DeadLetterSink, KafkaSink
from connectors.kafka.source import KafkaSource
from connectors.pacing import Pacing
from connectors.redis.keys import Keys
from connectors.redis.promoted import Promoted
from connectors.redis.sink import RedisSink
from flows.engine.cluster import cluster_of, group_name
from flows.engine.context import Context, Flow, Sinks
from flows.engine.generation import Start, writer_name
from flows.engine.marks import marked_cluster
from flows.engine.opening import opening
from flows.engine.sealed import seal_of
from flows.engine.systems import output_topic
from flows.settings.settings import Settings
from state.clock import now_ns
from state.errors import SnapshotRefused
from state.inputs import Input
from state.lifecycle import Lifecycle
from state.outputs import DEAD
from state.records import Messages
from state.shards import shard_names, worker_of


def connect(
    flow: Flow,
    start: Start,
    settings: Settings,
    lifecycle: Lifecycle,
    index: int = 0,
    workers: int = 1,
    writer: str = "",
) -> Context:
    """Return the context of worker ``index`` of ``workers``; no server is asked anything yet.

    ``writer`` names the run that all of them are of; '' for one of this process's own.
    Raises SettingsError where an output of the flow is secret and there is no key.
    """
    shards = shard_names(settings.kafka.shards)
    local = tuple(name for name in shards if worker_of(name, workers) == index)
    redis = RedisSink(
        settings.redis.url,
        Keys(start.system, start.generation),
        start.lineage,
        settings.redis.stream_length,
        shards,
        local,
        lifecycle,
        writer or writer_name(),
    )
    inputs = _Inputs(flow, start, settings, lifecycle, shards, local, redis.lease.check)
    seal = seal_of(flow, settings)
    return Context(
        flow=flow,
        generation=start.generation,
        lineage=start.lineage,
        settings=settings,
        lifecycle=lifecycle,
        local=local,
        source=opening(inputs.source, flow, settings),
        sequencer=inputs.sequencer,
        has=lambda topic: topic in start.offsets,
        sinks=_sinks(flow, start, settings, lifecycle, shards, local, redis),
        places=start.outputs,
        seal=seal,
    )


@dataclass(frozen=True)
class _Inputs:
    """Makes the sources of a flow's topics, from where its first start decided."""

    flow: Flow
    start: Start
    settings: Settings
    lifecycle: Lifecycle
    shards: Sequence[str]
    local: Sequence[str]
    may_write: Callable[[], None]

    def source(
        self, topic: str, decode: Callable[[Messages], BlockT]
    ) -> FixedPartitionedSource[tuple[str, BlockT], Any]:
        offsets, kafka = self._offsets(topic), self.settings.kafka
        # A flow's own sequenced topic is no declared input.
        declared = {each.topic: each for each in self.flow.inputs(self.settings)}
        read = declared.get(topic, Input(topic))
        plan = ReadingPlan(
            topic,
            self._group(),
            self.shards,
            self.local,
            offsets,
            read.batch or kafka.batch,
            kafka.reading,
            PATIENT_POLL_US if read.patient else IDLE_POLL_US,
            self.start.topics.get(topic, ""),
        )
        pacing = Pacing(len(offsets), self.flow.table(self.settings).max_skew)
        return KafkaSource(marked_cluster(self.settings), plan, decode, self.lifecycle, pacing)

    def sequencer(
        self, topics: Sequence[str], into: str, system: str
    ) -> tuple[SequencerSource, SequencerSink]:
        offsets, kafka = {topic: self._offsets(topic) for topic in topics}, self.settings.kafka
        plan = Sequencing(
            into,
            self._group(),
            self.shards,
            self.local,
            offsets,
            kafka.batch,
            self.start.topics,
        )
        cluster = cluster_of(kafka)
        promoted = Promoted(self.settings.redis.url, system, self.lifecycle)
        return (
            SequencerSource(cluster, plan, self.lifecycle, now_ns, promoted),
            SequencerSink(cluster, plan, self.lifecycle, self.may_write),
        )

    def _offsets(self, topic: str) -> dict[int, int]:
        offsets = self.start.offsets.get(topic)
        if offsets is None:
            listed = ", ".join(self.start.offsets) or "empty"
            raise SnapshotRefused("list of topics", listed, topic)
        return offsets

    def _group(self) -> str:
        return group_name(self.settings, self.start.system, self.start.generation)


def _sinks(
    flow: Flow,
    start: Start,
    settings: Settings,
    lifecycle: Lifecycle,
    shards: Sequence[str],
    local: Sequence[str],
    redis: RedisSink,
) -> Sinks:
    delivery = Delivery(cluster_of(settings.kafka), lifecycle)
    return Sinks(
        redis=redis,
        outputs=KafkaSink(
            delivery,
            _OutputTopics(start.system),
            shards,
            local,
            start.generation,
            start.lineage,
            flow.outputs,
            start.outputs,
            redis.lease.check,
        ),
        dead=DeadLetterSink(
            delivery, output_topic(start.system, DEAD), shards, local, settings.run.max_dead_bytes
        ),
    )


class _OutputTopics(Mapping[str, str]):
    """Output -> topic, for whatever outputs a flow has."""

    def __init__(self, system: str) -> None:
        self._system = system

    def __getitem__(self, output: str) -> str:
        return output_topic(self._system, output)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0
