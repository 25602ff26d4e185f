"""What Kafka topics hold, into a recording."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka import Consumer, TopicPartition

from connectors.kafka.client import Cluster
from connectors.kafka.topics import offset_bounds
from replay.message import Message
from replay.sealed import Keys, Protection
from replay.topics import BATCH, IDLE_POLLS, consume
from replay.writer import RecordingWriter, rows_content
from state.clock import now_ns
from state.errors import Broken, CannotUnseal, DamagedSeal, Misuse
from state.sealed_values import ValueOpener, is_secret

Place = tuple[str, int]
Marks = dict[Place, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Until:
    """Where to end: after ``count`` messages, before ``time_ns``, else at the topics' ends."""

    count: int | None = None
    time_ns: int | None = None


class Recorded(NamedTuple):
    """How many messages were written, and of these how many values no key opens."""

    messages: int
    closed: int


def record(
    topics: Sequence[str],
    cluster: Cluster,
    out: Path,
    until: Until,
    advance: Callable[[int], None] = lambda count: None,
    protection: Protection = None,
    keys: Keys = lambda: None,
) -> Recorded:
    """Write what the topics hold, from the first message held on; return how many.

    A partition ends before its first message of ``until.time_ns`` or later; where that time
    is still to come, what arrives until then is waited for. ``until.count`` is waited for
    too. Sealed values of secret topics are opened with ``keys``. Raises Misuse where a topic or a
    key is missing, or the cluster cannot be reached.
    """
    marks = _marks(topics, cluster)
    partitions = {topic: sum(1 for name, _ in marks if name == topic) for topic in topics}
    consumer = cluster.consumer("headrace.record", on_fatal=_raise_fatal)
    try:
        start = [TopicPartition(topic, p, low) for (topic, p), (low, _) in marks.items()]
        consumer.assign(start)
        with RecordingWriter(out, partitions, protection) as writer:
            recorder = _Recorder(topics, cluster, consumer, writer, until, marks, keys)
            recorder.run(advance)
            return Recorded(writer.count, recorder.closed)
    finally:
        consumer.close()


def _raise_fatal(error: Any) -> None:
    raise Broken(f"Kafka consumer: {error.str()}")


def _marks(topics: Sequence[str], cluster: Cluster) -> Marks:
    return {
        (topic, partition): marks
        for topic in topics
        for partition, marks in offset_bounds(cluster, topic).items()
    }


class _Recorder:
    """Reads on until every partition has ended, or enough messages have come."""

    def __init__(
        self,
        topics: Sequence[str],
        cluster: Cluster,
        consumer: Consumer,
        writer: RecordingWriter,
        until: Until,
        marks: Marks,
        keys: Keys,
    ) -> None:
        self._opener = ValueOpener(keys() if any(map(is_secret, topics)) else None)
        self._topics = topics
        self._cluster = cluster
        self._consumer = consumer
        self._writer = writer
        self._until = until
        self.closed = 0
        """How many values do not open."""
        self._next = {place: low for place, (low, _) in marks.items()}
        self._ends = {place: high for place, (_, high) in marks.items()}
        self._open = set(marks)
        self._fixed = until.count is None and until.time_ns is None
        """Whether the ends are known; before that, new messages are waited for."""

    def run(self, advance: Callable[[int], None]) -> None:
        idle = 0
        while True:
            self._fix_ends()
            if self._fixed:
                self._open -= {p for p in self._open if self._next[p] >= self._ends[p]}
            if not self._open or self._left() == 0:
                return
            found = consume(self._consumer, min(BATCH, self._left()), self._cluster.mark)
            idle = 0 if found else idle + 1
            if self._fixed and idle == IDLE_POLLS:
                return
            advance(self._keep(found))

    def _fix_ends(self) -> None:
        """Take the topics' ends once ``until.time_ns`` has passed: later messages are later."""
        wanted = self._until.time_ns
        if not self._fixed and wanted is not None and now_ns() >= wanted:
            self._ends = {p: high for p, (_, high) in _marks(self._topics, self._cluster).items()}
            self._fixed = True

    def _left(self) -> int:
        return BATCH if self._until.count is None else self._until.count - self._writer.count

    def _keep(self, found: Sequence[Message]) -> int:
        """Write the messages that belong to the recording; return how many."""
        kept: dict[Place, list[Message]] = defaultdict(list)
        time_ns = self._until.time_ns
        for message in found:
            place = (message.topic, message.partition)
            self._next[place] = message.offset + 1
            if place not in self._open or (self._fixed and message.offset >= self._ends[place]):
                continue
            if time_ns is not None and message.timestamp_ns >= time_ns:
                self._open.discard(place)
            else:
                kept[place].append(self._clear(message))
        for (topic, partition), messages in kept.items():
            self._writer.write(topic, partition, rows_content(messages))
        return sum(map(len, kept.values()))

    def _clear(self, message: Message) -> Message:
        """Return a message of a secret topic with its value in clear.

        One that no key opens stays as it is: a replay makes of it the dead letter that a flow does.
        """
        if not message.value or not is_secret(message.topic):
            return message
        try:
            return message._replace(value=self._opener.open(message.topic, message.value))
        except DamagedSeal:
            self.closed += 1
            return message
        except CannotUnseal as error:
            raise Misuse(f"{message.topic} cannot be recorded: {error}") from None
