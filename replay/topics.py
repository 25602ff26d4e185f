"""Messages as Kafka hands them out, for tools: recording and export."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka import Message as KafkaMessage

from connectors.kafka.client import Cluster
from connectors.kafka.faults import PASSING
from connectors.kafka.marks import Mark, proven
from connectors.kafka.topics import offset_bounds
from replay.message import Message
from state.clock import MS
from state.errors import Broken
from state.outputs import DEAD

BATCH = 10_000
POLL_S = 0.2
IDLE_POLLS = 25
"""So many empty polls (5 s) below a known end mean that nothing more is delivered: a
transaction's marker, and what compaction removed, never are."""


def consume(consumer: Consumer, most: int = BATCH, mark: Mark | None = None) -> list[Message]:
    """Return what has arrived within `POLL_S`, ``most`` messages at the most.

    With a ``mark``, headers that name coordinates without it are left out, as flows do: a
    recording is believed.

    Raises Broken for an error that does not pass by itself.
    """
    found = consumer.consume(most, POLL_S)
    messages = [_message(each) for each in found if _usable(each)]
    return messages if mark is None else [_proven(mark, each) for each in messages]


def _proven(mark: Mark, message: Message) -> Message:
    if message.topic.endswith(f".{DEAD}"):
        return message  # their headers say which record a letter is, and nobody takes them for it
    place = message.topic, message.partition
    headers = proven(mark, *place, message.key, message.value, list(message.headers))
    return message._replace(headers=headers)


def _usable(found: KafkaMessage) -> bool:
    error = found.error()
    if error is not None and error.code() not in PASSING:
        raise Broken(f"Kafka cannot deliver {found.topic()}: {error.str()}")
    return error is None


def _message(found: Any) -> Message:
    # Any: the accessors are typed as if every message were an error.
    return Message(
        found.topic(),
        found.partition(),
        found.offset(),
        found.timestamp()[1] * MS,
        found.key(),
        found.value(),
        [(name, value or b"") for name, value in found.headers() or ()],
    )


def held_messages(topic: str, cluster: Cluster) -> Iterator[list[Message]]:
    """Yield what a topic holds now, some messages at a time; raises Misuse, Broken."""
    marks = {
        p: (low, high) for p, (low, high) in offset_bounds(cluster, topic).items() if low < high
    }
    consumer = cluster.consumer("headrace.export")
    try:
        consumer.assign([TopicPartition(topic, p, low) for p, (low, _) in marks.items()])
        open_ = set(marks)
        idle = 0
        while open_ and idle < IDLE_POLLS:
            found = consume(consumer)
            idle = 0 if found else idle + 1
            ends = {m.partition for m in found if m.offset + 1 >= marks[m.partition][1]}
            open_ -= ends
            yield [m for m in found if m.offset < marks[m.partition][1]]
    finally:
        consumer.close()
