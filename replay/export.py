"""What the live sinks hold, as the canonical files that a replay writes."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import orjson

from connectors.kafka.client import Cluster
from connectors.kafka.sink import (
    COUNTER_HEADER,
    ERROR_HEADER,
    GENERATION_HEADER,
    LENGTH_HEADER,
    REASON_HEADER,
    RETRACTED_HEADER,
    SEALED_HEADER,
    SHA256_HEADER,
    TIMESTAMP_HEADER,
)
from connectors.redis.reader import RedisReader
from replay.files import OutputFiles
from replay.message import Message
from replay.topics import held_messages
from state.outputs import Output, to_json
from state.records import ORIGIN_HEADER, SEQUENCE_HEADER, Coordinates, OutputBatch


def export_output(
    output: Output,
    topic: str,
    generation: int,
    cluster: Cluster,
    files: OutputFiles,
    advance: Callable[[int], None] = lambda count: None,
) -> None:
    """Add one output of one generation from its durable topic, each record once."""
    seen: set[bytes] = set()
    wanted = str(generation).encode()
    for messages in held_messages(topic, cluster):
        for message in messages:
            headers = dict(message.headers)
            counter = headers.get(COUNTER_HEADER)
            if headers.get(GENERATION_HEADER) != wanted or counter is None or counter in seen:
                continue
            seen.add(counter)
            retracted = RETRACTED_HEADER in headers
            files.add(_one(output, counter, message.value or b"", retracted=retracted))
        advance(len(messages))


def _one(output: Output, counter: bytes, value: bytes, *, retracted: bool) -> OutputBatch:
    record = orjson.loads(value)
    origin, _, number = counter.decode().rpartition("/")
    return OutputBatch(
        output=output.name,
        origin=origin,
        first=int(number),
        times_ns=[record[output.time]],
        ids=[record["id"]],
        keys=[""],  # the tables are in Redis
        values=[value],
        retracted=frozenset({0} if retracted else ()),
    )


def export_dead(
    topic: str,
    cluster: Cluster,
    files: OutputFiles,
    advance: Callable[[int], None] = lambda count: None,
) -> None:
    """Add the dead letters of a topic."""
    for messages in held_messages(topic, cluster):
        for message in messages:
            coordinates, record = _dead_record(message)
            files.add_dead_line(coordinates, to_json(record))
        advance(len(messages))


def _dead_record(message: Message) -> tuple[Coordinates, dict[str, Any]]:
    headers = {name: value.decode() for name, value in message.headers}
    topic, partition, offset = headers[ORIGIN_HEADER].rsplit("/", 2)
    coordinates = Coordinates(topic, int(partition), int(offset), int(headers[SEQUENCE_HEADER]))
    key = message.key
    record: dict[str, Any] = {
        **coordinates._asdict(),
        "error": headers[ERROR_HEADER],
        "key": None if key is None else base64.b64encode(key).decode(),
        "reason": headers[REASON_HEADER],
        "timestamp_ns": int(headers[TIMESTAMP_HEADER]),
    }
    if SEALED_HEADER in headers:
        record["sealed"] = True
    if LENGTH_HEADER in headers:
        record |= {"length": int(headers[LENGTH_HEADER]), "sha256": headers[SHA256_HEADER]}
    else:
        record["value"] = base64.b64encode(message.value or b"").decode()
    return coordinates, record


def export_tables(outputs: tuple[Output, ...], reader: RedisReader, files: OutputFiles) -> None:
    """Add the last values by key, as Redis has them."""
    for output in outputs:
        if output.keyed:
            files.set_table(output.name, reader.latest(output.name))
