"""Whether a topic is still the one that was read: the same topic, with the same last record.

Offsets alone do not tell. A log that lost its end and went on, and a topic that was deleted and
made anew, hold other records at offsets that were read. So a snapshot keeps a trace of the last
record of each partition, and a generation keeps the identity of each topic.

The leader epoch is not kept: a log that went on after a loss has another record there, or none.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping
from typing import cast

import numpy as np
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from connectors.kafka.client import Cluster
from connectors.kafka.faults import GONE
from connectors.kafka.topics import TIMEOUT_S, Seen
from state.clock import MS
from state.errors import LogChanged, Misuse, TopicReplaced
from state.records import Messages

Trace = tuple[int, bytes]
"""(Kafka's timestamp in ms, 8 bytes of a hash over key and value) of a record."""
Traces = dict[int, Trace]
"""Partition -> the trace of the record before the next offset."""

_SALT = b"headrace"
_CONSUMERS = 8
"""It reads a record a partition, so it takes a small share of the memory of a process."""
_POLL_S = 0.1
_END = KafkaError._PARTITION_EOF  # noqa: SLF001  # librdkafka's own codes are named so


def trace(timestamp_ms: int, key: bytes | None, value: bytes | None) -> Trace:
    """Return what is kept of a record; nobody can tell its content by it."""
    hashed = hashlib.blake2b(value or b"", key=_SALT, digest_size=8)
    hashed.update(b"-" if key is None else b"+" + key)
    return timestamp_ms, hashed.digest()


def traces_of(messages: Messages, partitions: Iterable[int]) -> Traces:
    """Return the trace of a block's last record of each of these partitions, which are in it."""
    found = {}
    for p in partitions:
        row = int(np.flatnonzero(messages.partition == p)[-1])
        at_ms = int(messages.timestamp_ns[row]) // MS
        found[p] = trace(at_ms, messages.keys[row], messages.value(row))
    return found


def check_identity(topic: str, identity: str, seen: Seen) -> None:
    """Raise TopicReplaced where a topic is not the one that a generation began with.

    ``identity`` is '' for a generation of a release that did not keep it.
    """
    if identity and seen.identity != identity:
        raise TopicReplaced(topic, "was deleted and made anew")


def check_traces(
    cluster: Cluster, topic: str, offsets: Mapping[int, int], traces: Traces, seen: Seen
) -> None:
    """Raise LogChanged where a record before a next offset is not the one that was read.

    What retention or compaction has removed cannot be compared. Raises Misuse where Kafka does
    not answer.
    """
    asked = {p: offsets[p] - 1 for p in traces if seen.marks[p][0] < offsets[p]}
    if not asked:
        return
    consumer = cluster.consumer("headrace.continuity", consumers=_CONSUMERS, tells_ends=True)
    try:
        consumer.assign([TopicPartition(topic, p, at) for p, at in asked.items()])
        for p, message in _first_messages(consumer, topic, set(asked)).items():
            found = trace(message.timestamp()[1], message.key(), message.value())
            if message.offset() == asked[p] and found != traces[p]:
                raise LogChanged(topic, p, asked[p])
    finally:
        consumer.close()


def _first_messages(consumer: Consumer, topic: str, left: set[int]) -> dict[int, Message]:
    """Return the first message of each assigned partition that has one."""
    deadline = time.monotonic() + TIMEOUT_S
    found: dict[int, Message] = {}
    while left:
        if time.monotonic() > deadline:
            raise Misuse(f"{topic} cannot be read in {TIMEOUT_S:g} s: is a leader missing?")
        for message in consumer.consume(len(left), _POLL_S):
            p, error = cast(int, message.partition()), message.error()
            if error is None and p in left:
                found[p] = message
            if error is None or error.code() == _END or error.code() in GONE:
                left.discard(p)
    return found
