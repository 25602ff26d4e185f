"""The live context: Kafka in; Redis and Kafka out. And what its first start decides."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource
from bytewax.recovery import init_db_dir

from connectors.kafka.client import Cluster
from connectors.kafka.delivery import Delivery
from connectors.kafka.sequencer import SequencerSink, SequencerSource, Sequencing
from connectors.kafka.sink import DeadLetterSink, KafkaSink
from connectors.kafka.source import BlockT, KafkaSource, Subscription
from connectors.kafka.topics import ensure_topics, partition_count, resolve_start
from connectors.pacing import Pacing
from connectors.redis.keys import Keys
from connectors.redis.sink import RedisSink
from flows.config import load_settings
from flows.generation import (
    Generation,
    Start,
    check_settings,
    find_generation,
    sync_directory,
)
from flows.runner import Context, Flow, MakeSequencer, MakeSource, Sinks, find_flow
from flows.settings import MODELS, Kafka, Part, Settings, settings_hash, trading_hash
from flows.systems import output_topic
from state.clock import now_ns
from state.errors import Misuse, SnapshotRefused
from state.lifecycle import Lifecycle
from state.outputs import DEAD
from state.records import Messages
from state.shards import shard_names, worker_of

RECOVERY_PARTS = 1
"""One SQLite file: each more is more fsyncs per epoch, and all are on this machine anyway."""

_until_exit = ExitStack()
"""What `standalone` holds: it returns before the flow runs."""

AUDIT = "audit"
FOR_GOOD = {"retention.ms": "-1"}
"""Of topics whose whole content is wanted again: events, and the chain of audits."""

KEY_FIELDS = {
    "signals": "scope",
    "gaps": "symbol",
    "late": "symbol",
    "decisions": "account",
    AUDIT: "chain",
}
"""The message key of outputs that are not tables."""


def cluster_of(kafka: Kafka) -> Cluster:
    """Return how to reach Kafka; raises SettingsError where an option is not the user's to set."""
    return Cluster(
        bootstrap=kafka.bootstrap,
        security_protocol=kafka.security_protocol,
        sasl_mechanism=kafka.sasl_mechanism,
        sasl_username=kafka.sasl_username,
        sasl_password=kafka.sasl_password.get_secret_value(),
        ssl_ca=kafka.ssl_ca,
        options=kafka.options,
    )


def group_name(settings: Settings, system: str, generation: int) -> str:
    """Return the consumer group of one generation of a flow, where tools see its lag."""
    return f"{settings.kafka.group}.{system}.{generation}"


def flow_hash(settings: Settings, flow: str) -> str:
    """Return the hash of the settings on which a flow's outputs and state depend."""
    if flow == "trading":
        return trading_hash(settings.trading)
    # History stores what it reads and models answer what they are asked, whatever the settings
    # of the flow that wrote it.
    system = Part() if flow in ("history", "models") else settings.market
    return settings_hash(system, settings.kafka.shards)


def connect(
    start: Start, settings: Settings, lifecycle: Lifecycle, index: int = 0, workers: int = 1
) -> Context:
    """Return the context of worker ``index`` of ``workers``; no server is asked anything yet."""
    shards = shard_names(settings.kafka.shards)
    local = tuple(name for name in shards if worker_of(name, workers) == index)
    inputs = _Inputs(start, settings, lifecycle, shards, local)
    return Context(
        system=start.system,
        generation=start.generation,
        lineage=start.lineage,
        settings=settings,
        lifecycle=lifecycle,
        local=local,
        source=inputs.source,
        sequencer=inputs.sequencer,
        has=lambda topic: topic in start.offsets,
        sinks=_sinks(start, settings, lifecycle, shards, local),
    )


@dataclass(frozen=True)
class _Inputs:
    """Makes the sources of a flow's topics, from where its first start decided."""

    start: Start
    settings: Settings
    lifecycle: Lifecycle
    shards: Sequence[str]
    local: Sequence[str]

    def source(
        self, topic: str, decode: Callable[[Messages], BlockT]
    ) -> FixedPartitionedSource[tuple[str, BlockT], Any]:
        offsets, kafka = self._offsets(topic), self.settings.kafka
        subscription = Subscription(
            topic, self._group(), self.shards, self.local, offsets, kafka.batch
        )
        pacing = Pacing(len(offsets), self.settings.market.max_skew)
        return KafkaSource(cluster_of(kafka), subscription, decode, self.lifecycle, pacing)

    def sequencer(self, topics: Sequence[str], into: str) -> tuple[SequencerSource, SequencerSink]:
        offsets, kafka = {topic: self._offsets(topic) for topic in topics}, self.settings.kafka
        plan = Sequencing(into, self._group(), self.shards, self.local, offsets, kafka.batch)
        cluster = cluster_of(kafka)
        return (
            SequencerSource(cluster, plan, self.lifecycle, now_ns),
            SequencerSink(cluster, plan, self.lifecycle),
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
    start: Start,
    settings: Settings,
    lifecycle: Lifecycle,
    shards: Sequence[str],
    local: Sequence[str],
) -> Sinks:
    delivery = Delivery(cluster_of(settings.kafka), lifecycle)
    keys = Keys(start.system, start.generation)
    topics = _OutputTopics(start.system)
    return Sinks(
        redis=RedisSink(
            settings.redis.url,
            keys,
            start.lineage,
            settings.redis.stream_length,
            shards,
            local,
            lifecycle,
        ),
        outputs=KafkaSink(delivery, topics, shards, local, start.generation, KEY_FIELDS),
        dead=DeadLetterSink(
            delivery, output_topic(start.system, DEAD), shards, local, settings.run.max_dead_bytes
        ),
    )


def standalone(flow: str) -> Dataflow:
    """Return a flow for ``python -m bytewax.run``, which then is all that watches over it.

    It prepares the newest generation under run.state_dir, as ``headrace run`` does, and holds
    its lock until the process ends; Bytewax's own ``-r`` says where its snapshots are.
    """
    settings = load_settings()
    found = find_flow(flow)
    root = settings.run.state_dir.resolve() / found.name
    generation = find_generation(root, None, settings.run.generation)
    _until_exit.enter_context(generation.locked())
    prepare(found, generation, "", settings)
    start = generation.load()
    assert start is not None, "prepare stores it"
    check_settings(start, flow_hash(settings, found.name))
    found.warm_up()
    return found.build(connect(start, settings, Lifecycle()))


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


def prepare(flow: Flow, generation: Generation, start_at: str, settings: Settings) -> None:
    """Decide, once for a generation, where each topic is read from; make its snapshot store.

    ``start_at`` is as kafka.start, which it replaces unless it is ''. Output topics that
    are missing are created. Raises Misuse where Kafka or a topic cannot be used.
    """
    if generation.load() is None:
        if generation.recovery.exists():
            raise Misuse(
                f"{generation.directory} has snapshots and no start.json: restore that file, or "
                "start another generation with --generation N"
            )
        cluster = cluster_of(settings.kafka)
        where = start_at or settings.kafka.start
        ensure_topics(cluster, dict.fromkeys(flow.inputs(settings), 1), FOR_GOOD)
        topics = _topics_read(flow, generation, settings, _left_out(flow, cluster, settings))
        offsets = {topic: resolve_start(cluster, topic, where) for topic in topics}
        partitions = max((len(found) for found in offsets.values()), default=1)
        made = {output_topic(flow.name, name): partitions for name in [*flow.outputs, DEAD]}
        audits = {topic: count for topic, count in made.items() if topic.endswith(f".{AUDIT}")}
        ensure_topics(cluster, audits, FOR_GOOD)
        ensure_topics(cluster, made)
        generation.store(
            Start(flow.name, generation.number, flow_hash(settings, flow.name), offsets)
        )
    if not generation.recovery.exists():
        _make_snapshot_store(generation)


def _left_out(flow: Flow, cluster: Cluster, settings: Settings) -> set[str]:
    """Return the topics that this generation does without, whatever comes later."""
    unused = set() if settings.market.daily else {*settings.market.events, MODELS}
    return unused | {t for t in flow.optional(settings) if not partition_count(cluster, t)}


def _topics_read(
    flow: Flow, generation: Generation, settings: Settings, left_out: Collection[str]
) -> list[str]:
    """Return the topics that the flow asks for, found by building it once."""
    asked: list[str] = []

    def note(make: MakeSource) -> MakeSource:
        def source(
            topic: str, decode: Callable[[Messages], BlockT]
        ) -> FixedPartitionedSource[tuple[str, BlockT], Any]:
            asked.append(topic)
            draft.offsets[topic] = {}
            return make(topic, decode)

        return source

    def note_all(make: MakeSequencer) -> MakeSequencer:
        def sequencer(topics: Sequence[str], into: str) -> Any:
            asked.extend(topics)
            draft.offsets.update({topic: {} for topic in topics})
            return make(topics, into)

        return sequencer

    draft = Start(flow.name, generation.number, "", {})
    context = connect(draft, settings, Lifecycle())
    assert context.sequencer is not None
    noted = replace(
        context,
        source=note(context.source),
        sequencer=note_all(context.sequencer),
        has=lambda topic: topic not in left_out,
    )
    flow.build(noted)
    return list(dict.fromkeys(asked))


def _make_snapshot_store(generation: Generation) -> None:
    """Make Bytewax's empty recovery directory, whole or not at all."""
    draft = generation.directory / "recovery.draft"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    init_db_dir(draft, RECOVERY_PARTS)  # type: ignore[no-untyped-call]  # Bytewax has no types here
    draft.rename(generation.recovery)
    sync_directory(generation.directory)
