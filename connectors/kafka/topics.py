"""Topics seen from outside: do they exist, how many partitions, which offsets.

Every question has a time limit. A cluster that does not answer, a topic that is missing
or a start that cannot be is Misuse: these run when a command starts, before a flow does.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Any, NamedTuple

from confluent_kafka import (
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # OffsetSpec is public all the same
    AdminClient,
    OffsetSpec,
    TopicDescription,
)
from confluent_kafka.cimpl import NewTopic

from connectors.kafka.client import Cluster
from connectors.kafka.faults import PASSING, UNREACHABLE
from state.clock import MS, iso_time_ns
from state.errors import Misuse

TIMEOUT_S = 10.0
"""How long a question to the cluster may take."""

_RETRY_S = 0.02
_EARLIEST = OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # confluent_kafka has no types here
_LATEST = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # as above
_NOT_FOUND = -1
"""The offset that the broker answers where no message is as late as the time asked for."""


class Seen(NamedTuple):
    """A topic at one moment."""

    identity: str
    """Another one where a topic was deleted and made again."""
    marks: dict[int, tuple[int, int]]
    """Partition -> (first offset held, next offset to be written)."""


def partition_count(cluster: Cluster, topic: str, timeout_s: float = TIMEOUT_S) -> int:
    """Return how many partitions a topic has, 0 where it is missing."""
    return _count(cluster, cluster.admin(), topic, timeout_s)


def offset_bounds(
    cluster: Cluster, topic: str, timeout_s: float = TIMEOUT_S
) -> dict[int, tuple[int, int]]:
    """Return (first offset held, next offset to be written) of each partition of a topic.

    Raises Misuse where the topic is missing.
    """
    return look_at(cluster, topic, timeout_s).marks


def look_at(cluster: Cluster, topic: str, timeout_s: float = TIMEOUT_S) -> Seen:
    """Return a topic as it is now. Raises Misuse where it is missing."""
    seen = look(cluster, cluster.admin(), topic, timeout_s)
    if seen is None:
        raise Misuse(f"Kafka at {cluster.bootstrap} has no topic {topic}: create it")
    return seen


def has_committed(
    cluster: Cluster, group: str, topics: Iterable[str], timeout_s: float = TIMEOUT_S
) -> bool:
    """Return whether a group has committed an offset of one of these topics."""
    consumer = cluster.consumer(group)
    try:
        asked = [
            TopicPartition(topic, p) for topic in topics for p in offset_bounds(cluster, topic)
        ]
        found = consumer.committed(asked, timeout=timeout_s)
    except KafkaException as error:
        raise Misuse(f"offsets of group {group} cannot be read: {error.args[0].str()}") from None
    finally:
        consumer.close()
    return any(each.offset >= 0 for each in found)


def describe(
    cluster: Cluster, admin: AdminClient, topic: str, timeout_s: float = TIMEOUT_S
) -> tuple[str, int] | None:
    """Return a topic's identity and the number of its partitions, None where it is missing."""
    found = _described(cluster, admin, [topic], timeout_s).get(topic)
    return None if found is None else (str(found.topic_id), len(found.partitions))


def look(
    cluster: Cluster, admin: AdminClient, topic: str, timeout_s: float = TIMEOUT_S
) -> Seen | None:
    """Return a topic as it is now, None where it is missing.

    ``admin`` is a client of the cluster, which who asks often keeps.
    """
    return look_at_all(cluster, admin, [topic], timeout_s).get(topic)


def look_at_all(
    cluster: Cluster, admin: AdminClient, topics: Iterable[str], timeout_s: float = TIMEOUT_S
) -> dict[str, Seen]:
    """Return those of the topics that exist as they are now, by three questions."""
    described = _described(cluster, admin, topics, timeout_s)
    places = [(t, p) for t, each in described.items() for p in range(len(each.partitions))]
    low = _offsets(cluster, admin, places, _EARLIEST, timeout_s)
    high = _offsets(cluster, admin, places, _LATEST, timeout_s)
    seen = {topic: Seen(str(each.topic_id), {}) for topic, each in described.items()}
    for topic, p in places:
        seen[topic].marks[p] = (low[topic, p], high[topic, p])
    return seen


def look_at_each(
    cluster: Cluster, topics: Iterable[str], timeout_s: float = TIMEOUT_S
) -> dict[str, Seen]:
    """Return all of the topics as they are now. Raises Misuse where one is missing.

    A broker that has just come may not know a topic yet, so what is missing is asked for again.
    """
    wanted, admin = list(topics), cluster.admin()
    deadline = time.monotonic() + timeout_s
    while True:
        seen = look_at_all(cluster, admin, wanted, timeout_s)
        missing = [topic for topic in wanted if topic not in seen]
        if not missing:
            return seen
        if time.monotonic() > deadline:
            raise Misuse(f"Kafka at {cluster.bootstrap} has no topic {missing[0]}: create it")
        time.sleep(_RETRY_S)


def ask_ends(
    admin: AdminClient, topics: Mapping[str, Iterable[int]]
) -> dict[TopicPartition, Future[Any]]:
    """Ask for the next offset to be written of some partitions of topics; wait for nothing."""
    asked = {TopicPartition(topic, p): _LATEST for topic, each in topics.items() for p in each}
    return admin.list_offsets(asked, isolation_level=IsolationLevel.READ_UNCOMMITTED)


def resolve_start(
    cluster: Cluster, topic: str, start: str | Mapping[int, int], timeout_s: float = TIMEOUT_S
) -> dict[int, int]:
    """Return the offset at which each partition of a topic starts.

    ``start`` is ``earliest``, ``latest``, an ISO 8601 time (UTC where it names no zone:
    the first message whose Kafka timestamp is not before it), or offsets for every
    partition, as a mapping or as text ``0:15,1:20``. Called once for a new flow, and the
    answer kept, so that a flow that dies before its first snapshot starts at the same place.
    Raises Misuse.
    """
    marks = offset_bounds(cluster, topic, timeout_s)
    if start == "earliest":
        return {p: low for p, (low, _) in marks.items()}
    if start == "latest":
        return {p: high for p, (_, high) in marks.items()}
    offsets = start if isinstance(start, Mapping) else _parse_offsets(start)
    if offsets is not None:
        return _checked(topic, offsets, marks)
    # Asked for after the high watermark: what arrives in between is read, not skipped.
    spec = OffsetSpec.for_timestamp(_parse_time_ms(str(start)))
    places = [(topic, p) for p in marks]
    found = {
        p: offset
        for (_, p), offset in _offsets(cluster, cluster.admin(), places, spec, timeout_s).items()
    }
    return {p: high if found[p] == _NOT_FOUND else found[p] for p, (_, high) in marks.items()}


def ensure_topics(
    cluster: Cluster,
    topics: Mapping[str, int],
    config: Mapping[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> list[str]:
    """Create the topics (name -> partitions) that are missing; return their names.

    A topic that exists stays as it is, whatever its partition count. ``config`` holds
    Kafka's topic settings. Returns once all of them can be written to (`why_leaderless`).
    """
    if not topics:
        return []
    admin = cluster.admin()
    wanted = [
        NewTopic(name, num_partitions=count, replication_factor=-1, config=dict(config or {}))
        for name, count in topics.items()
    ]
    created = []
    for name, future in admin.create_topics(wanted, request_timeout=timeout_s).items():
        try:
            _answer(cluster, future, timeout_s)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise Misuse(f"topic {name} cannot be created: {error.args[0].str()}") from None
        else:
            created.append(name)
    deadline = time.monotonic() + timeout_s
    for name in created:
        while _count(cluster, admin, name, timeout_s) < topics[name]:
            if time.monotonic() > deadline:
                raise Misuse(f"topic {name} was created and did not appear in {timeout_s:g} s")
            time.sleep(_RETRY_S)
    for name in topics:
        look(cluster, admin, name, timeout_s)
    return created


def why_leaderless(
    cluster: Cluster, admin: AdminClient, topic: str, timeout_s: float = TIMEOUT_S
) -> str:
    """Return why a topic cannot be written to yet; '' where all its partitions' leaders answer.

    A producer has to ask before its first message. A partition that has no leader yet refuses a
    batch, and may have one when the next batch comes. A broker that knows nothing of a producer
    takes its batches from any number on: it takes the second, and then holds the first, which is
    sent again, for a repetition. The producer is told that it is delivered, and it is lost.
    A topic that is missing has no leaders to wait for: producing to it says so.
    """
    try:
        look(cluster, admin, topic, timeout_s)
    except Misuse as error:
        return str(error)
    return ""


def _count(cluster: Cluster, admin: AdminClient, topic: str, timeout_s: float) -> int:
    found = describe(cluster, admin, topic, timeout_s)
    return 0 if found is None else found[1]


def _described(
    cluster: Cluster, admin: AdminClient, topics: Iterable[str], timeout_s: float
) -> dict[str, TopicDescription]:
    """Return what describes those of the topics that exist."""
    found: dict[str, TopicDescription] = {}
    # Not list_topics: a broker may create the topic that it is asked about.
    asked = admin.describe_topics(TopicCollection(list(topics)), request_timeout=timeout_s)
    for topic, future in asked.items():
        try:
            found[topic] = _answer(cluster, future, timeout_s)
        except KafkaException as error:
            fault = error.args[0]
            if fault.code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise Misuse(f"topic {topic} cannot be used: {fault.str()}") from None
    return found


def _offsets(
    cluster: Cluster,
    admin: AdminClient,
    places: Iterable[tuple[str, int]],
    spec: OffsetSpec,
    timeout_s: float,
) -> dict[tuple[str, int], int]:
    """Return an offset of each (topic, partition)."""
    requests = {TopicPartition(*place): spec for place in places}
    if not requests:
        return {}
    names = ", ".join(sorted({at.topic for at in requests}))
    deadline = time.monotonic() + timeout_s
    while True:
        asked = admin.list_offsets(
            requests,
            isolation_level=IsolationLevel.READ_UNCOMMITTED,
            request_timeout=timeout_s,
        )
        reason = "it has no leader"
        try:
            found = {
                (at.topic, at.partition): int(_answer(cluster, future, timeout_s).offset)
                for at, future in asked.items()
            }
        except KafkaException as error:
            # A topic just made, or a broker just started, has no leaders for a moment.
            fault = error.args[0]
            reason = fault.str()
            if fault.code() not in PASSING:
                raise Misuse(f"offsets of {names} cannot be read: {reason}") from None
        else:
            # librdkafka tells of some partitions without a leader as if it had an answer.
            if all(offset >= _NOT_FOUND for offset in found.values()):
                return found
        if time.monotonic() > deadline:
            raise Misuse(f"offsets of {names} cannot be read: {reason}")
        time.sleep(_RETRY_S)


def _answer(cluster: Cluster, future: Future[Any], timeout_s: float) -> Any:
    """Return a future's result; a cluster that does not answer is Misuse."""
    try:
        return future.result(timeout_s + 1)
    except TimeoutError:
        reason = "no answer"
    except KafkaException as error:
        fault = error.args[0]
        if fault.code() not in UNREACHABLE:
            raise
        reason = fault.str()
    raise Misuse(
        f"Kafka at {cluster.bootstrap} cannot be reached in {timeout_s:g} s ({reason}): "
        "start it, or set kafka.bootstrap"
    )


def _parse_offsets(text: str) -> dict[int, int] | None:
    try:
        pairs = [part.split(":") for part in text.split(",")]
        return {int(partition): int(offset) for partition, offset in pairs}
    except ValueError:
        return None


def _parse_time_ms(text: str) -> int:
    try:
        return iso_time_ns(text) // MS
    except ValueError:
        raise Misuse(
            f"start {text!r} is not earliest, latest, an ISO 8601 time, or offsets as 0:15,1:20"
        ) from None


def _checked(
    topic: str, offsets: Mapping[int, int], marks: Mapping[int, tuple[int, int]]
) -> dict[int, int]:
    if set(offsets) != set(marks):
        raise Misuse(f"start must name the partitions 0 to {len(marks) - 1} of {topic}")
    for p, (low, high) in marks.items():
        if not low <= offsets[p] <= high:
            raise Misuse(f"start {offsets[p]} of {topic}[{p}] is outside of {low} to {high}")
    return {p: offsets[p] for p in marks}
