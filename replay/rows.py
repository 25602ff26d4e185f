"""Rows of a recording by column, and what they become: messages, or a block of Messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from connectors.kafka.messages import first_offsets
from replay.message import Message
from state.clock import MS
from state.records import Header, Messages


@dataclass(frozen=True, slots=True)
class Columns:
    """One row group, read.

    ``data[starts[i]:starts[i + 1]]`` is value i; ``with_headers`` are the rows that have any.
    """

    offset: NDArray[np.int64]
    timestamp_ns: NDArray[np.int64]
    keyed: NDArray[np.bool_]
    key: pa.Array
    value: pa.Array
    data: NDArray[np.uint8]
    starts: NDArray[np.int64]
    headers: pa.Array
    with_headers: NDArray[np.int64]

    def headers_of(self, row: int) -> list[Header]:
        """Return the headers of one row."""
        return [(pair["name"], pair["value"] or b"") for pair in self.headers[row].as_py() or ()]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows ``start`` to ``stop`` of a row group, whose columns are not copied."""

    partition: int
    columns: Columns
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def offset(self) -> NDArray[np.int64]:
        """The offsets."""
        return self.columns.offset[self.start : self.stop]

    @property
    def timestamp_ns(self) -> NDArray[np.int64]:
        """The timestamps, ns."""
        return self.columns.timestamp_ns[self.start : self.stop]

    @property
    def keyed(self) -> NDArray[np.bool_]:
        """Which rows have a key."""
        return self.columns.keyed[self.start : self.stop]

    @property
    def starts(self) -> NDArray[np.int64]:
        """Where each value begins in the columns' data, and where the last one ends."""
        return self.columns.starts[self.start : self.stop + 1]

    def headers(self) -> Iterator[tuple[int, list[Header]]]:
        """Yield (row, headers) of the rows that have any; rows count from ``start``."""
        found = self.columns.with_headers
        if len(found):
            first, last = np.searchsorted(found, [self.start, self.stop]).tolist()
            for row in found[first:last].tolist():
                yield row - self.start, self.columns.headers_of(row)


class LazyKeys(Sequence[bytes | None]):
    """The keys of rows of several row groups, which become bytes only when asked for."""

    def __init__(self, parts: Sequence[Rows]) -> None:
        self._parts = parts

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        row = int(index)
        for part in self._parts:
            if row < len(part):
                return part.columns.key[part.start + row].as_py()
            row -= len(part)
        raise IndexError(index)


def to_rows(partition: int, table: pa.Table) -> Rows:
    """Return a row group's columns, not copied."""
    key = table.column("key").combine_chunks()
    value = table.column("value").combine_chunks()
    headers = table.column("headers").combine_chunks()
    data, starts = _binary_buffers(value)
    columns = Columns(
        table.column("offset").to_numpy(),
        table.column("timestamp_ns").to_numpy(),
        key.is_valid().to_numpy(zero_copy_only=False),
        key,
        value,
        data,
        starts,
        headers,
        _with_headers(headers),
    )
    return Rows(partition, columns, 0, len(table))


def _binary_buffers(values: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the bytes of a binary array and its offsets into them: uint8, int64[n + 1].

    A null is empty. The bytes are not copied.
    """
    _, offsets, data = values.buffers()
    starts = np.frombuffer(offsets, np.int32)[values.offset : values.offset + len(values) + 1]
    content = np.empty(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)
    return content, starts.astype(np.int64)


def to_messages(topic: str, rows: Rows) -> Iterator[Message]:
    """Yield the rows one by one."""
    columns = rows.columns
    headers = dict(rows.headers())
    fields = zip(
        rows.offset.tolist(),
        rows.timestamp_ns.tolist(),
        columns.key.slice(rows.start, len(rows)).to_pylist(),
        columns.value.slice(rows.start, len(rows)).to_pylist(),
        strict=True,
    )
    for row, (offset, timestamp_ns, key, value) in enumerate(fields):
        pairs = headers.get(row, ())
        yield Message(topic, rows.partition, offset, timestamp_ns, key, value, pairs)


def to_block(
    topic: str, partitions: int, parts: Sequence[Rows], position: Mapping[int, int]
) -> Messages:
    """Return rows of one or more partitions, at least one row each, as Messages.

    ``position`` is the next offset of each partition, from which its range starts.
    Timestamps are floored to whole milliseconds, as Kafka keeps them. The values of a
    single part are not copied. An origin header gives a row its first offset, as live.
    """
    starts = [part.starts for part in parts]
    lengths = [len(part) for part in parts]
    ends = np.cumsum([int(each[-1] - each[0]) for each in starts])
    begins = [0, *ends[:-1].tolist()]
    timestamp_ns = _join([part.timestamp_ns for part in parts])
    partition = np.repeat(np.array([part.partition for part in parts], np.int32), lengths)
    offset = _join([part.offset for part in parts])
    headers = {
        first + row: pairs
        for first, part in zip(accumulate([0, *lengths[:-1]]), parts, strict=True)
        for row, pairs in part.headers()
    }
    if headers:
        offset = first_offsets(topic, partition, offset, headers)
    return Messages(
        topic=topic,
        partitions=partitions,
        partition=partition,
        offset=offset,
        timestamp_ns=timestamp_ns - timestamp_ns % MS,
        keyed=_join([part.keyed for part in parts]),
        data=_join(
            [part.columns.data[at[0] : at[-1]] for part, at in zip(parts, starts, strict=True)]
        ),
        starts=np.append(
            _join([at[:-1] + (b - at[0]) for at, b in zip(starts, begins, strict=True)]), ends[-1]
        ),
        keys=LazyKeys(parts),
        headers=headers,
        ranges={
            part.partition: (position[part.partition], int(part.columns.offset[part.stop - 1]) + 1)
            for part in parts
        },
    )


def _join(arrays: list[NDArray[Any]]) -> NDArray[Any]:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _with_headers(headers: pa.Array) -> NDArray[np.int64]:
    if not len(headers.flatten()):  # the usual case, and a quick answer
        return np.empty(0, np.int64)
    lengths = headers.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    return np.flatnonzero(lengths)
