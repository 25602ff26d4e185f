"""Parts of topics, read from one offset to another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from connectors.kafka.client import Cluster
from connectors.kafka.faults import PASSING
from state.errors import Broken

Spans = dict[tuple[str, int], tuple[int, int]]
"""(topic, partition) -> (first offset, next offset)."""

_POLL_S = 0.2
_BATCH = 10_000
_END = KafkaError._PARTITION_EOF  # noqa: SLF001  # librdkafka's own codes are named so


def between(
    cluster: Cluster, spans: Mapping[tuple[str, int], tuple[int, int]], idle: Callable[[], None]
) -> Iterator[Message]:
    """Yield the messages of some spans, and perhaps a few behind them.

    ``idle`` is called whenever nothing comes for a moment. Raises Broken for an error that does
    not pass by itself.
    """
    left = {at: following for at, (_, following) in spans.items()}
    consumer = cluster.consumer("headrace.spans", tells_ends=True)
    try:
        consumer.assign([TopicPartition(*at, first) for at, (first, _) in spans.items()])
        while left:
            yield from _some(consumer, left, idle)
    finally:
        consumer.close()


def _some(
    consumer: Consumer, left: dict[tuple[str, int], int], idle: Callable[[], None]
) -> Iterator[Message]:
    """Yield the messages that have come; take what is read to its end out of ``left``."""
    found = consumer.consume(_BATCH, _POLL_S)
    if not found:
        idle()
    for message in found:
        at = (str(message.topic()), message.partition() or 0)
        error = message.error()
        if error is None:
            yield message
        elif error.code() not in PASSING or error.fatal():
            raise Broken(f"Kafka cannot deliver {at[0]}[{at[1]}]: {error.str()}")
        ended = error is not None and error.code() == _END
        if ended or (error is None and (message.offset() or 0) + 1 >= left.get(at, 0)):
            left.pop(at, None)
