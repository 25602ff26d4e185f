"""What the events of a topic say now, read on from where the last question ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, cast

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from connectors.kafka.client import Cluster
from connectors.kafka.topics import partition_count
from connectors.market.events import event_of
from connectors.market.json_ticks import parse_json
from state.errors import BadRecord, Broken

TIMEOUT_S = 10.0
"""How long a topic may take to be read to its end; the next question goes on from there."""
_POLL_S = 0.2

Key = Callable[[dict[str, Any]], tuple[str, ...]]


class EventTable:
    """The last event of each key in a topic of events; threads may share it.

    ``key`` names an event's row; an event for which ``ends`` is true takes the row away. What
    does not decode is passed over: the flow makes dead letters of it. Kafka is asked only when
    somebody asks, and then to its end, so that what was acknowledged before is seen.
    """

    def __init__(
        self,
        cluster: Cluster,
        topic: str,
        kind: str,
        key: Key,
        ends: Callable[[dict[str, Any]], bool],
    ) -> None:
        self._cluster, self._topic, self._kind = cluster, topic, kind
        self._key, self._ends = key, ends
        self._lock = threading.Lock()
        self._consumer: Consumer | None = None
        self._next: dict[int, int] = {}
        self._rows: dict[tuple[str, ...], dict[str, Any]] = {}

    def records(self) -> list[dict[str, Any]]:
        """Return the events in force, by key; [] where the topic is missing.

        Blocks. Raises Misuse or Broken where Kafka does not answer.
        """
        with self._lock:
            try:
                self._catch_up(time.monotonic() + TIMEOUT_S)
            except KafkaException as error:
                raise Broken(f"{self._topic} cannot be read: {error.args[0].str()}") from None
            return [self._rows[key] for key in sorted(self._rows)]

    def close(self) -> None:
        """Close the consumer."""
        if self._consumer is not None:
            self._consumer.close()

    def _catch_up(self, deadline: float) -> None:
        if not self._next:
            self._next = dict.fromkeys(range(partition_count(self._cluster, self._topic)), -1)
            if not self._next:
                return
        if self._consumer is None:
            self._consumer = self._cluster.consumer("headrace-feed")  # it commits nothing
        ends = self._ends_of(self._consumer, deadline)
        left = {p for p, end in ends.items() if self._next[p] < end}
        if not left:
            return
        self._consumer.assign([TopicPartition(self._topic, p, self._next[p]) for p in sorted(left)])
        while left:
            if time.monotonic() > deadline:
                raise Broken(f"{self._topic} is read too slowly: ask again")
            for message in self._consumer.consume(1000, _POLL_S):
                if message.error() is None:
                    self._take(message)
            left = {p for p in left if self._next[p] < ends[p]}
        self._consumer.unassign()

    def _ends_of(self, consumer: Consumer, deadline: float) -> dict[int, int]:
        """Return where each partition ends; a topic that was made anew is read anew."""
        ends = {}
        for partition, after in self._next.items():
            left_s = max(0.1, deadline - time.monotonic())
            where = TopicPartition(self._topic, partition)
            found = consumer.get_watermark_offsets(where, left_s)
            if found is None:
                raise Broken(f"Kafka does not say where {self._topic} ends")
            low, ends[partition] = found
            if not low <= after <= ends[partition]:
                self._next[partition] = low
        return ends

    def _take(self, message: Message) -> None:
        partition, offset = cast(int, message.partition()), cast(int, message.offset())
        self._next[partition] = offset + 1
        value = message.value()
        if not value:
            return  # a heartbeat
        try:
            event = event_of(parse_json(value if isinstance(value, bytes) else value.encode()))
        except BadRecord:
            return
        if event["type"] != self._kind:
            return
        if self._ends(event):
            self._rows.pop(self._key(event), None)
        else:
            self._rows[self._key(event)] = event


def portfolios(cluster: Cluster) -> EventTable:
    """Return the portfolios of weights that have not ended."""
    return EventTable(
        cluster,
        "market.portfolios",
        "portfolio",
        lambda event: (event["portfolio"],),
        lambda event: not event["weights"],
    )


def positions(cluster: Cluster) -> EventTable:
    """Return what portfolios hold of each symbol, where it is not nothing."""
    return EventTable(
        cluster,
        "market.positions",
        "position",
        lambda event: (event["portfolio"], event["symbol"]),
        lambda event: event["quantity"] == 0,
    )
