"""The producer of a process: nothing sent is forgotten, nothing refused is called done.

librdkafka never gives a message up by time here (client.py), so a broker that is away
is waited for: `flush` returns only when every message is acknowledged, and while it
waits the flow's worker thread sleeps, nothing is polled, and memory stays bounded by
the producer's queue. A message that the broker refuses for good raises Undelivered at
the next call: the epoch does not become durable, and is produced again after a restart.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient

from connectors.kafka.client import Cluster
from connectors.kafka.faults import UNKNOWN_TOPIC
from connectors.kafka.topics import why_leaderless
from connectors.kafka.written import MISSING, RETRY_S, SINK, Judge, Place, Written
from state.errors import Broken, LostTopic, Undelivered
from state.lifecycle import Lifecycle
from state.metrics import SINK_QUEUE, SINK_WAITING

LOG = logging.getLogger(__name__)

PATIENCE_S = 1.0
"""How long an answer may take before the flow is said to wait."""

TOO_LARGE = KafkaError.MSG_SIZE_TOO_LARGE


Headers = list[tuple[str, str | bytes | None]]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to produce."""

    topic: str
    key: bytes | None
    value: bytes
    headers: Headers


Smaller = Callable[[], Outgoing]


class Delivery:
    """One idempotent producer, shared by all Kafka sinks of a process."""

    def __init__(self, cluster: Cluster, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle
        self._failure: Broken | None = None
        self._again: list[tuple[Outgoing, Smaller | None]] = []
        self._waiting = False
        self._cluster = cluster
        self._admin: AdminClient | None = None
        self._led: set[str] = set()
        """Topics whose leaders have answered (topics.why_leaderless)."""
        self._producer: Producer = cluster.producer(self._refused, self._fatal)

    def written(self, judge: Judge, places: Mapping[str, Place]) -> Written:
        """Return what output topics hold already (written.py)."""
        return Written(self._cluster, self._lifecycle, judge, places)

    def send(
        self, message: Outgoing, smaller: Smaller | None = None, *, alone: bool = False
    ) -> None:
        """Produce one message; wait where the queue is full.

        ``smaller`` gives what is sent in its place should it be refused for its size.
        ``alone`` says that no other message is under way: a broker refuses whole
        batches, so only then is it known to be this message that is too large.
        Raises Undelivered for this or an earlier message, LostTopic where its topic is missing,
        Stopped when told to stop.
        """
        if message.topic not in self._led:
            self._await_leaders(message.topic)
        began = time.monotonic()
        options: dict[str, Any] = {}
        if smaller is not None:
            options["on_delivery"] = self._on_refused(message, smaller, alone)
        while True:
            self._raise_failure()
            try:
                self._producer.produce(
                    message.topic, message.value, message.key, headers=message.headers, **options
                )
            except BufferError:
                self._producer.poll(RETRY_S)
                if time.monotonic() - began > PATIENCE_S:
                    self._wait("its queue is full")
            except KafkaException as error:
                if smaller is None or error.args[0].code() != TOO_LARGE:
                    raise _refusal(message.topic, error.args[0]) from None
                self._again.append((smaller(), None))
                return
            else:
                return

    def poll(self) -> None:
        """Take the answers that have come, without waiting; call it once per batch."""
        self._producer.poll(0)
        self._raise_failure()
        SINK_QUEUE.labels(SINK).set(len(self._producer))

    def flush(self) -> None:
        """Return when every message is acknowledged, however long that takes.

        Raises Undelivered for a message that was refused, Stopped when told to stop
        while the broker is away.
        """
        self._await()
        while self._again:
            again, self._again = self._again, []
            for message, smaller in again:
                self.send(message, smaller, alone=True)
                self._await()
        SINK_QUEUE.labels(SINK).set(0)
        self._recovered()

    def _await_leaders(self, topic: str) -> None:
        if self._admin is None:
            self._admin = self._cluster.admin()
        while reason := why_leaderless(self._cluster, self._admin, topic, self._patience()):
            self._raise_failure()
            self._wait(reason)
        self._led.add(topic)

    def _await(self) -> None:
        while left := self._producer.flush(self._patience()):
            self._raise_failure()
            self._wait(f"{left} messages are not acknowledged")
        self._raise_failure()

    def _patience(self) -> float:
        return self._lifecycle.drain_s if self._lifecycle.stopping.is_set() else PATIENCE_S

    def _wait(self, reason: str) -> None:
        if not self._waiting:
            LOG.warning("waiting for Kafka: %s", reason)
        self._waiting = True
        SINK_WAITING.labels(SINK).set(1)
        SINK_QUEUE.labels(SINK).set(len(self._producer))
        self._lifecycle.wait(SINK, reason, RETRY_S)

    def _recovered(self) -> None:
        if self._waiting:
            LOG.warning("Kafka answers again")
            self._waiting = False
            self._lifecycle.recovered(SINK)
        SINK_WAITING.labels(SINK).set(0)

    def _refused(self, error: KafkaError | None, message: Message) -> None:
        if error is not None and self._failure is None:
            self._failure = _refusal(str(message.topic()), error)

    def _on_refused(
        self, message: Outgoing, smaller: Smaller, alone: bool
    ) -> Callable[[KafkaError | None, Message], None]:
        def refused(error: KafkaError | None, told: Message) -> None:
            if error is None or error.code() != TOO_LARGE:
                self._refused(error, told)
            else:
                self._again.append((smaller(), None) if alone else (message, smaller))

        return refused

    def _fatal(self, error: KafkaError) -> None:
        self._failure = self._failure or Broken(f"Kafka producer: {error.str()}")

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure


def _refusal(topic: str, error: KafkaError) -> Broken:
    """Return what is to be said of a message that was refused for good."""
    if error.code() in UNKNOWN_TOPIC:
        return LostTopic(topic, MISSING)
    return Undelivered(topic, error.str())
