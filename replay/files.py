"""Canonical files: what a system's outputs are, byte for byte, however they came about.

``DIR/<output>.jsonl`` holds every record of an output by (event time, id); late records
and ``dead.jsonl`` are by (topic, partition, offset, sequence). ``DIR/tables/<output>.jsonl``
holds the last value of each key of a keyed output, by key, without the retracted ones.
"""

from __future__ import annotations

import base64
import hashlib
import heapq
import pickle
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Generic, TypeVar

import orjson
from bytewax.outputs import DynamicSink, StatelessSinkPartition

from state.errors import Misuse
from state.outputs import DEAD, Output, to_json
from state.records import Coordinates, DeadLetter, OutputBatch

SPILL_BYTES = 128 << 20
"""About how many bytes of records wait in memory before they go to a temporary file."""
_ENTRY_BYTES = 200
"""What Python adds to a record, roughly."""
_CHUNK = 1000

X = TypeVar("X")
_Entry = tuple[Any, ...]
"""The fields that order a record, then its line."""


@dataclass(frozen=True, slots=True)
class Written:
    """One file: its path inside the directory, its lines and the SHA-256 of its bytes."""

    name: str
    lines: int
    sha256: str


class _Spool:
    """Entries in any order in, sorted out; sorted runs go to files once memory is short."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._entries: list[_Entry] = []
        self._runs: list[IO[bytes]] = []
        self.bytes = 0

    def extend(self, entries: Iterable[_Entry], size: int) -> None:
        before = len(self._entries)
        self._entries.extend(entries)
        self.bytes += size + (len(self._entries) - before) * _ENTRY_BYTES

    def spill(self) -> None:
        self._entries.sort()
        run = tempfile.TemporaryFile(dir=self._directory)  # noqa: SIM115 - `close` closes it
        for start in range(0, len(self._entries), _CHUNK):
            pickle.dump(self._entries[start : start + _CHUNK], run, pickle.HIGHEST_PROTOCOL)
        self._runs.append(run)
        self._entries = []
        self.bytes = 0

    def sorted(self) -> Iterator[_Entry]:
        self._entries.sort()
        if not self._runs:
            return iter(self._entries)
        return heapq.merge(self._entries, *(_read_run(run) for run in self._runs))

    def close(self) -> None:
        for run in self._runs:
            run.close()


def _read_run(run: IO[bytes]) -> Iterator[_Entry]:
    run.seek(0)
    while True:
        try:
            entries = pickle.load(run)  # noqa: S301 - an unnamed file that `spill` wrote
        except EOFError:
            return
        yield from entries


def table_lines(output: Output, value: bytes) -> Iterator[bytes]:
    """Yield a record's lines of a table: one for each of its rows, without what passes.

    A sealed record is one line as it is, and so holds what passes, too.
    """
    passing = {column.name for column in output.columns if column.passing}
    if not passing and not output.rows:
        yield value
        return
    record = orjson.loads(value)
    if "sealed" in record:
        yield value
        return
    rows = record.pop(output.rows) if output.rows else [{}]
    kept = {name: field for name, field in record.items() if name not in passing}
    yield from (to_json(kept | row) for row in rows)


class OutputFiles:
    """Gathers the records of a system and writes its canonical files; threads may share it.

    Memory holds about `SPILL_BYTES` of records, and the tables whole.
    """

    def __init__(self, directory: Path, outputs: tuple[Output, ...], max_dead_bytes: int) -> None:
        """Make the directory; raises Misuse where that cannot be."""
        try:
            (directory / "tables").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Misuse(f"cannot write to {directory}: {error.strerror}") from error
        self.directory = directory
        self._by_name = {output.name: output for output in outputs}
        self._max_dead_bytes = max_dead_bytes
        self._spools = {name: _Spool(directory) for name in [*self._by_name, DEAD]}
        self._tables: dict[str, dict[str, dict[str, _Entry]]] = defaultdict(
            lambda: defaultdict(dict)
        )
        self._dead: set[Coordinates] = set()
        self._lock = threading.Lock()

    def add(self, batch: OutputBatch) -> None:
        """Take in records of an output; one origin's batches come in their order."""
        output = self._by_name.get(batch.output) or self._learn(batch)
        # Copies: what orjson returns sits in the 4 KB that it began with.
        lines = [bytes(memoryview(value)) for value in batch.values]
        entries: list[_Entry]
        if output.by_coordinates:
            orders = [_coordinates(identity) for identity in batch.ids]
            entries = [(*order, line) for order, line in zip(orders, lines, strict=True)]
        else:
            entries = list(zip(batch.times_ns, batch.ids, lines, strict=True))
        with self._lock:
            self._put(output.name, entries, sum(map(len, lines)))
            if output.keyed:
                self._tabulate(self._tables[output.name][batch.origin], batch, entries)

    @staticmethod
    def _tabulate(table: dict[str, _Entry], batch: OutputBatch, entries: list[_Entry]) -> None:
        """Put records under their keys, and take retracted keys away, in their order."""
        for row, (key, entry) in enumerate(zip(batch.keys, entries, strict=True)):
            if row in batch.retracted:
                table.pop(key, None)
            elif key:  # as in Redis, a record without a table key enters no table
                table[key] = entry

    def _learn(self, batch: OutputBatch) -> Output:
        """Return an output that was not announced: one of a user's own flow."""
        output = Output("", batch.output, "", (), key=("key",) if any(batch.keys) else ())
        with self._lock:
            self._spools.setdefault(output.name, _Spool(self.directory))
            return self._by_name.setdefault(output.name, output)

    def add_dead(self, letter: DeadLetter) -> None:
        """Take in a dead letter."""
        line = to_json(dead_record(letter, self._max_dead_bytes))
        self.add_dead_line(letter.coordinates, line)

    def add_dead_line(self, coordinates: Coordinates, line: bytes) -> None:
        """Take in a dead letter that is a line already.

        Retried and still unusable, or produced twice, it is the same letter: the first counts.
        """
        with self._lock:
            if coordinates not in self._dead:
                self._dead.add(coordinates)
                self._put(DEAD, [(*coordinates, line)], len(line))

    def set_table(self, output: str, values: dict[str, bytes]) -> None:
        """Give the last value of each key, where a table is known from elsewhere."""
        with self._lock:
            self._tables[output] = defaultdict(dict)
            self._tables[output][""] = {key: (0, "", value) for key, value in values.items()}

    def _put(self, name: str, entries: list[_Entry], size: int) -> None:
        self._spools[name].extend(entries, size)
        if sum(spool.bytes for spool in self._spools.values()) > SPILL_BYTES:
            max(self._spools.values(), key=lambda spool: spool.bytes).spill()

    def write(self) -> list[Written]:
        """Write all files, the empty ones too, and return what they are."""
        written = []
        for name, spool in self._spools.items():
            written.append(self._write(f"{name}.jsonl", (entry[-1] for entry in spool.sorted())))
            spool.close()
        keyed = [output.name for output in self._by_name.values() if output.keyed]
        written += [self._write(f"tables/{name}.jsonl", self._table(name)) for name in keyed]
        return written

    def _table(self, output: str) -> Iterator[bytes]:
        # A key has one origin; where a user's flow breaks that, the newest value counts.
        newest: dict[str, _Entry] = {}
        for table in self._tables[output].values():
            for key, entry in table.items():
                newest[key] = max(newest.get(key, entry), entry)
        declared = self._by_name[output]
        return (line for key in sorted(newest) for line in table_lines(declared, newest[key][-1]))

    def _write(self, name: str, lines: Iterator[bytes]) -> Written:
        count = 0
        digest = hashlib.sha256()
        with (self.directory / name).open("wb") as file:
            for line in lines:
                file.write(line + b"\n")
                digest.update(line + b"\n")
                count += 1
        return Written(name, count, digest.hexdigest())


def _coordinates(identity: str) -> Coordinates:
    """Return the coordinates that an id of a record's own result is made of."""
    topic, partition, offset, sequence = identity.rsplit("/", 3)
    return Coordinates(topic, int(partition), int(offset), int(sequence))


def dead_record(letter: DeadLetter, max_bytes: int) -> dict[str, Any]:
    """Return a dead letter as a record: ``value`` in base64, or what identifies a large one."""
    topic, partition, offset, sequence = letter.coordinates
    record = {
        "error": letter.error,
        "key": None if letter.key is None else base64.b64encode(letter.key).decode(),
        "offset": offset,
        "partition": partition,
        "reason": letter.reason,
        "sequence": sequence,
        "timestamp_ns": letter.timestamp_ns,
        "topic": topic,
    }
    if letter.sealed:
        record["sealed"] = True
    if len(letter.value) > max_bytes:
        large = {"length": len(letter.value), "sha256": hashlib.sha256(letter.value).hexdigest()}
        return record | large
    return record | {"value": base64.b64encode(letter.value).decode()}


class FileSink(DynamicSink[tuple[str, X]], Generic[X]):
    """Hands what a flow emits to ``add``, a method of an OutputFiles."""

    def __init__(self, add: Callable[[X], None]) -> None:
        self._add = add

    def build(
        self, step_id: str, worker_index: int, worker_count: int
    ) -> StatelessSinkPartition[tuple[str, X]]:
        """Return the sink of one worker thread."""
        return _FilePartition(self._add)


class _FilePartition(StatelessSinkPartition[tuple[str, X]]):
    def __init__(self, add: Callable[[X], None]) -> None:
        self._add = add

    def write_batch(self, items: list[tuple[str, X]]) -> None:
        for _, item in items:
            self._add(item)
