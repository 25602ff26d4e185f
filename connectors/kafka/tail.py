"""What a topic was given lately, read once from its end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import cast

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from connectors.kafka.client import Cluster
from connectors.kafka.faults import GONE
from connectors.kafka.topics import offset_bounds, resolve_start
from state.clock import NS
from state.errors import Broken

BATCH = 1000
POLL_S = 0.5
PATIENCE_POLLS = 60
"""A broker that delivers nothing for so many polls is said to be gone."""
_END = KafkaError._PARTITION_EOF  # noqa: SLF001  # librdkafka's own codes are named so


def since(cluster: Cluster, topic: str, start_ns: int, newest: int) -> Iterator[Message]:
    """Yield what a topic holds of messages whose timestamp is not before ``start_ns``.

    Of each partition they come in order, and no more than the ``newest`` of them. Blocks. Raises
    Misuse where the topic is missing, and Broken where Kafka does not deliver.
    """
    ends = {p: high for p, (_, high) in offset_bounds(cluster, topic).items()}
    text = datetime.fromtimestamp(max(0, start_ns) / NS, UTC).isoformat()
    starts = resolve_start(cluster, topic, text)
    places = {p: max(at, ends[p] - newest) for p, at in starts.items() if at < ends[p]}
    if not places:
        return
    consumer = cluster.consumer("headrace-tail", tells_ends=True)  # it commits nothing
    try:
        consumer.assign([TopicPartition(topic, p, at) for p, at in places.items()])
        yield from _until(consumer, topic, {p: ends[p] for p in places})
    finally:
        consumer.close()


def _until(consumer: Consumer, topic: str, ends: dict[int, int]) -> Iterator[Message]:
    """Yield the messages below the offsets in ``ends``."""
    silent = 0
    while ends:
        found = consumer.consume(BATCH, POLL_S)
        silent = 0 if found else silent + 1
        if silent > PATIENCE_POLLS:
            raise Broken(f"Kafka does not deliver {topic}: try again")
        for message in found:
            partition, error = cast(int, message.partition()), message.error()
            if error is not None and error.code() in GONE:
                raise Broken(f"{topic} lost records while they were read: try again")
            if partition not in ends:
                continue
            if error is None and cast(int, message.offset()) < ends[partition]:
                yield message
            # At its end a partition tells the offset that would come next.
            behind = cast(int, message.offset()) + 1 if error is None else 0
            if behind >= ends[partition] or (error is not None and error.code() == _END):
                del ends[partition]
