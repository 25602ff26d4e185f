"""A recording back into Kafka."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from confluent_kafka import KafkaError, Producer
from confluent_kafka import Message as KafkaMessage

from connectors.kafka.client import Cluster
from connectors.kafka.delivery import Headers
from connectors.kafka.topics import ensure_topics, partition_count
from replay.interleave import Speed, all_streams, next_ns, take
from replay.message import Message
from replay.recording import Recording
from replay.rows import to_messages
from replay.sealed import Keys
from state.clock import MS, NS
from state.errors import Broken, Misuse, Undelivered
from state.records import ORIGIN_HEADER
from state.sealed_values import ValueSealer, is_secret

_BATCH = 4096
_POLL_S = 0.1
_TOPIC_CONFIG = {"retention.ms": "-1"}
"""A recording is of the past: by Kafka's default its messages would be deleted at once."""


def publish(
    recording: Recording,
    cluster: Cluster,
    speed: Speed | None = None,
    advance: Callable[[int], None] = lambda count: None,
    keys: Keys = lambda: None,
) -> int:
    """Produce every message to its topic and partition; return how many were acknowledged.

    A message gets its first coordinates as a header unless it has them already, under the
    cluster's mark. Values of secret topics are sealed with ``keys``. A topic that is missing is
    made with the recording's partition count. Raises Misuse where a count differs, there is no key
    or the cluster cannot be reached, Undelivered where a message is refused.
    """
    sealers = _sealers(recording.partitions, keys)
    ensure_topics(cluster, recording.partitions, _TOPIC_CONFIG)
    for topic, count in recording.partitions.items():
        if (found := partition_count(cluster, topic)) != count:
            raise Misuse(
                f"topic {topic} has {found} partitions and the recording {count}: keys would move; "
                "delete the topic, or import with --partitions"
            )
    outgoing = _Outgoing(cluster, sealers)
    streams = list(all_streams(recording))
    while streams := [stream for stream in streams if not stream.ended]:
        taken = take(streams, _BATCH, None if speed is None else speed.due_ns())
        for stream, rows in taken:
            for message in to_messages(stream.topic, rows):
                outgoing.send(message)
            advance(len(rows))
        if speed and not taken:
            outgoing.poll()
            time.sleep(max(0, min(1, (speed.when_ns(next_ns(streams)) - speed.now_ns()) / NS)))
    outgoing.flush()
    return len(recording)


def _sealers(topics: Iterable[str], keys: Keys) -> dict[str, ValueSealer]:
    secret = [topic for topic in topics if is_secret(topic)]
    seal = keys() if secret else None
    if secret and seal is None:
        raise Misuse(
            f"messages of {secret[0]} are sealed and there is no key: make one with "
            "`headrace keys init`"
        )
    return {} if seal is None else {topic: ValueSealer(seal, topic) for topic in secret}


class _Outgoing:
    """A producer that seals values by ``sealers`` and remembers the first refusal."""

    def __init__(self, cluster: Cluster, sealers: Mapping[str, ValueSealer]) -> None:
        self._sealers = sealers
        self._failure: Broken | None = None
        self._mark = cluster.mark
        self._producer: Producer = cluster.producer(self._delivered, self._fatal)

    def send(self, message: Message) -> None:
        if message.value and (sealer := self._sealers.get(message.topic)) is not None:
            message = message._replace(value=sealer.seal(message.value))
        headers = self._headers(message)
        while True:
            try:
                self._producer.produce(
                    message.topic,
                    message.value,
                    message.key,
                    message.partition,
                    timestamp=message.timestamp_ns // MS,
                    headers=headers,
                )
            except BufferError:
                self.poll(_POLL_S)
            else:
                return

    def _headers(self, message: Message) -> Headers:
        """Return the headers with the first coordinates, and the mark that proves them."""
        told = list(message.headers)
        topic, partition = message.topic, message.partition
        if all(name != ORIGIN_HEADER for name, _ in told):
            told.append((ORIGIN_HEADER, f"{topic}/{partition}/{message.offset}".encode()))
        if self._mark is not None:
            told = self._mark.put(topic, partition, message.key, message.value, told)
        return list(told)

    def poll(self, seconds: float = 0) -> None:
        self._producer.poll(seconds)
        if self._failure is not None:
            raise self._failure

    def flush(self) -> None:
        while self._producer.flush(_POLL_S):
            self.poll()
        self.poll()

    def _delivered(self, error: KafkaError | None, message: KafkaMessage) -> None:
        if error is not None and self._failure is None:
            self._failure = Undelivered(message.topic(), error.str())

    def _fatal(self, error: KafkaError) -> None:
        self._failure = self._failure or Broken(f"Kafka producer: {error.str()}")
