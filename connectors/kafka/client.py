"""How to reach a Kafka cluster: the one place that makes librdkafka configurations.

A setting comes from one of three places. What our guarantees rest on (`RESERVED`) is
fixed, and naming it in the free options is an error; what only tunes has a default here
that the free options replace; the rest is librdkafka's own. Secrets are in no repr, log
line or error of ours.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from connectors.kafka.marks import Mark
from state.errors import SettingsError

LOG = logging.getLogger(__name__)

LIBRARY = logging.getLogger("librdkafka")
"""Receives librdkafka's own log lines.

Its empty handler keeps them off the terminal of a command that sets up no logging: Python would
print them there as they are. A flow's log has them.
"""
LIBRARY.addHandler(logging.NullHandler())

RESERVED = frozenset(
    {
        "bootstrap.servers",
        "security.protocol",
        "sasl.mechanism",
        "sasl.mechanisms",
        "sasl.username",
        "sasl.password",
        "ssl.ca.location",
        "group.id",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "auto.offset.reset",
        "enable.partition.eof",
        "max.poll.interval.ms",
        "enable.idempotence",
        "acks",
        "request.required.acks",
        "message.timeout.ms",
        "delivery.timeout.ms",
        "delivery.report.only.error",
        "transactional.id",
        "partitioner",
    }
)
"""Options that a user may not set: guarantees rest on them, or a setting of ours holds them."""

MAX_MESSAGE_BYTES = 32 << 20
"""The largest message that is produced; half of the producer's queue, so that it always fits."""

_QUEUE_KBYTES = 65_536
"""What all consumers of a process, and its producer, may each hold in librdkafka's queues."""

_DAY_MS = 86_400_000

_COMMON: dict[str, Any] = {
    "client.id": "headrace",
    # A small request must not wait for the answer to the one before.
    "socket.nagle.disable": True,
    "socket.keepalive.enable": True,
    # A broker that restarts is found again within a second.
    "reconnect.backoff.max.ms": 1000,
    "log.connection.close": False,
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """Addresses and credentials of a Kafka cluster; makes its clients.

    Raises SettingsError where ``options`` names one of RESERVED.
    """

    bootstrap: str
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = ""
    sasl_username: str = ""
    sasl_password: str = field(default="", repr=False)
    ssl_ca: str = ""
    """Path of the certificates (PEM) that vouch for the brokers; '' for the system's."""
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Anything else, by librdkafka's own names; it may hold secrets such as a key's password."""
    mark: Mark | None = None
    """Marks and proves headers that name first coordinates; without it none counts."""

    def __post_init__(self) -> None:
        taken = sorted(RESERVED.intersection(self.options))
        if taken:
            raise SettingsError(f"kafka.options may not set {', '.join(taken)}: Headrace does")

    def consumer(
        self,
        group: str,
        *,
        consumers: int = 1,
        tells_ends: bool = False,
        on_fatal: Callable[[KafkaError], None] | None = None,
    ) -> Consumer:
        """Return a consumer that resets, commits and stores nothing by itself.

        ``consumers`` is how many a process has: they share its memory. With ``tells_ends`` a
        partition that is read to its end tells so as an error. ``on_fatal`` is called from
        within the consumer's own calls.
        """
        settings = self.consumer_settings(group, consumers=consumers, tells_ends=tells_ends)
        consumer: Consumer = self._make(Consumer, settings, on_fatal)
        return consumer

    def consumer_settings(
        self, group: str, *, consumers: int = 1, tells_ends: bool = False
    ) -> dict[str, Any]:
        """Return the settings of a consumer, callbacks apart; secrets are among them."""
        tuning = {
            # An answer comes at once when there is data; the wait delays only partitions
            # that become readable while a request for the others is under way.
            "fetch.wait.max.ms": 100,
            "fetch.min.bytes": 1,
            # The default of 1 s would be a stall after every burst that fills the queue.
            "fetch.queue.backoff.ms": 5,
            "queued.min.messages": max(10_000, 100_000 // consumers),
            "queued.max.messages.kbytes": max(1024, _QUEUE_KBYTES // consumers),
            # One answer; a message that is larger by itself is delivered all the same.
            "fetch.max.bytes": max(1 << 20, (16 << 20) // consumers),
        }
        fixed = {
            "group.id": group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "enable.partition.eof": tells_ends,
            # A flow that waits for a sink polls nothing for as long as that takes.
            "max.poll.interval.ms": _DAY_MS,
        }
        return self._settings(tuning, fixed)

    def producer(
        self,
        on_delivery: Callable[[KafkaError | None, Any], None],
        on_fatal: Callable[[KafkaError], None],
        *,
        timeout_s: float = 0,
    ) -> Producer:
        """Return an idempotent producer.

        It never gives a message up by time, and ``on_delivery`` is called only for messages that
        were refused; with ``timeout_s`` it gives up after so long, and tells of every message.
        """
        tuning = {
            "linger.ms": 2,
            # Below any sensible max.message.bytes of a topic: the broker judges whole
            # batches, and must not refuse small messages because they came together.
            "batch.size": 262_144,
            "queue.buffering.max.kbytes": _QUEUE_KBYTES,
            "queue.buffering.max.messages": 100_000,
            "message.max.bytes": MAX_MESSAGE_BYTES,
        }
        fixed = {
            "enable.idempotence": True,
            "acks": "all",
            "message.timeout.ms": round(timeout_s * 1000),
            "delivery.report.only.error": timeout_s == 0,
            "on_delivery": on_delivery,
            # As Kafka's Java client, so that a key has one home whoever writes it.
            "partitioner": "murmur2_random",
        }
        producer: Producer = self._make(Producer, self._settings(tuning, fixed), on_fatal)
        return producer

    def admin(self) -> AdminClient:
        """Return a client for topics and offsets."""
        admin: AdminClient = self._make(AdminClient, self._settings({}, {}), None)
        return admin

    def _make(
        self,
        kind: Callable[[dict[str, Any]], Any],
        settings: Mapping[str, Any],
        on_fatal: Callable[[KafkaError], None] | None,
    ) -> Any:
        try:
            return kind({**settings, "error_cb": error_callback(on_fatal), "logger": LIBRARY})
        except (KafkaException, TypeError, ValueError) as error:
            raise SettingsError(f"kafka: {self._redacted(str(error))}") from None

    def _settings(self, tuning: Mapping[str, Any], fixed: Mapping[str, Any]) -> dict[str, Any]:
        return {**_COMMON, **tuning, **self.options, **self._security(), **fixed}

    def _security(self) -> dict[str, str]:
        given = {
            "bootstrap.servers": self.bootstrap,
            "security.protocol": self.security_protocol,
            "sasl.mechanism": self.sasl_mechanism,
            "sasl.username": self.sasl_username,
            "sasl.password": self.sasl_password,
            "ssl.ca.location": self.ssl_ca,
        }
        return {name: value for name, value in given.items() if value}

    def _redacted(self, text: str) -> str:
        # librdkafka repeats a value that it cannot use in its message.
        for secret in (self.sasl_password, *self.options.values()):
            if secret:
                text = text.replace(secret, "***")
        return text


def error_callback(
    on_fatal: Callable[[KafkaError], None] | None,
) -> Callable[[KafkaError], None]:
    """Return what is told of a client's errors: it logs them, and hands on a fatal one."""

    def on_error(error: KafkaError) -> None:
        LOG.warning("Kafka: %s", error.str())
        if error.fatal() and on_fatal is not None:
            on_fatal(error)

    return on_error
