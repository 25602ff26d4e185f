"""JSON lines into a recording: one message a line, its bytes unchanged."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from replay.heartbeats import end_partitions
from replay.message import Message
from replay.partitioner import partition_of
from replay.writer import GROUP_ROWS, RecordingWriter, rows_content
from state.errors import Misuse

_MAX_NS = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Fields:
    """Where a line holds its key and its event time, and that time's unit in ns."""

    key: str
    timestamp: str
    unit_ns: int = 1


def import_jsonl(
    paths: Iterable[Path],
    out: Path,
    topic: str,
    fields: Fields,
    partitions: int,
    advance: Callable[[int], None] = lambda count: None,
) -> int:
    """Write every line that is not blank to ``out`` and return how many there were.

    Messages keep the order of the lines. The key is the field's text, or its JSON where
    it is no text. Each partition ends with a heartbeat. ``advance`` is told the lines.
    Raises Misuse with the file and line of what cannot be used.
    """
    offsets = [0] * partitions
    last_ns = 0
    waiting: list[list[Message]] = [[] for _ in range(partitions)]
    with RecordingWriter(out, {topic: partitions}) as writer:
        for path in paths:
            for line, where in _lines(path):
                key, timestamp_ns = _read(line, fields, where)
                partition = partition_of(key, partitions)
                messages = waiting[partition]
                messages.append(
                    Message(topic, partition, offsets[partition], timestamp_ns, key, line)
                )
                offsets[partition] += 1
                last_ns = max(last_ns, timestamp_ns)
                if len(messages) == GROUP_ROWS:
                    writer.write(topic, partition, rows_content(messages))
                    messages.clear()
                advance(1)
        for partition, messages in enumerate(waiting):
            writer.write(topic, partition, rows_content(messages))
        end_partitions(writer, topic, offsets, last_ns)
    return sum(offsets)


def _lines(path: Path) -> Iterable[tuple[bytes, str]]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if stripped := line.strip():
                    yield stripped, f"{path}:{number}"
    except OSError as error:
        raise Misuse(f"cannot read {path}: {error.strerror}") from error


def _read(line: bytes, fields: Fields, where: str) -> tuple[bytes, int]:
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise Misuse(f"{where} is no JSON: {error}") from error
    if not isinstance(record, dict):
        raise Misuse(f"{where} is no JSON object")
    key = _field(record, fields.key, where)
    text = key.encode() if isinstance(key, str) else orjson.dumps(key)
    return text, _time_ns(_field(record, fields.timestamp, where), fields, where)


def _field(record: dict[str, Any], name: str, where: str) -> Any:
    if (value := record.get(name)) is None:
        raise Misuse(f"{where} has no field {name!r}")
    return value


def _time_ns(value: Any, fields: Fields, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Misuse(f"{where}: {fields.timestamp} must be a number, found {str(value)[:40]!r}")
    time_ns = round(value * fields.unit_ns)
    if not 0 <= time_ns <= _MAX_NS:
        raise Misuse(f"{where}: {fields.timestamp} is no time in this unit; see --timestamp-unit")
    return time_ns
