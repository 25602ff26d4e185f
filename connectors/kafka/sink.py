"""The Kafka sinks: output records to their topics, dead letters to the flow's.

Both are flushed at every snapshot: an epoch is durable only when the broker has acknowledged
all of its messages. What a restart would produce again of the outputs is read back from
their topics and skipped (written.py), so that any reader finds a record once. Dead letters
are at-least-once; readers deduplicate by their coordinates. A sink's partitions are the
shards, so what a shard emits stays on its worker.
"""

from __future__ import annotations

import hashlib
import re
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from time import monotonic
from typing import Any, TypeVar

import orjson
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from confluent_kafka import Message

from connectors.kafka.delivery import Delivery, Headers, Outgoing
from connectors.kafka.written import SINK, Marks, Place, Written
from state.errors import ForeignMarks
from state.metrics import DEAD
from state.outputs import Output
from state.records import ORIGIN_HEADER, SEQUENCE_HEADER, DeadLetter, OutputBatch

COUNTER_HEADER = "headrace-counter"
"""``origin/counter``: the record's place in its output (OutputBatch)."""

RETRACTED_HEADER = "headrace-retracted"
"""``1`` on a record that takes its key away; absent from all others."""

SEALED_HEADER = "headrace-sealed"
"""``1`` on a dead letter whose key and value are sealed (state/sealing)."""

GENERATION_HEADER = "headrace-generation"
"""Which run of the flow wrote it, as decimal digits."""

LINEAGE_HEADER = "headrace-lineage"
"""The one stream of outputs, under that generation, whose counters its own is one of."""

ERROR_HEADER = "headrace-error"
REASON_HEADER = "headrace-reason"
TIMESTAMP_HEADER = "headrace-timestamp-ns"
LENGTH_HEADER = "headrace-length"
SHA256_HEADER = "headrace-sha256"
"""Headers of a dead letter, UTF-8 text; the last two only where the value is left out."""

_MAX_REASON = 1000

X = TypeVar("X")

Snapshot = tuple[str, int, dict[str, Place], Marks]
"""("kafka", version, where the topics ended before this snapshot, the shard's marks)."""


_COUNTER = re.compile("[0-9]{1,18}")


def always() -> None:
    """Say that nobody else writes."""


class ShardSink(FixedPartitionedSink[X, Any]):
    """A sink with a partition for each shard, all of which share one producer."""

    def __init__(self, delivery: Delivery, shards: Sequence[str], local: Sequence[str]) -> None:
        self._delivery = delivery
        # Bytewax indexes the sorted names of all processes' partitions by part_fn's answer.
        self._routes = {name: place for place, name in enumerate(sorted(shards))}
        self._local = local

    def list_parts(self) -> list[str]:
        """Return the shards of this process."""
        return list(self._local)

    def part_fn(self, item_key: str) -> int:
        """Return the place of a shard's partition among all of them."""
        return self._routes[item_key]

    def build_part(self, step_id: str, for_part: str, resume_state: Any) -> DeliveryPartition[X]:
        """Return the partition of one shard; it has no state of its own."""
        return DeliveryPartition(self._delivery, self._send)

    @abstractmethod
    def _send(self, item: X) -> Any:
        """Produce the messages of one item."""


class KafkaSink(ShardSink[OutputBatch]):
    """Writes ``(shard name, OutputBatch)``; ``topics`` maps each output to its topic.

    A message's key is the record's table key; where it has none, the record's field that is
    the output's ``message_key`` by ``outputs``, else null. Of a secret output both are hashes.
    The partition is by the key, as Kafka's Java client chooses it. ``places``: where a start
    without a snapshot reads back from. ``may_write`` is called before each message, and raises
    where another run writes this generation. Raises Undelivered, LostTopic, and
    ForeignMarks where a topic holds records of this generation from another ``lineage``.
    """

    def __init__(
        self,
        delivery: Delivery,
        topics: Mapping[str, str],
        shards: Sequence[str],
        local: Sequence[str],
        generation: int,
        lineage: str,
        outputs: Iterable[Output] = (),
        places: Mapping[str, Place] | None = None,
        may_write: Callable[[], None] = always,
    ) -> None:
        super().__init__(delivery, shards, local)
        self._may_write = may_write
        self._topics = topics
        self._generation, self._lineage = str(generation).encode(), lineage.encode()
        self._shards = shards
        self._acknowledged: Marks = {}
        """By the snapshots from which the shards resumed."""
        self._written = delivery.written(self._place, places or {})
        self._key_fields = {
            each.name: "key" if each.secret and each.message_key else each.message_key
            for each in outputs
        }

    def build_part(
        self, step_id: str, for_part: str, resume_state: Snapshot | None
    ) -> OutputPartition:
        """Return the partition of one shard, which knows where its snapshot left the topics."""
        marks: Marks = {}
        if resume_state is not None:
            _, _, places, marks = resume_state
            self._written.resume(places)
            self._acknowledged |= marks
        return OutputPartition(self._delivery, self._send, self._written, marks)

    def _send(self, item: OutputBatch) -> str:
        """Produce what its topic does not hold of a batch; return the topic."""
        topic = self._topics[item.output]
        field = self._key_fields.get(item.output, "")
        run = ((GENERATION_HEADER, self._generation), (LINEAGE_HEADER, self._lineage))
        self._may_write()  # whoever wrote before has ended when the topics are read back
        held = self._written.held(topic)
        counters = held.get(item.origin)
        for row, (key, value) in enumerate(zip(item.keys, item.values, strict=True)):
            if counters is not None and counters.has(item.first + row):
                continue
            where = (COUNTER_HEADER, f"{item.origin}/{item.first + row}".encode())
            headers: Headers = [where, *run]
            if row in item.retracted:
                headers.append((RETRACTED_HEADER, b"1"))
            message_key = key.encode() if key else _field(value, field)
            self._may_write()
            self._delivery.send(Outgoing(topic, message_key, value, headers))
        if counters is not None and counters.passed():
            del held[item.origin]
        return topic

    def _place(self, message: Message) -> tuple[str, int] | None:
        """Return origin and counter of a record that this process would write again, else None."""
        headers: dict[str, Any] = dict(message.headers() or ())
        where = headers.get(COUNTER_HEADER, b"").decode(errors="replace")
        origin, _, counter = where.rpartition("/")
        if headers.get(GENERATION_HEADER) != self._generation or not _COUNTER.fullmatch(counter):
            return None
        lineage = headers.get(LINEAGE_HEADER, self._lineage)  # records of older releases have none
        if lineage != self._lineage:
            runs = [each.decode(errors="replace") for each in (lineage, self._lineage)]
            raise ForeignMarks(SINK, message.topic(), origin, *runs)
        behind = int(counter) > self._acknowledged.get(f"{message.topic()}/{origin}", 0)
        return (origin, int(counter)) if behind and self._home(origin) in self._local else None

    def _home(self, origin: str) -> str:
        """Return the shard of an origin: that of an input partition, or of what combines all."""
        return self._shards[int(origin) % len(self._shards) if origin.isdigit() else 0]


class DeadLetterSink(ShardSink[DeadLetter]):
    """Writes ``(shard name, DeadLetter)`` to one topic.

    A value longer than ``max_bytes``, or one that the broker finds too large, is left
    out, and its length and SHA-256 are told instead; a key longer than that is null.
    Raises Undelivered for any other refusal.
    """

    def __init__(
        self,
        delivery: Delivery,
        topic: str,
        shards: Sequence[str],
        local: Sequence[str],
        max_bytes: int,
    ) -> None:
        super().__init__(delivery, shards, local)
        self._topic = topic
        self._max_bytes = max_bytes

    def _send(self, item: DeadLetter) -> None:
        DEAD.labels(item.coordinates.topic, item.error).inc()
        message = letter_message(self._topic, item, self._max_bytes)
        if len(item.value) > self._max_bytes:
            self._delivery.send(message)
        else:
            self._delivery.send(message, lambda: without_value(self._topic, item, self._max_bytes))


class DeliveryPartition(StatefulSinkPartition[X, Any]):
    """One shard's end of a sink; its snapshot is the promise that all is acknowledged."""

    def __init__(self, delivery: Delivery, send: Callable[[X], Any]) -> None:
        self._delivery = delivery
        self._send = send

    def write_batch(self, values: list[X]) -> None:
        """Produce the items; the answers are awaited at the snapshot."""
        for item in values:
            self._send(item)
        self._delivery.poll()

    def snapshot(self) -> Any:
        """Return once every message of the process is acknowledged."""
        self._delivery.flush()


class OutputPartition(DeliveryPartition[OutputBatch]):
    """One shard's end of the outputs; its snapshot says what a restart has to read back."""

    def __init__(
        self,
        delivery: Delivery,
        send: Callable[[OutputBatch], str],
        written: Written,
        marks: Marks,
    ) -> None:
        super().__init__(delivery, send)
        self._written = written
        self._marks = dict(marks)

    def write_batch(self, values: list[OutputBatch]) -> None:
        """Produce the records that their topics do not hold yet."""
        for item in values:
            topic = self._send(item)
            self._marks[f"{topic}/{item.origin}"] = item.first + len(item) - 1
        self._delivery.poll()

    def snapshot(self) -> Snapshot:
        """Return what is acknowledged, once all of it is."""
        self._delivery.flush()
        return (SINK, 1, self._written.places(monotonic()), self._marks.copy())


def letter_message(topic: str, letter: DeadLetter, max_bytes: int) -> Outgoing:
    """Return a dead letter as its topic holds it.

    A value longer than ``max_bytes`` is left out, and its length and SHA-256 are told instead; a
    key longer than that is null.
    """
    if len(letter.value) > max_bytes:
        return without_value(topic, letter, max_bytes)
    return Outgoing(topic, _short(letter.key, max_bytes), letter.value, dead_letter_headers(letter))


def without_value(topic: str, letter: DeadLetter, max_bytes: int) -> Outgoing:
    """Return a dead letter that tells its value's length and SHA-256 alone."""
    facts = left_out(len(letter.value), hashlib.sha256(letter.value).hexdigest())
    headers = dead_letter_headers(letter) + facts
    return Outgoing(topic, _short(letter.key, max_bytes), b"", headers)


def left_out(length: int, digest: str) -> Headers:
    """Return what is told of a value that a dead letter is without."""
    return [(LENGTH_HEADER, str(length).encode()), (SHA256_HEADER, digest.encode())]


def _short(key: bytes | None, max_bytes: int) -> bytes | None:
    return key if len(key or b"") <= max_bytes else None


def dead_letter_headers(letter: DeadLetter) -> Headers:
    """Return the headers that every dead letter has."""
    at = letter.coordinates
    return [
        (ORIGIN_HEADER, f"{at.topic}/{at.partition}/{at.offset}".encode()),
        (SEQUENCE_HEADER, str(at.sequence).encode()),
        (ERROR_HEADER, letter.error.encode()),
        (REASON_HEADER, letter.reason[:_MAX_REASON].encode(errors="replace")),
        (TIMESTAMP_HEADER, str(letter.timestamp_ns).encode()),
        *([(SEALED_HEADER, b"1")] if letter.sealed else []),
    ]


def _field(value: bytes, field: str) -> bytes | None:
    """Return a field of a JSON record as a message key; None where it has none."""
    found = orjson.loads(value).get(field) if field else None
    return str(found).encode() if found not in (None, "") else None
