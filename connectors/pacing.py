"""Which partitions wait for the others: the pacing rule of contract 4.

What combines partitions merges them by event time up to the slowest, so a partition
that runs ahead has to be kept in memory. Its source therefore stops reading a partition
whose newest event time is more than ``max_skew_ns`` ahead of the minimum over *all*
partitions of the topic, and reads on once it is at most half of that ahead: without
this gap a partition would stop and go at every block, and stopping throws away what
was fetched ahead.

A partition of which no event time is known yet counts as if it stood at the first event
time that was seen in any partition. So an empty partition stops the others
``max_skew_ns`` later, until a heartbeat moves it on.

Only a partition whose last event times are all that far ahead is stopped: one that has a few
records of a producer whose clock is ahead is not, for the others of it are in time.

The rule decides only when a record is read, never what becomes of it, so no output
depends on it. Nothing here knows Kafka: the replay paces recordings by the same object.
"""

from __future__ import annotations

import threading


class Pacing:
    """The newest event time of each partition, shared by the shards of a process.

    Partitions are numbered from 0 to ``partitions - 1``; times are int64 ns. Any thread
    may update; one thread per partition asks whether it is paused.
    """

    def __init__(self, partitions: int, max_skew_ns: int) -> None:
        self.max_skew_ns = max_skew_ns
        self.changes = 0
        """Grows with every change: while it stays, no answer of `paused` changes."""
        self._newest: list[int | None] = [None] * partitions
        self._least: list[int | None] = [None] * partitions
        self._first: int | None = None
        self._low = 0
        self._paused: set[int] = set()
        self._lock = threading.Lock()

    def update(self, partition: int, newest_ns: int, least_ns: int | None = None) -> None:
        """Note an event time read from a partition; an older one than before changes nothing.

        ``least_ns`` is the smallest of the last ones, where these are known.
        """
        if least_ns != self._least[partition]:
            self._least[partition] = least_ns
            self.changes += 1
        known = self._newest[partition]
        if known is None or newest_ns > known:
            self._set(partition, newest_ns)

    def learn(self, partition: int, newest_ns: int) -> None:
        """Take what another process says of its partition, even where it went back.

        It goes back where that process died and resumed from an earlier snapshot.
        """
        if newest_ns != self._newest[partition]:
            self._set(partition, newest_ns)

    def paused(self, partition: int) -> bool:
        """Return whether this partition has to wait for the others."""
        newest, least = self._newest[partition], self._least[partition]
        if newest is None:
            return False
        ahead = (newest if least is None else least) - self._low
        if partition in self._paused:
            if ahead <= self.max_skew_ns // 2:
                self._paused.discard(partition)
        elif ahead > self.max_skew_ns:
            self._paused.add(partition)
        return partition in self._paused

    def newest(self, partition: int) -> int | None:
        """Return the newest event time (ns) of a partition, None where none was seen."""
        return self._newest[partition]

    def waiting(self) -> bool:
        """Return whether any partition of this process is paused."""
        return bool(self._paused)

    def holding(self) -> list[int]:
        """Return the partitions for which a paused partition of this process waits."""
        waiting = [self._time(partition) for partition in list(self._paused)]
        if not waiting:
            return []
        reach = max(waiting) - self.max_skew_ns // 2
        return [p for p in range(len(self._newest)) if self._time(p) < reach]

    def _set(self, partition: int, newest_ns: int) -> None:
        with self._lock:
            if self._first is None:
                self._first = self._low = newest_ns
            before = self._time(partition)
            self._newest[partition] = newest_ns
            if before <= self._low or newest_ns < self._low:
                self._low = min(map(self._time, range(len(self._newest))))
            self.changes += 1  # last: who sees it must see the rest

    def _time(self, partition: int) -> int:
        newest = self._newest[partition]
        return newest if newest is not None else self._first or 0
