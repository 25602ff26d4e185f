"""HL7 v2 messages out of files into a recording of ``adt.raw``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, tzinfo
from pathlib import Path
from typing import NamedTuple

from connectors.adt.envelope import ALONE, TOPIC, UNKNOWN, Domains, domain
from connectors.adt.reader import recorded_ns
from connectors.hl7.files import Contents, Miscount, contents
from connectors.hl7.message import Message
from replay.keyed import KeyedWriter
from replay.sealed import Protection
from replay.writer import RecordingWriter
from state.clock import MAX_TIME_NS
from state.errors import Malformed, Misuse


class Imported(NamedTuple):
    """What an import wrote: its records, how many of them are no message, and wrong counts."""

    records: int
    no_messages: int
    miscounts: list[tuple[Path, Miscount]]


class Record(NamedTuple):
    """Bytes of a file as one record; ``time_ns`` is None where they tell no time."""

    key: bytes
    time_ns: int | None
    value: bytes
    is_message: bool


def files_of(paths: Iterable[Path]) -> list[Path]:
    """Return the files, and those in and below directories, by name; raises Misuse."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(each for each in path.rglob("*") if each.is_file())
        elif path.exists():
            found.append(path)
        else:
            raise Misuse(f"there is no file {path}")
    return found


def import_hl7(
    files: Iterable[Path],
    out: Path,
    partitions: int,
    protection: Protection,
    zone: tzinfo = UTC,
    domains: Domains = ALONE,
    advance: Callable[[int], None] = lambda count: None,
) -> Imported:
    """Write all that the files hold to ``out``, one record a message, in the order of the files.

    The key is the merge domain, and the timestamp the recorded time. A message without one, or
    with one outside of 1970 to 2116, has the timestamp of the record before it in its partition,
    else 0. What is no message follows the messages of its file, under the key ``unknown``: a
    frame without an end, bytes outside of frames, a broken MSH. The flow makes a dead letter of
    each. Lines of batches (FHS, BHS, BTS, FTS) are no records; a wrong count of theirs is returned.
    ``zone`` counts where a message names none. Each partition ends with a heartbeat. ``advance`` is
    told the records. Raises Misuse.
    """
    no_messages = 0
    miscounts: list[tuple[Path, Miscount]] = []
    with RecordingWriter(out, {TOPIC: partitions}, protection) as writer:
        keyed = KeyedWriter(writer, TOPIC, partitions)
        for path in files:
            found = contents(_read(path))
            miscounts += [(path, miscount) for miscount in found.miscounts]
            for record in _records(found, zone, domains):
                keyed.add(record.key, record.time_ns, record.value)
                no_messages += not record.is_message
                advance(1)
        keyed.end()
    return Imported(keyed.count, no_messages, miscounts)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Misuse(f"cannot read {path}: {error.strerror}") from error


def _records(found: Contents, zone: tzinfo, domains: Domains) -> Iterator[Record]:
    for raw in found.messages:
        yield _record(raw, zone, domains)
    for raw in (*(dead.raw for dead in found.dead), *found.outside):
        yield Record(UNKNOWN, None, raw, is_message=False)


def _record(raw: bytes, zone: tzinfo, domains: Domains) -> Record:
    try:
        message = Message(raw)
    except Malformed:
        return Record(UNKNOWN, None, raw, is_message=False)
    time_ns = recorded_ns(message, zone)
    if time_ns is not None and not 0 <= time_ns <= MAX_TIME_NS:
        time_ns = None
    return Record(domain(message.header, domains), time_ns, raw, is_message=True)
