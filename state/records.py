"""Records that travel between layers: raw messages, dead letters and outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from state.errors import BadRecord

HEARTBEAT_HEADER = "headrace-heartbeat"
"""int64 nanoseconds, big-endian, on a message with an empty value: moves the watermark."""

ORIGIN_HEADER = "headrace-origin"
"""``topic/partition/offset``: the first coordinates of a message published or retried."""

RETRY_HEADER = "headrace-retry"
"""Present on a retried dead letter, which is therefore not judged late."""

SEQUENCE_HEADER = "headrace-sequence"
"""ASCII decimal: which record of its message a dead letter is; kept when it is retried."""

MAX_DIGITS = 9
"""The most digits of that number, so that it fits into 32 bits."""

Header = tuple[str, bytes]


def heartbeat_header(time_ns: int) -> tuple[str, bytes]:
    """Return the header of a heartbeat."""
    return HEARTBEAT_HEADER, time_ns.to_bytes(8, "big", signed=True)


class Coordinates(NamedTuple):
    """Where a record came from; its identity. ``sequence`` counts inside a message."""

    topic: str
    partition: int
    offset: int
    sequence: int = 0

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}/{self.sequence}"


@dataclass(slots=True)
class Messages:
    """Raw messages of one topic by column, in offset order within each partition.

    ``partition`` int32[n], ``offset`` int64[n] (the first coordinates' offset where
    the message has an origin header), ``timestamp_ns`` int64[n] (Kafka's, whole
    milliseconds), ``keyed`` bool[n]. Value i is ``data[starts[i]:starts[i + 1]]``
    (uint8; starts int64[n + 1]). ``keys`` is indexed only for rows in trouble.
    ``headers`` has an entry only for rows with headers. ``ranges`` gives, for
    each partition, the real (first, next) offsets covered.
    """

    topic: str
    partitions: int
    partition: NDArray[np.int32]
    offset: NDArray[np.int64]
    timestamp_ns: NDArray[np.int64]
    keyed: NDArray[np.bool_]
    data: NDArray[np.uint8]
    starts: NDArray[np.int64]
    keys: Sequence[bytes | None]
    headers: dict[int, list[Header]] = field(default_factory=dict)
    ranges: dict[int, tuple[int, int]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.offset)

    def value(self, row: int) -> bytes:
        """Return the bytes of one message's value."""
        return self.data[self.starts[row] : self.starts[row + 1]].tobytes()

    def coordinates(self, row: int) -> Coordinates:
        """Return the (first) coordinates of one message."""
        return Coordinates(self.topic, int(self.partition[row]), int(self.offset[row]))

    def dead(
        self,
        row: int,
        error: BadRecord,
        coordinates: Coordinates | None = None,
        value: bytes | None = None,
    ) -> DeadLetter:
        """Return a message as a dead letter, which a record of it may narrow.

        ``coordinates`` and ``value`` are the record's. Without them they are the message's: one
        that is retried was itself a record of another, and its header says which.
        """
        if coordinates is None:
            sequence = dict(self.headers.get(row, ())).get(SEQUENCE_HEADER, b"")
            number = int(sequence) if sequence.isdigit() and len(sequence) <= MAX_DIGITS else 0
            coordinates = self.coordinates(row)._replace(sequence=number)
        if value is None:
            value = self.value(row)
        return DeadLetter.of(error, coordinates, int(self.timestamp_ns[row]), self.keys[row], value)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message, or one record of it, that could not be used, with the reason."""

    coordinates: Coordinates
    timestamp_ns: int
    key: bytes | None
    value: bytes
    error: str
    reason: str
    sealed: bool = False
    """Whether key and value are sealed bytes (state/sealing)."""

    @classmethod
    def of(
        cls,
        error: BadRecord,
        coordinates: Coordinates,
        timestamp_ns: int,
        key: bytes | None,
        value: bytes,
    ) -> DeadLetter:
        """Return the letter for an error, whose class it names."""
        return cls(coordinates, timestamp_ns, key, value, type(error).__name__, str(error))


@dataclass(frozen=True, slots=True)
class OutputBatch:
    """Consecutive records of one output from one origin, ready for any sink.

    ``origin`` is an input partition's number as text, or ``merge``. ``first`` is the
    counter of the first record (from 1): record i has counter ``first + i``, which
    depends only on the input, so that a sink can tell what it already has.
    ``keys`` are the table keys of a keyed output, else empty strings.
    ``values`` are canonical JSON (sorted keys). ``timestamp_ns`` is the Kafka timestamp of the
    newest message behind them, for the latency metric alone; 0 where several partitions are.
    ``retracted`` are the rows that take their key away (state/retraction).
    """

    output: str
    origin: str
    first: int
    times_ns: list[int]
    ids: list[str]
    keys: list[str]
    values: list[bytes]
    timestamp_ns: int = 0
    retracted: frozenset[int] = frozenset()

    def __len__(self) -> int:
        return len(self.values)
