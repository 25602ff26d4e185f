"""Messages by column from a list of Kafka messages: the way of `reading.Objects`.

No Python code runs for a single message: `map` over a method of the C type costs about
12 ns a call (54 ns for the timestamp, which is a tuple), a loop several times that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from confluent_kafka import KafkaError, Message
from numpy.typing import NDArray

from connectors.kafka.marks import Mark, proven
from state.clock import MS
from state.errors import Broken
from state.metrics import UNPROVEN
from state.records import ORIGIN_HEADER, Header, Messages

_MAX_OFFSET = (1 << 63) - 1
_milliseconds = itemgetter(1)


class Fault(NamedTuple):
    """What Kafka said instead of a message."""

    partition: int | None
    error: KafkaError


def to_messages(
    found: Sequence[Message],
    topic: str,
    partitions: int,
    position: Mapping[int, int],
    mark: Mark | None = None,
) -> Messages:
    """Return messages by column; ``found`` is not empty and holds no error.

    ``mark`` proves headers that name first coordinates; without it none does.

    ``position`` is the next offset of each partition, from which a range starts even
    where the topic has gaps (compaction, transaction markers). An empty value stands for
    a null one. Raises Broken where an offset comes a second time.
    """
    count = len(found)
    values = _values(found)
    starts = np.zeros(count + 1, np.int64)
    np.cumsum(np.fromiter(map(len, values), np.int64, count), out=starts[1:])
    partition = np.fromiter(map(Message.partition, found), np.int32, count)
    offset = np.fromiter(map(Message.offset, found), np.int64, count)
    milliseconds = map(_milliseconds, map(Message.timestamp, found))
    keys = list(map(Message.key, found))
    ranges = ranges_of(topic, partition, offset, position)
    messages = Messages(
        topic=topic,
        partitions=partitions,
        partition=partition,
        offset=offset,
        timestamp_ns=np.fromiter(milliseconds, np.int64, count) * MS,
        keyed=_keyed(keys),
        data=np.frombuffer(b"".join(values), np.uint8),
        starts=starts,
        keys=keys,
        headers=_headers(found),
        ranges=ranges,
    )
    settle(messages, mark)
    return messages


def settle(messages: Messages, mark: Mark | None) -> None:
    """Give messages that our tools have marked their first coordinates.

    Of the others, the headers that would name some are dropped, and counted.
    """
    for row, headers in messages.headers.items():
        key, value, p = messages.keys[row], messages.value(row), int(messages.partition[row])
        kept = proven(mark, messages.topic, p, key, value, headers)
        if len(kept) < len(headers):
            messages.headers[row] = kept
            UNPROVEN.labels(messages.topic).inc()
    if messages.headers:
        partition, offset = messages.partition, messages.offset
        messages.offset = first_offsets(messages.topic, partition, offset, messages.headers)


def _values(found: Sequence[Message]) -> list[bytes]:
    values: list[Any] = list(map(Message.value, found))
    return [value or b"" for value in values] if None in values else values


def _keyed(keys: list[Any]) -> NDArray[np.bool_]:
    # all() is the quick answer for the usual block, in which no key is null or empty.
    if all(keys):
        return np.ones(len(keys), np.bool_)
    return np.fromiter((key is not None for key in keys), np.bool_, len(keys))


def _headers(found: Sequence[Message]) -> dict[int, list[Header]]:
    rows: list[Any] = list(map(Message.headers, found))
    if not any(rows):
        return {}
    return {
        row: [(str(name), _as_bytes(value)) for name, value in headers]
        for row, headers in enumerate(rows)
        if headers
    }


def _as_bytes(value: str | bytes | None) -> bytes:
    return value.encode() if isinstance(value, str) else value or b""


def ranges_of(
    topic: str, partition: NDArray[np.int32], offset: NDArray[np.int64], position: Mapping[int, int]
) -> dict[int, tuple[int, int]]:
    """Return (next offset before, next offset after) of each partition that occurs."""
    same = partition[1:] == partition[:-1]
    back = np.flatnonzero(same & (offset[1:] <= offset[:-1]))
    if len(back):
        row = int(back[0]) + 1
        raise _again(topic, int(partition[row]), int(offset[row]), int(offset[row - 1]) + 1)
    ends = np.append(np.flatnonzero(~same), len(partition) - 1)
    begins = np.append(0, ends[:-1] + 1)
    ranges: dict[int, tuple[int, int]] = {}
    runs = zip(
        partition[ends].tolist(), offset[begins].tolist(), offset[ends].tolist(), strict=True
    )
    for p, first, last in runs:
        start, expected = ranges.get(p, (position[p], position[p]))
        if first < expected:
            raise _again(topic, p, first, expected)
        ranges[p] = (start, last + 1)
    return ranges


def _again(topic: str, partition: int, offset: int, expected: int) -> Broken:
    return Broken(f"{topic}[{partition}] delivered offset {offset} again, {expected} was next")


def first_offsets(
    topic: str,
    partition: NDArray[np.int32],
    offset: NDArray[np.int64],
    headers: Mapping[int, list[Header]],
) -> NDArray[np.int64]:
    """Return the offsets with those of the origin headers in their rows."""
    replaced = offset.copy()
    for row, pairs in headers.items():
        for name, value in pairs:
            if name == ORIGIN_HEADER:
                replaced[row] = _origin(value, topic, int(partition[row]), int(offset[row]))
    return replaced


def _origin(value: bytes, topic: str, partition: int, otherwise: int) -> int:
    """Return the offset of ``topic/partition/offset``; ``otherwise`` where it says else."""
    home, _, digits = value.rpartition(b"/")
    if home != f"{topic}/{partition}".encode() or not digits.isdigit():
        return otherwise
    # Twenty digits are more than an int64 holds, and a million would take time to read.
    offset = int(digits) if len(digits) < 20 else otherwise
    return offset if offset <= _MAX_OFFSET else otherwise
