"""Write recordings (replay/recording.py has the format)."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from replay.message import Message
from replay.recording import CONTENT, FORMAT, HEADERS, PARTITIONS_KEY, SCHEMA, VERSION_KEY
from replay.sealed import SEALED_FORMAT, Protection, Sealer
from state.errors import Misuse

GROUP_ROWS = 65_536
"""The most rows of a row group."""
GROUP_BYTES = 32 << 20
"""A row group ends once its keys and values exceed this many bytes."""
BUFFERED_BYTES = 256 << 20
"""A writer that holds more than this writes its largest partition out."""


def content(
    offset: NDArray[np.int64] | pa.Array,
    timestamp_ns: NDArray[np.int64] | pa.Array,
    key: pa.Array,
    value: pa.Array,
    headers: pa.Array | None = None,
) -> pa.RecordBatch:
    """Return messages of one topic-partition by column, for `RecordingWriter.write`."""
    if headers is None:
        headers = pa.nulls(len(offset), HEADERS)
    columns = [offset, timestamp_ns, key, value, headers]
    arrays = [
        pa.array(column, type=kind.type)
        if isinstance(column, np.ndarray)
        else column.cast(kind.type)
        for column, kind in zip(columns, CONTENT, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=CONTENT)


def rows_content(messages: Sequence[Message]) -> pa.RecordBatch:
    """Return messages of one topic-partition, given one by one, by column."""
    headers = [
        [{"name": name, "value": value} for name, value in m.headers] if m.headers else None
        for m in messages
    ]
    return pa.RecordBatch.from_arrays(
        [
            pa.array([m.offset for m in messages], pa.int64()),
            pa.array([m.timestamp_ns for m in messages], pa.int64()),
            pa.array([m.key for m in messages], pa.binary()),
            pa.array([m.value for m in messages], pa.binary()),
            pa.array(headers, HEADERS),
        ],
        schema=CONTENT,
    )


def parquet_writer(path: Path, metadata: Mapping[bytes, bytes]) -> pq.ParquetWriter:
    """Return the writer of a recording's file; raises OSError."""
    return pq.ParquetWriter(
        path,
        SCHEMA.with_metadata(metadata),
        compression="zstd",
        compression_level=1,
        use_dictionary=["topic", "partition", "key"],
        column_encoding={
            "offset": "DELTA_BINARY_PACKED",
            "timestamp_ns": "DELTA_BINARY_PACKED",
        },
        write_statistics=["topic", "partition", "offset", "timestamp_ns"],
    )


class RecordingWriter:
    """Writes one recording; the file appears under its name only once it is whole."""

    def __init__(
        self, path: Path, partitions: Mapping[str, int], protection: Protection = None
    ) -> None:
        """Open ``path`` for topics with these partition counts; raises Misuse.

        Raises ValueError where a topic is secret and there is no ``protection``.
        """
        self._sealer = Sealer(protection, partitions)
        self.path = path
        self._partial = path.with_name(path.name + ".partial")
        self._partitions = dict(partitions)
        metadata = {
            VERSION_KEY: b"%d" % (SEALED_FORMAT if self._sealer.seals else FORMAT),
            PARTITIONS_KEY: json.dumps(self._partitions, sort_keys=True).encode(),
        }
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = parquet_writer(self._partial, metadata)
        except OSError as error:
            raise Misuse(f"cannot write {path}: {error.strerror or error}") from error
        self._waiting: dict[tuple[str, int], list[pa.RecordBatch]] = defaultdict(list)
        self._rows: dict[tuple[str, int], int] = defaultdict(int)
        self._bytes: dict[tuple[str, int], int] = defaultdict(int)
        self.count = 0
        """Messages written."""

    def write(self, topic: str, partition: int, batch: pa.RecordBatch) -> None:
        """Add messages (see `content`), in offset order within their partition."""
        if not 0 <= partition < self._partitions[topic]:
            raise ValueError(f"{topic} has no partition {partition}")
        where = (topic, partition)
        for start in range(0, batch.num_rows, GROUP_ROWS):
            part = batch.slice(start, GROUP_ROWS)
            if self._rows[where] + part.num_rows > GROUP_ROWS:
                self._flush(where)
            self._waiting[where].append(part)
            self._rows[where] += part.num_rows
            self._bytes[where] += part.nbytes
            if self._bytes[where] > GROUP_BYTES:
                self._flush(where)
        if sum(self._bytes.values()) > BUFFERED_BYTES:
            self._flush(max(self._bytes, key=self._bytes.__getitem__))
        self.count += batch.num_rows

    def _flush(self, where: tuple[str, int]) -> None:
        batches = self._waiting.pop(where, [])
        self._bytes.pop(where, None)
        if not (rows := self._rows.pop(where, 0)):
            return
        topic, partition = where
        columns: list[Any] = [
            pa.repeat(pa.scalar(topic), rows),
            pa.repeat(pa.scalar(partition, pa.int32()), rows),
        ]
        table = pa.Table.from_batches(batches, schema=CONTENT).combine_chunks()
        columns += self._sealer.row_group(topic, partition, table).columns
        self._file.write_table(pa.Table.from_arrays(columns, schema=SCHEMA), row_group_size=rows)

    def close(self) -> None:
        """Write what waits and let the file appear."""
        for where in list(self._waiting):
            self._flush(where)
        self._file.add_key_value_metadata(self._sealer.metadata())
        self._file.close()
        self._partial.replace(self.path)

    def abandon(self) -> None:
        """Remove what was written."""
        self._file.close()
        self._partial.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()
