"""Recordings: Kafka messages with their coordinates, in Parquet files.

Columns: ``topic`` string, ``partition`` int32, ``offset`` int64, ``timestamp_ns`` int64,
``key`` binary, ``value`` binary, ``headers`` list of (name string, value binary). A row
group holds one topic-partition in offset order. The file's metadata holds the format
version under ``headrace.recording`` and, under ``headrace.partitions``, the partition
count of each topic as JSON: an empty partition counts too. In version 2 keys and values of
secret topics are sealed (replay/sealed.py); all else is as in version 1.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from replay.message import Message
from replay.rows import Rows, to_messages, to_rows
from replay.sealed import SEALED_FORMAT, Ciphers, Keys, Wrapped, opened, wrapped
from state.errors import Misuse

FORMAT = 1

HEADERS = pa.list_(pa.struct([("name", pa.string()), ("value", pa.binary())]))
SCHEMA = pa.schema(
    [
        pa.field("topic", pa.string(), nullable=False),
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("timestamp_ns", pa.int64(), nullable=False),
        pa.field("key", pa.binary()),
        pa.field("value", pa.binary()),
        pa.field("headers", HEADERS),
    ]
)
CONTENT = pa.schema(list(SCHEMA)[2:])
"""What remains once the topic and the partition are known."""
VERSION_KEY, PARTITIONS_KEY = b"headrace.recording", b"headrace.partitions"


@dataclass(frozen=True, slots=True)
class RowGroup:
    """One row group: which file and index, and what its statistics say."""

    file: int
    index: int
    topic: str
    partition: int
    rows: int
    first: int
    last: int
    first_ns: int
    last_ns: int
    """The smallest and largest timestamp, ns."""


class Recording:
    """Several recordings opened together, as one log."""

    def __init__(self, paths: Sequence[Path], keys: Keys | None = None) -> None:
        """Open files; raises Misuse where one is no recording or coordinates overlap.

        With ``keys``, also where one is sealed and they do not open it. Without, a sealed one
        tells its partitions, counts, offsets and times, and cannot be read.
        """
        self.paths = list(paths)
        self._metadata = [metadata_of(path) for path in self.paths]
        self.partitions: dict[str, int] = {}
        """The partition count of each topic."""
        self.groups: dict[tuple[str, int], list[RowGroup]] = defaultdict(list)
        """The row groups of each (topic, partition) that has any, in offset order."""
        for number, (path, metadata) in enumerate(zip(self.paths, self._metadata, strict=True)):
            for topic, count in _partition_counts(path, metadata).items():
                if self.partitions.setdefault(topic, count) != count:
                    raise Misuse(
                        f"{path} has {count} partitions of {topic}, another recording "
                        f"{self.partitions[topic]}: they are of different topics"
                    )
            for index in range(metadata.num_row_groups):
                group = _group(path, metadata, number, index)
                self.groups[group.topic, group.partition].append(group)
        for (topic, partition), groups in self.groups.items():
            groups.sort(key=lambda group: group.first)
            self._refuse_overlap(topic, partition, groups)
        self._sealed = [_wrapped(*each) for each in zip(self.paths, self._metadata, strict=True)]
        self._ciphers = [] if keys is None else self._opened(keys)

    def _opened(self, keys: Keys) -> list[Ciphers | None]:
        return [None if sealed is None else sealed.opened(keys) for sealed in self._sealed]

    def _refuse_overlap(self, topic: str, partition: int, groups: list[RowGroup]) -> None:
        for before, after in pairwise(groups):
            if after.first <= before.last:
                one, two = sorted(str(self.paths[group.file]) for group in (before, after))
                raise Misuse(
                    f"{one} and {two} both hold {topic}[{partition}] from offset "
                    f"{after.first}: give recordings that do not overlap"
                )

    def __len__(self) -> int:
        return sum(group.rows for groups in self.groups.values() for group in groups)

    @property
    def first_ns(self) -> int:
        """The smallest timestamp, ns; 0 where there are no messages."""
        return min((g.first_ns for groups in self.groups.values() for g in groups), default=0)

    def only_topic(self, topic: str) -> None:
        """Raise Misuse unless the recording holds ``topic``."""
        if topic not in self.partitions:
            held = ", ".join(sorted(self.partitions)) or "no topic"
            raise Misuse(f"the recording holds {held}, not {topic}")

    def reader(self) -> Reader:
        """Return a reader with file handles of its own, for one thread.

        Raises Misuse where a recording is sealed and was opened without keys.
        """
        return Reader(self.paths, self._metadata, self._ciphers or self._opened(_no_keys))

    def messages(self) -> Iterator[Message]:
        """Yield every message by (topic, partition, offset)."""
        for topic, partition in sorted(self.groups):
            yield from self.partition(topic, partition)

    def partition(self, topic: str, partition: int) -> Iterator[Message]:
        """Yield the messages of one partition by offset."""
        reader = self.reader()
        for group in self.groups.get((topic, partition), ()):
            yield from to_messages(topic, reader.read(partition, group))


class Reader:
    """Reads row groups; for one thread, as Parquet files are."""

    def __init__(
        self,
        paths: Sequence[Path],
        metadata: Sequence[pq.FileMetaData],
        ciphers: Sequence[Ciphers | None],
    ) -> None:
        self._paths = paths
        self._metadata = metadata
        self._ciphers = ciphers
        self._files: dict[int, pq.ParquetFile] = {}

    def read(self, partition: int, group: RowGroup) -> Rows:
        """Return one row group; raises Misuse where its offsets do not grow."""
        table = self.table(group)
        offset = table.column("offset").to_numpy()
        if len(offset) > 1 and not (offset[1:] > offset[:-1]).all():
            raise Misuse(f"{self._paths[group.file]}: offsets of a row group do not grow")
        return to_rows(partition, table)

    def table(self, group: RowGroup) -> pa.Table:
        """Return one row group as it was given to the writer. Raises DamagedSeal."""
        file = self._files.get(group.file)
        if file is None:
            file = self._files[group.file] = pq.ParquetFile(
                self._paths[group.file], metadata=self._metadata[group.file], memory_map=True
            )
        table = file.read_row_group(group.index, columns=CONTENT.names, use_threads=False)
        if (ciphers := self._ciphers[group.file]) is None:
            return table
        path, cipher = self._paths[group.file], ciphers[group.index]
        return opened(cipher, path, group.topic, group.partition, table)

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()
        self._files.clear()


def _no_keys() -> None:
    return None


def _wrapped(path: Path, metadata: pq.FileMetaData) -> Wrapped | None:
    return wrapped(path, metadata.metadata or {}, metadata.num_row_groups)


def metadata_of(path: Path) -> pq.FileMetaData:
    """Return the metadata of a Parquet file; raises Misuse."""
    try:
        return pq.read_metadata(path)
    except FileNotFoundError as error:
        raise Misuse(f"there is no recording {path}") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise Misuse(f"{path} is no recording: {error}") from error


def _partition_counts(path: Path, metadata: pq.FileMetaData) -> dict[str, int]:
    found = metadata.metadata or {}
    version = found.get(VERSION_KEY)
    if version is None:
        raise Misuse(
            f"{path} is a Parquet file, but no recording: {VERSION_KEY.decode()} is missing"
        )
    if version not in (b"%d" % FORMAT, b"%d" % SEALED_FORMAT):
        reads = f"{FORMAT} and {SEALED_FORMAT}"
        raise Misuse(f"{path} has recording format {version.decode()}, this program reads {reads}")
    counts = json.loads(found[PARTITIONS_KEY])
    return {str(topic): int(count) for topic, count in counts.items()}


def _group(path: Path, metadata: pq.FileMetaData, file: int, index: int) -> RowGroup:
    row_group = metadata.row_group(index)
    columns = {row_group.column(i).path_in_schema: i for i in range(row_group.num_columns)}
    ranges = []
    for name in ("topic", "partition", "offset", "timestamp_ns"):
        statistics = row_group.column(columns[name]).statistics
        if statistics is None or not statistics.has_min_max:
            raise Misuse(f"{path}: a row group has no statistics of {name}")
        ranges.append((statistics.min, statistics.max))
    (topic, last_topic), (partition, last_partition), (first, last), (first_ns, last_ns) = ranges
    if topic != last_topic or partition != last_partition:
        raise Misuse(f"{path}: a row group holds more than one topic-partition")
    rows = row_group.num_rows
    return RowGroup(file, index, topic, partition, rows, first, last, first_ns, last_ns)
