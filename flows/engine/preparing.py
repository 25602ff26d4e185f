"""The first start of a generation: where each topic is read from, decided once and for all."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import orjson
from bytewax.recovery import init_db_dir

from connectors.kafka.client import Cluster
from connectors.kafka.topics import (
    ensure_topics,
    has_committed,
    look_at_each,
    partition_count,
    resolve_start,
)
from connectors.kafka.written import Place
from flows.engine.cluster import cluster_of, group_name
from flows.engine.context import Flow, flow_hash, shards_of
from flows.engine.generation import Generation, Start
from flows.engine.systems import output_topic
from flows.settings.part import differing
from flows.settings.settings import Settings
from state.disk import to_disk
from state.errors import Misuse, SnapshotRefused
from state.inputs import Input
from state.outputs import DEAD

RECOVERY_PARTS = 1
"""One SQLite file: each more is more fsyncs per epoch, and all are on this machine anyway."""
FOR_GOOD = {"retention.ms": "-1"}
"""Of topics whose whole content is wanted again: events, and the chain of audits."""


def prepare(flow: Flow, generation: Generation, start_at: str, settings: Settings) -> None:
    """Decide where each topic of a generation is read from; make its snapshot store.

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
        inputs = flow.inputs(settings)
        _make_inputs(cluster, inputs)
        where = start_at or settings.kafka.start
        topics = [each.topic for each in _chosen(cluster, inputs)]
        offsets = {topic: resolve_start(cluster, topic, where) for topic in topics}
        partitions = max((len(found) for found in offsets.values()), default=1)
        _make_outputs(cluster, flow, partitions)
        written = [each.topic for each in flow.outputs]
        written += [each.topic for each in inputs if each.role == "made"]
        group = group_name(settings, flow.name, generation.number)
        generation.store(
            Start(
                flow.name,
                generation.number,
                flow_hash(flow, settings),
                offsets,
                differing(flow.table(settings), shards_of(flow, settings)),
                {topic: each.identity for topic, each in look_at_each(cluster, topics).items()},
                _places(cluster, written, lambda: has_committed(cluster, group, topics)),
            )
        )
    if not generation.recovery.exists():
        _make_snapshot_store(generation)


def check_start(start: Start, flow: Flow, settings: Settings) -> None:
    """Raise SnapshotRefused, with the setting, where a flow was started under other settings."""
    if start.settings_hash == flow_hash(flow, settings):
        return
    before = dict(_flat(start.settings))
    now = dict(_flat(differing(flow.table(settings), shards_of(flow, settings))))
    for name in sorted(before.keys() | now.keys()):
        if before.get(name, _DEFAULT) != now.get(name, _DEFAULT):
            found, ours = before.get(name, _DEFAULT), now.get(name, _DEFAULT)
            raise SnapshotRefused(f"setting {flow.name}.{name}", found, ours)
    raise SnapshotRefused("settings hash", start.settings_hash, flow_hash(flow, settings))


_DEFAULT = "its default"


def _flat(said: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield each setting by its whole name, as text."""
    for name, value in said.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", orjson.dumps(value).decode()


def _make_inputs(cluster: Cluster, inputs: Sequence[Input]) -> None:
    """Create the topics that the flow makes itself, where they are missing."""
    made = {each.topic: each.partitions for each in inputs if each.partitions and each.kept}
    ensure_topics(cluster, made, FOR_GOOD)
    made = {each.topic: each.partitions for each in inputs if each.partitions and not each.kept}
    ensure_topics(cluster, made)


def _chosen(cluster: Cluster, inputs: Sequence[Input]) -> list[Input]:
    """Return the inputs without the groups of which no topic exists."""
    groups: dict[str, list[Input]] = defaultdict(list)
    for each in inputs:
        if each.role != "made":
            groups[each.group].append(each)
    chosen = groups.pop("", [])
    for members in groups.values():
        if any(partition_count(cluster, each.topic) for each in members):
            chosen.extend(members)
    if not chosen:
        names = ", ".join(each.topic for each in inputs[:3])
        raise Misuse(f"no topic to read exists yet ({names}, ...): start what writes them first")
    return [each for each in inputs if each in chosen]


def _make_outputs(cluster: Cluster, flow: Flow, partitions: int) -> None:
    kept = {output.topic: output.partitions or partitions for output in flow.outputs if output.kept}
    made = {output.topic: output.partitions or partitions for output in flow.outputs}
    ensure_topics(cluster, kept, FOR_GOOD)
    ensure_topics(cluster, made | {output_topic(flow.name, DEAD): partitions})


def _places(
    cluster: Cluster, topics: Sequence[str], ran_before: Callable[[], bool]
) -> dict[str, Place]:
    """Return where the output topics end; where they begin if the generation ran before.

    One that has lost its directory finds by that which of its records the topics hold. Raises
    Misuse where Kafka knows one of them not: without a place it would never be read back.
    """
    seen = look_at_each(cluster, topics)
    empty = all(high == 0 for each in seen.values() for _, high in each.marks.values())
    side = 1 if empty or not ran_before() else 0
    return {
        topic: (each.identity, {p: mark[side] for p, mark in each.marks.items()})
        for topic, each in seen.items()
    }


def _make_snapshot_store(generation: Generation) -> None:
    """Make the store beside its place first, for a crash in between must leave none."""
    draft = generation.directory / "recovery.draft"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    init_db_dir(draft, RECOVERY_PARTS)  # type: ignore[no-untyped-call]  # Bytewax has no types here
    draft.rename(generation.recovery)
    to_disk(generation.directory)
