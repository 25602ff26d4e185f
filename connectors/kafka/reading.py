"""Two ways to take a topic's messages into columns: by column, and as objects.

By column (columns.py) takes about half of the CPU, librdkafka's own threads included. As objects
(`Objects`) is the definition that the tests hold the other to, and what is used where the other
cannot be: where librdkafka's functions are not found or are of a version that we do not know,
and in a process without numba. Such a process decodes its records one by one, which costs far more
than taking them, and numba alone would cost it 70 MB and a second at its start.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from connectors.kafka.client import LIBRARY, Cluster, error_callback
from connectors.kafka.library import Unavailable
from connectors.kafka.messages import Fault, to_messages
from state.metrics import COLUMNS
from state.records import Messages

LOG = logging.getLogger(__name__)

_FATAL = KafkaError._FATAL  # noqa: SLF001  # librdkafka's own codes are named so

Way = Literal["auto", "columns", "objects"]


class Reader(Protocol):
    """Takes the messages of some partitions of a topic."""

    def read(self, at_most: int, position: Mapping[int, int]) -> Messages | None:
        """Return what has been fetched, at most so many; None where nothing has; never waits.

        ``position`` is the next offset of each partition. Raises what the judge of errors
        raises, and Broken where an offset comes a second time.
        """

    def pause(self, partition: int) -> None:
        """Deliver nothing more of a partition until `resume`; what was fetched is dropped."""

    def resume(self, partition: int) -> None:
        """Go on with a partition, behind the last message that was read."""

    def offset_bounds(self, partition: int) -> tuple[int, int]:
        """Return (first, next) offset as the last fetch told them; negative where unknown."""

    def close(self) -> None:
        """Close the consumer."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read: partitions of a topic from the offsets in ``start`` on.

    ``partitions`` counts the topic's; ``most`` is the most messages of a block. ``group``,
    ``consumers`` and ``tells_ends`` are as in `Cluster.consumer`.
    """

    topic: str
    partitions: int
    start: Mapping[int, int]
    most: int
    group: str
    consumers: int = 1
    tells_ends: bool = False


class Objects:
    """Takes messages by confluent_kafka's `consume`: the definition."""

    def __init__(
        self,
        cluster: Cluster,
        reading: Reading,
        judge: Callable[[Fault], None],
        on_fatal: Callable[[KafkaError], None],
    ) -> None:
        self._topic = topic = reading.topic
        self._mark = cluster.mark
        self._partitions = reading.partitions
        self._judge = judge
        self._on_fatal = on_fatal
        self._failed = False
        self._consumer: Consumer = cluster.consumer(
            reading.group,
            consumers=reading.consumers,
            tells_ends=reading.tells_ends,
            on_fatal=on_fatal,
        )
        self._consumer.assign([TopicPartition(topic, p, at) for p, at in reading.start.items()])

    def read(self, at_most: int, position: Mapping[int, int]) -> Messages | None:
        """Return what has been fetched, None where nothing has; never waits."""
        try:
            found = self._consumer.consume(at_most, 0)
        except KafkaException as error:
            # confluent_kafka raises a fatal error instead of calling back.
            if not error.args[0].fatal():
                raise
            self._failed = True
            self._on_fatal(error.args[0])
            return None
        if any(map(Message.error, found)):
            found = [message for message in found if self._is_message(message)]
        if not found:
            return None
        return to_messages(found, self._topic, self._partitions, position, self._mark)

    def pause(self, partition: int) -> None:
        """Deliver nothing more of a partition until `resume`."""
        self._consumer.pause([TopicPartition(self._topic, partition)])

    def resume(self, partition: int) -> None:
        """Go on with a partition."""
        self._consumer.resume([TopicPartition(self._topic, partition)])

    def offset_bounds(self, partition: int) -> tuple[int, int]:
        """Return (first, next) offset as last heard of."""
        at = TopicPartition(self._topic, partition)
        low, high = self._consumer.get_watermark_offsets(at, cached=True)
        return low, high

    def close(self) -> None:
        """Close the consumer."""
        # After a fatal error its close waits for ever; it is let go when it is freed.
        if not self._failed:
            self._consumer.close()

    def _is_message(self, message: Message) -> bool:
        error = message.error()
        if error is not None:
            self._failed |= error.code() == _FATAL
            self._judge(Fault(message.partition(), error))
        return error is None


def open_reader(
    way: Way,
    cluster: Cluster,
    reading: Reading,
    judge: Callable[[Fault], None],
    on_fatal: Callable[[KafkaError], None],
) -> Reader:
    """Return what reads the partitions, assigned.

    ``judge`` is told of each error of a partition and raises where going on would skip a message;
    ``on_fatal`` of an error after which the client is of no use. Both are called from `read`.
    """
    found = _columns(cluster, reading, judge, on_fatal) if by_column(way) else None
    COLUMNS.labels(reading.topic).set(found is not None)
    LOG.info("%s is read %s", reading.topic, "as objects" if found is None else "by column")
    return found or Objects(cluster, reading, judge, on_fatal)


def warm_up(way: Way) -> None:
    """Compile or load what takes messages by column, where that is the way."""
    if by_column(way):
        importlib.import_module("connectors.kafka.kernels")


def by_column(way: Way) -> bool:
    """Return whether a way means by column in this process, if it can be."""
    return way == "columns" or (way == "auto" and "numba" in sys.modules)


def _columns(
    cluster: Cluster,
    reading: Reading,
    judge: Callable[[Fault], None],
    on_fatal: Callable[[KafkaError], None],
) -> Reader | None:
    """Return what reads by column, None where that cannot be."""
    from connectors.kafka.columns import Columns  # noqa: PLC0415  # it loads numba
    from connectors.kafka.consumer import RawConsumer  # noqa: PLC0415  # beside it

    settings = cluster.consumer_settings(
        reading.group, consumers=reading.consumers, tells_ends=reading.tells_ends
    )
    try:
        consumer = RawConsumer(settings, reading.topic, error_callback(on_fatal), LIBRARY)
    except Unavailable as reason:
        LOG.warning("%s cannot be read by column: %s", reading.topic, reason)
        return None
    topic, partitions = reading.topic, reading.partitions
    made = Columns(consumer, topic, partitions, reading.most, judge, cluster.mark)
    consumer.assign(reading.start)
    return made
