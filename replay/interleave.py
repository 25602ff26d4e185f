"""Several partitions of a recording read together, by timestamp."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from replay.recording import Reader, Recording
from replay.rows import Rows

FROM_START = 0


@dataclass(frozen=True, slots=True)
class Speed:
    """A recording's time against the clock: ``factor`` seconds of it in each second."""

    factor: float
    first_ns: int
    """The recording's first timestamp, due at ``start_ns``."""
    start_ns: int
    now_ns: Callable[[], int]

    def due_ns(self) -> int:
        """Return the timestamp up to which messages are due."""
        return self.first_ns + int((self.now_ns() - self.start_ns) * self.factor)

    def when_ns(self, timestamp_ns: int) -> int:
        """Return the clock time at which a timestamp is due."""
        return self.start_ns + int((timestamp_ns - self.first_ns) / self.factor)


class Stream:
    """One topic-partition's messages, row group by row group, from an offset on."""

    def __init__(
        self,
        recording: Recording,
        reader: Reader,
        topic: str,
        partition: int,
        offset: int = FROM_START,
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.offset = offset
        """The next offset."""
        self._reader = reader
        groups = recording.groups.get((topic, partition), [])
        self._groups = iter([group for group in groups if group.last >= offset])
        self._rows: Rows | None = None
        self._at = 0
        self._times: NDArray[np.int64] = np.empty(0, np.int64)
        self._load()

    def _load(self) -> None:
        group = next(self._groups, None)
        newest = self._times[-1:]
        self._rows = None if group is None else self._reader.read(self.partition, group)
        if self._rows is not None:
            self._at = int(np.searchsorted(self._rows.offset, self.offset))
            # Timestamps may step back; the time that has been reached never does.
            reached = np.maximum.accumulate(np.concatenate([newest, self._rows.timestamp_ns]))
            self._times = reached[len(newest) :]

    @property
    def ended(self) -> bool:
        """Whether no message is left."""
        return self._rows is None

    def times(self, count: int) -> NDArray[np.int64]:
        """Return the time (ns) reached after each of the next messages, ``count`` at most."""
        return self._times[self._at : self._at + count]

    def take(self, count: int) -> Rows:
        """Return the next ``count`` messages; `times` has told that there are as many."""
        assert self._rows is not None
        whole = self._rows
        rows = Rows(self.partition, whole.columns, self._at, self._at + count)
        self._at += count
        self.offset = int(whole.columns.offset[self._at - 1]) + 1
        if self._at == len(whole):
            self._load()
        return rows


def take(streams: Sequence[Stream], count: int, due_ns: int | None) -> list[tuple[Stream, Rows]]:
    """Return the next messages of streams that have not ended, by time: ``count`` at most in all.

    None is later than ``due_ns`` where given. Near the end of a row group the order between
    streams is only about that of time.
    """
    times = [stream.times(count) for stream in streams]
    limits = [] if due_ns is None else [due_ns]
    if len(times) > 1:
        together = np.concatenate(times)
        nth = min(count, len(together)) - 1
        limits.append(int(np.partition(together, nth)[nth]))
    left = count
    taken = []
    for stream, reached in zip(streams, times, strict=True):
        within = len(reached)
        if limits:
            within = int(np.searchsorted(reached, min(limits), "right"))
        if number := min(within, left):
            taken.append((stream, stream.take(number)))
            left -= number
    return taken


def next_ns(streams: Sequence[Stream]) -> int:
    """Return the smallest time (ns) at which streams that have not ended go on."""
    return min(int(stream.times(1)[0]) for stream in streams)


def all_streams(recording: Recording) -> Iterator[Stream]:
    """Yield a stream for every topic-partition that has messages."""
    reader = recording.reader()
    for topic, partition in sorted(recording.groups):
        yield Stream(recording, reader, topic, partition)
