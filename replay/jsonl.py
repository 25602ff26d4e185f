"""JSON lines into a recording: one message a line, its bytes unchanged."""

from __future__ import annotations

import gzip
import math
import sys
import zlib
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import orjson

from connectors.json import parse_json, parse_texts
from replay.keyed import KeyedWriter
from replay.sealed import Protection
from replay.writer import RecordingWriter
from state.clock import MAX_TIME_NS
from state.errors import Malformed, Misuse


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
    rejects: Path | None = None,
    advance: Callable[[int], None] = lambda count: None,
    protection: Protection = None,
) -> tuple[int, int]:
    """Write every line that is not blank to ``out``; return how many, and how many were rejected.

    Messages keep the order of the lines. The key is the field's text, or its JSON where
    it is no text. Each partition ends with a heartbeat. ``advance`` is told the lines.
    A line that cannot be used goes to ``rejects``, behind what is wrong with it and a tab; without
    that file it raises Misuse, which names file and line.
    """
    paths = list(paths)
    if rejects and any(rejects.resolve() == path.resolve() for path in paths):
        raise Misuse(f"{rejects} is read from: give another file for what cannot be used")
    rejected = 0
    with ExitStack() as stack:
        writer = stack.enter_context(RecordingWriter(out, {topic: partitions}, protection))
        keyed = KeyedWriter(writer, topic, partitions)
        refused = stack.enter_context(rejects.open("wb")) if rejects else None
        for path in paths:
            for line, where in _lines(path):
                try:
                    key, timestamp_ns = _read(line, fields, where)
                except Misuse as error:
                    if refused is None:
                        raise
                    refused.write(f"{error}\t".encode() + line + b"\n")
                    rejected += 1
                    continue
                keyed.add(key, timestamp_ns, line)
                advance(1)
        keyed.end()
    return keyed.count, rejected


def _lines(path: Path) -> Iterable[tuple[bytes, str]]:
    opener: Callable[..., Any] = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                if stripped := line.strip():
                    yield stripped, f"{path}:{number}"
    except OSError as error:
        raise Misuse(f"cannot read {path}: {error.strerror or error}") from error
    except (EOFError, zlib.error) as error:
        raise Misuse(f"{path} is no gzip file: {error}") from error


def _read(line: bytes, fields: Fields, where: str) -> tuple[bytes, int]:
    try:
        record = parse_json(line, sys.maxsize)
    except Malformed as error:
        raise Misuse(f"{where}: {error}") from None
    key = _field(record, fields.key, where)
    if isinstance(key, dict | list) or (isinstance(key, float) and not math.isfinite(key)):
        raise Misuse(f"{where}: {fields.key} must be text or a number")
    text = key.encode() if isinstance(key, str) else orjson.dumps(key)
    value = _field(record, fields.timestamp, where)
    if isinstance(value, float) and math.isfinite(value) and value:
        value = _exact(line, fields.timestamp)
    return text, _time_ns(value, fields, where)


def _exact(line: bytes, field: str) -> Fraction:
    """Return a field as its digits say it: 1381239000.35 s as a double is 46 ns early."""
    return Fraction(parse_texts(line)[field])


def _field(record: dict[str, Any], name: str, where: str) -> Any:
    if (value := record.get(name)) is None:
        raise Misuse(f"{where} has no field {name!r}")
    return value


def _time_ns(value: Any, fields: Fields, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float | Fraction):
        raise Misuse(f"{where}: {fields.timestamp} must be a number, found {str(value)[:40]!r}")
    time_ns = round(value * fields.unit_ns) if math.isfinite(value) else -1
    if not 0 <= time_ns <= MAX_TIME_NS:
        raise Misuse(
            f"{where}: {fields.timestamp} is no time from 1970 to 2116 in this unit; "
            "see --timestamp-unit"
        )
    return time_ns
