"""A topic read on from where the last question ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from connectors.kafka.client import Cluster
from connectors.kafka.faults import GONE
from connectors.kafka.topics import Seen, look
from state.errors import Broken

TIMEOUT_S = 10.0
"""How long a topic may take to be read to its end; the next question goes on from there."""
_POLL_S = 0.2
_CONSUMERS = 8
"""About how many followers a process has: consumers share its memory."""
_END = KafkaError._PARTITION_EOF  # noqa: SLF001  # librdkafka's own codes are named so


class Follower:
    """Hands each message of a topic to ``take``, once; threads take turns.

    Kafka is asked only when somebody asks, and then to the topic's end, so that what was
    acknowledged before is seen. ``restart`` is called where the topic is missing, was made anew
    or was cut off: what was taken is no longer true, and all is taken again. ``newest`` bounds
    what is read: of each partition no more than so many of the last messages.
    """

    def __init__(
        self,
        cluster: Cluster,
        topic: str,
        take: Callable[[Message], None],
        restart: Callable[[], None],
        newest: int | None = None,
    ) -> None:
        self._cluster, self._topic = cluster, topic
        self._take, self._restart = take, restart
        self._newest = newest
        self._turn = threading.Lock()
        self._admin: AdminClient | None = None
        self._consumer: Consumer | None = None
        self._identity = ""
        self._next: dict[int, int] = {}
        self.since: dict[int, int] = {}
        """Partition -> the offset from which on nothing was passed over."""

    @contextmanager
    def caught_up(self) -> Iterator[Seen | None]:
        """Take what came since; yield how the topic is, None where it is missing.

        It stays this thread's turn until the end of the block. Blocks. Raises Misuse or Broken
        where Kafka does not answer.
        """
        deadline = time.monotonic() + TIMEOUT_S
        if not self._turn.acquire(timeout=TIMEOUT_S):
            raise Broken(f"{self._topic} is read for others: ask again")
        try:
            yield self._catch_up(deadline)
        finally:
            self._turn.release()

    def at(self, partition: int, offset: int) -> Message | None:
        """Return the message at a place, None where it is not held; in one's turn only.

        Blocks. Raises Broken where Kafka does not answer.
        """
        deadline = time.monotonic() + TIMEOUT_S
        with self._assigned({partition: offset}) as consumer:
            while time.monotonic() < deadline:
                message = consumer.poll(_POLL_S)
                if message is None:
                    continue
                error = message.error()
                if error is None:
                    return message if message.offset() == offset else None
                if error.code() == _END or error.code() in GONE:
                    return None
        raise Broken(f"{self._topic} is read too slowly: ask again")

    def close(self) -> None:
        """Close the consumer."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _catch_up(self, deadline: float) -> Seen | None:
        if self._admin is None:
            self._admin = self._cluster.admin()
        left_s = max(0.1, deadline - time.monotonic())
        seen = look(self._cluster, self._admin, self._topic, left_s)
        if seen is None or self._is_another(seen):
            self._restart()
            self._next, self.since = {}, {}
            self._identity = "" if seen is None else seen.identity
            self.close()
        if seen is None:
            return None
        for partition, (low, high) in seen.marks.items():
            first = low if self._newest is None else max(low, high - self._newest)
            if self._next.get(partition, -1) < first:
                self._next[partition] = self.since[partition] = first
        self._read({p: high for p, (_, high) in seen.marks.items()}, deadline)
        return seen

    def _is_another(self, seen: Seen) -> bool:
        cut_off = any(self._next.get(p, 0) > high for p, (_, high) in seen.marks.items())
        return seen.identity != self._identity or cut_off

    def _read(self, ends: dict[int, int], deadline: float) -> None:
        """Take the messages below the offsets in ``ends``."""
        left = {p for p, end in ends.items() if self._next[p] < end}
        if not left:
            return
        with self._assigned({p: self._next[p] for p in sorted(left)}) as consumer:
            while left:
                if time.monotonic() > deadline:
                    raise Broken(f"{self._topic} is read too slowly: ask again")
                for message in consumer.consume(1000, _POLL_S):
                    partition = cast(int, message.partition())
                    error = message.error()
                    if error is None:
                        self._take(message)
                        self._next[partition] = cast(int, message.offset()) + 1
                        if self._next[partition] >= ends[partition]:
                            left.discard(partition)
                    elif error.code() == _END:
                        # What Kafka keeps for itself, such as a transaction's end, has an offset.
                        self._next[partition] = cast(int, message.offset())
                        left.discard(partition)

    @contextmanager
    def _assigned(self, starts: dict[int, int]) -> Iterator[Consumer]:
        """Lend the consumer, which reads from these offsets of the partitions on."""
        if self._consumer is None:
            # It commits nothing.
            self._consumer = self._cluster.consumer(
                "headrace-feed", consumers=_CONSUMERS, tells_ends=True
            )
        try:
            self._consumer.assign([TopicPartition(self._topic, p, at) for p, at in starts.items()])
            try:
                yield self._consumer
            finally:
                self._consumer.unassign()
        except KafkaException as error:
            raise Broken(f"{self._topic} cannot be read: {error.args[0].str()}") from None
