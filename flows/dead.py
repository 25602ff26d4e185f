"""Dead letters read back from their topic, and sent again to where they came from."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from connectors.kafka.client import Cluster
from connectors.kafka.delivery import Headers
from connectors.kafka.sink import (
    ERROR_HEADER,
    LENGTH_HEADER,
    REASON_HEADER,
    SEALED_HEADER,
    TIMESTAMP_HEADER,
)
from connectors.kafka.topics import offset_bounds
from state.errors import Broken, HeadraceError, NoKeys, Undelivered
from state.records import ORIGIN_HEADER, RETRY_HEADER, SEQUENCE_HEADER, Coordinates, Header
from state.sealed_values import ValueSealer
from state.sealing import Seal, letter_purpose

POLL_S = 0.5
PATIENCE_POLLS = 60
"""A broker that delivers nothing for so many polls is said to be gone."""


@dataclass(frozen=True)
class Letter:
    """One dead letter as its topic holds it; ``value`` is None where it was left out.

    Where ``sealed``, key and value are as the topic holds them, and ``length`` is that of the
    sealed value.
    """

    coordinates: Coordinates
    error: str
    reason: str
    timestamp_ns: int
    key: bytes | None
    value: bytes | None
    length: int
    sealed: bool = False

    def facts(self) -> dict[str, Any]:
        """Return what may be listed: everything but the key and the value."""
        return {
            "coordinates": str(self.coordinates),
            "error": self.error,
            "reason": self.reason,
            "timestamp_ns": self.timestamp_ns,
            "length": self.length,
            "sealed": self.sealed,
        }


def read(cluster: Cluster, topic: str) -> Iterator[Letter]:
    """Yield the letters that the topic holds now, each once, in the order of its partitions.

    The topic is at-least-once, so letters with the same coordinates are the same letter.
    Raises Misuse where the topic or the cluster cannot be used.
    """
    marks = {p: ends for p, ends in offset_bounds(cluster, topic).items() if ends[0] < ends[1]}
    if not marks:
        return
    seen: set[Coordinates] = set()
    consumer = cluster.consumer("headrace-dead-letters")  # it commits nothing
    try:
        consumer.assign([TopicPartition(topic, p, low) for p, (low, _) in marks.items()])
        for message in _until(consumer, {p: high for p, (_, high) in marks.items()}):
            letter = parse(message)
            if letter.coordinates not in seen:
                seen.add(letter.coordinates)
                yield letter
    finally:
        consumer.close()


def parse(message: Message) -> Letter:
    """Return the letter in a message; raises Broken where it is none."""
    found = cast("list[tuple[str, str | bytes | None]]", message.headers() or [])
    headers = {name: _bytes(value) for name, value in found}
    value = _bytes(message.value())
    try:
        topic, partition, offset = headers[ORIGIN_HEADER].decode().rsplit("/", 2)
        sequence = int(headers.get(SEQUENCE_HEADER, b"0"))
        return Letter(
            Coordinates(topic, int(partition), int(offset), sequence),
            headers[ERROR_HEADER].decode(),
            headers[REASON_HEADER].decode(),
            int(headers[TIMESTAMP_HEADER]),
            None if message.key() is None else _bytes(message.key()),
            None if LENGTH_HEADER in headers else value,
            int(headers.get(LENGTH_HEADER, len(value))),
            SEALED_HEADER in headers,
        )
    except (KeyError, ValueError) as error:
        where = f"{message.topic()}[{message.partition()}] offset {message.offset()}"
        raise Broken(f"{where} is no dead letter: {type(error).__name__} in its headers") from None


def opened(letter: Letter, system: str, seal: Seal | None) -> Letter:
    """Return a letter of a system with its key and value in clear.

    Raises CannotUnseal, NoKeys where it is sealed and there is no ``seal``.
    """
    if not letter.sealed:
        return letter
    if seal is None:
        raise NoKeys(f"the dead letters of {system}")
    purpose = letter_purpose(system)
    key, value = (
        None if content is None else seal.open(content, purpose)
        for content in (letter.key, letter.value)
    )
    length = letter.length if value is None else len(value)
    return replace(letter, key=key, value=value, length=length, sealed=False)


def to_send(letter: Letter, system: str, seal: Seal | None) -> Letter:
    """Return a letter of a system as it is sent again; raises as `opened`.

    One that rests sealed gets a value that is sealed for the topic that it goes back to.
    """
    clear = opened(letter, system, seal)
    if seal is None or not letter.sealed or clear.value is None:
        return clear
    return replace(clear, value=ValueSealer(seal, letter.coordinates.topic).seal(clear.value))


def send_again(cluster: Cluster, letters: Iterable[Letter]) -> int:
    """Produce letters to the partitions that they came from; return how many.

    A message carries the first coordinates, so that it is still the same record, and is
    marked as retried, so that it is not judged late; the cluster's mark is the proof. Returns once
    all are acknowledged. Raises Undelivered.
    """
    failed: list[HeadraceError] = []

    def refused(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            failed.append(Undelivered(message.topic(), error.str()))

    fatal = threading.Event()
    producer = cluster.producer(refused, lambda _: fatal.set())
    count = 0
    for letter in letters:
        at = letter.coordinates
        told: list[Header] = [
            (ORIGIN_HEADER, f"{at.topic}/{at.partition}/{at.offset}".encode()),
            (SEQUENCE_HEADER, str(at.sequence).encode()),
            (RETRY_HEADER, b"1"),
        ]
        if cluster.mark is not None:
            told = cluster.mark.put(at.topic, at.partition, letter.key, letter.value, told)
        headers: Headers = list(told)
        try:
            producer.produce(
                at.topic, letter.value, letter.key, partition=at.partition, headers=headers
            )
        except KafkaException as error:
            raise Undelivered(at.topic, error.args[0].str()) from None
        producer.poll(0)
        count += 1
    left = producer.flush(POLL_S * PATIENCE_POLLS)
    if failed:
        raise failed[0]
    if left or fatal.is_set():
        raise Broken(f"Kafka did not acknowledge {left} of {count} messages: retry them again")
    return count


def _until(consumer: Consumer, ends: dict[int, int]) -> Iterator[Message]:
    """Yield the messages below the offsets in ``ends``."""
    left = dict(ends)
    silent = 0
    while left:
        found = consumer.consume(1000, POLL_S)
        silent = 0 if found else silent + 1
        if silent > PATIENCE_POLLS:
            raise Broken("Kafka stopped delivering dead letters: try again")
        for message in found:
            if message.error() is not None:
                continue  # librdkafka tries again
            partition, offset = cast(int, message.partition()), cast(int, message.offset())
            if partition in left:
                if offset < left[partition]:
                    yield message
                if offset + 1 >= left[partition]:
                    del left[partition]


def content(letter: Letter) -> dict[str, str | None]:
    """Return a letter's key and value as text; None for what is missing, left out or sealed."""
    if letter.sealed:
        return {"key": None, "value": None}
    return {"key": _text(letter.key), "value": _text(letter.value)}


def _text(value: bytes | None) -> str | None:
    """Return UTF-8 text, or ``hex:…`` where it is none; None stays None."""
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return f"hex:{value.hex()}"


def _bytes(value: str | bytes | None) -> bytes:
    return value.encode() if isinstance(value, str) else value or b""
