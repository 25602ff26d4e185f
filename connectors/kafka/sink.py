"""The Kafka sinks: output records to their topics, dead letters to the flow's.

Both are at-least-once and flushed at every snapshot: an epoch is durable only when the
broker has acknowledged all of its messages. What is produced again after a restart
carries the same identity (the counter header, or a dead letter's coordinates), by
which readers deduplicate. A sink's partitions are the shards, so what a shard emits
stays on its worker.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import orjson
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from connectors.kafka.delivery import Delivery, Headers, Outgoing
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

ERROR_HEADER = "headrace-error"
REASON_HEADER = "headrace-reason"
TIMESTAMP_HEADER = "headrace-timestamp-ns"
LENGTH_HEADER = "headrace-length"
SHA256_HEADER = "headrace-sha256"
"""Headers of a dead letter, UTF-8 text; the last two only where the value is left out."""

_MAX_REASON = 1000

X = TypeVar("X")


class ShardSink(FixedPartitionedSink[X, None]):
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

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> DeliveryPartition[X]:
        """Return the partition of one shard; it has no state of its own."""
        return DeliveryPartition(self._delivery, self._send)

    @abstractmethod
    def _send(self, item: X) -> None:
        """Produce the messages of one item."""


class KafkaSink(ShardSink[OutputBatch]):
    """Writes ``(shard name, OutputBatch)``; ``topics`` maps each output to its topic.

    A message's key is the record's table key; where it has none, the record's field that is
    the output's ``message_key`` by ``outputs``, else null. Of a secret output both are hashes.
    Raises Undelivered.
    """

    def __init__(
        self,
        delivery: Delivery,
        topics: Mapping[str, str],
        shards: Sequence[str],
        local: Sequence[str],
        generation: int,
        outputs: Iterable[Output] = (),
    ) -> None:
        super().__init__(delivery, shards, local)
        self._topics = topics
        self._generation = (GENERATION_HEADER, str(generation).encode())
        self._key_fields = {
            each.name: "key" if each.secret and each.message_key else each.message_key
            for each in outputs
        }

    def _send(self, item: OutputBatch) -> None:
        topic = self._topics[item.output]
        field = self._key_fields.get(item.output, "")
        for row, (key, value) in enumerate(zip(item.keys, item.values, strict=True)):
            where = (COUNTER_HEADER, f"{item.origin}/{item.first + row}".encode())
            headers: Headers = [where, self._generation]
            if row in item.retracted:
                headers.append((RETRACTED_HEADER, b"1"))
            message_key = key.encode() if key else _field(value, field)
            self._delivery.send(Outgoing(topic, message_key, value, headers))


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
        if len(item.value) > self._max_bytes:
            self._delivery.send(self._digest(item))
        else:
            whole = Outgoing(self._topic, self._key(item), item.value, dead_letter_headers(item))
            self._delivery.send(whole, lambda: self._digest(item))

    def _digest(self, letter: DeadLetter) -> Outgoing:
        facts: Headers = [
            (LENGTH_HEADER, str(len(letter.value)).encode()),
            (SHA256_HEADER, hashlib.sha256(letter.value).hexdigest().encode()),
        ]
        return Outgoing(self._topic, self._key(letter), b"", dead_letter_headers(letter) + facts)

    def _key(self, letter: DeadLetter) -> bytes | None:
        return letter.key if len(letter.key or b"") <= self._max_bytes else None


class DeliveryPartition(StatefulSinkPartition[X, None]):
    """One shard's end of a sink; its snapshot is the promise that all is acknowledged."""

    def __init__(self, delivery: Delivery, send: Callable[[X], None]) -> None:
        self._delivery = delivery
        self._send = send

    def write_batch(self, values: list[X]) -> None:
        """Produce the items; the answers are awaited at the snapshot."""
        for item in values:
            self._send(item)
        self._delivery.poll()

    def snapshot(self) -> None:
        """Return once every message of the process is acknowledged."""
        self._delivery.flush()


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
