"""Small recordings for the tests."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from replay.message import Message
from replay.recording import Recording
from replay.sealed import PLAINTEXT, Keys, Protection
from replay.writer import RecordingWriter, rows_content


def write(
    path: Path,
    partitions: Mapping[str, int],
    messages: Iterable[Message],
    protection: Protection = PLAINTEXT,
) -> Path:
    """Write messages, which come in offset order within each partition."""
    places = defaultdict(list)
    for message in messages:
        places[message.topic, message.partition].append(message)
    with RecordingWriter(path, partitions, protection) as writer:
        for (topic, partition), found in places.items():
            writer.write(topic, partition, rows_content(found))
    return path


def read(path: Path, keys: Keys | None = None) -> list[Message]:
    """Return all messages by (topic, partition, offset)."""
    return list(Recording([path], keys).messages())


def message(offset: int, partition: int = 0, timestamp_ns: int | None = None, **more) -> Message:
    """Return a message of topic ``t``; its time is its offset in seconds unless given."""
    time_ns = offset * 1_000_000_000 if timestamp_ns is None else timestamp_ns
    fields = {"key": b"k", "value": b'{"n":%d}' % offset} | more
    return Message("t", partition, offset, time_ns, **fields)
