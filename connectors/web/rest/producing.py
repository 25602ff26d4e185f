"""Events to Kafka, answered when the broker has them."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from typing import Any, cast

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from connectors.kafka.client import Cluster
from connectors.kafka.topics import partition_count
from state.errors import Misuse, Undelivered
from state.outputs import to_json
from state.records import Coordinates

TIMEOUT_S = 5.0
"""A message that is not acknowledged by then is given up."""
MISSING_S = 2.0
"""How long it may take to see whether a topic is missing."""
_POLL_S = 0.01


class Producing:
    """One producer for all requests; it is made when it is first needed. Threads share it."""

    def __init__(self, cluster: Cluster, timeout_s: float = TIMEOUT_S) -> None:
        self._cluster = cluster
        self._timeout_s = timeout_s
        self._producer: Producer | None = None
        self._fatal = threading.Event()
        self._lock = threading.Lock()

    def send(self, topic: str, key: str, event: dict[str, Any]) -> Coordinates:
        """Produce an event; return where it is once the broker has acknowledged it.

        Blocks. Raises Undelivered where it was refused or not acknowledged in time; where the
        answer was lost on the way the broker may have it all the same, as with any write.
        """
        done: Future[Coordinates] = Future()

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                done.set_exception(Undelivered(topic, error.str()))
            else:
                at = cast(int, message.partition()), cast(int, message.offset())
                # Without an offset the broker took it for a repetition, and may not have it.
                if at[1] < 0:
                    done.set_exception(Undelivered(topic, "the answer is uncertain"))
                else:
                    done.set_result(Coordinates(topic, *at))

        producer = self._made()
        try:
            producer.produce(topic, to_json(event), key, on_delivery=delivered)
        except (KafkaException, BufferError) as error:
            raise Undelivered(topic, str(error)) from None
        deadline = time.monotonic() + self._timeout_s + 1
        while not done.done():
            # Whichever thread polls calls the reports of all.
            producer.poll(_POLL_S)
            if time.monotonic() > deadline:
                raise Undelivered(topic, "no answer")
        return done.result()

    def is_missing(self, topic: str) -> bool:
        """Return whether Kafka says that there is no such topic. Blocks."""
        try:
            return partition_count(self._cluster, topic, MISSING_S) == 0
        except Misuse:
            return False

    def close(self) -> None:
        """Wait shortly for what is under way."""
        if self._producer is not None:
            self._producer.flush(self._timeout_s)

    def _made(self) -> Producer:
        with self._lock:
            if self._producer is None or self._fatal.is_set():
                self._fatal = threading.Event()
                self._producer = self._cluster.producer(
                    lambda error, message: None,
                    lambda error: self._fatal.set(),
                    timeout_s=self._timeout_s,
                )
            return self._producer
