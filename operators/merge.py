"""Items of many partitions merged by event time: what combines partitions goes through here.

A time T is complete once every partition of every topic has passed it, so what follows does
not depend on how partitions interleave. Nothing is dropped: what waits is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Item = tuple[Any, ...]
"""Plain values that order the items of one time; no two items of one time are equal up to
a value that cannot be compared."""


class Merge:
    """Holds items until their time is complete."""

    def __init__(self, topics: Sequence[str]) -> None:
        """Wait for all partitions of ``topics``; one of which nothing is known holds all."""
        self._topics = tuple(topics)
        self._partitions: dict[str, int] = {}
        self._passed: dict[tuple[str, int], int] = {}
        self._pending: dict[int, list[Item]] = {}

    @property
    def waiting(self) -> int:
        """Return how many times wait for the slowest partition."""
        return len(self._pending)

    @property
    def reached_ns(self) -> int:
        """Return the time (ns) that all partitions have passed, 0 while one has told none."""
        if any(topic not in self._partitions for topic in self._topics):
            return 0
        if len(self._passed) < sum(self._partitions.values()):
            return 0
        return min(self._passed.values(), default=0)

    def add(self, time_ns: int, item: Item) -> None:
        """Take an item; its partition has not passed its time yet."""
        self._pending.setdefault(time_ns, []).append(item)

    def passed(self, topic: str, partition: int) -> int:
        """Return the last time (ns) that a partition has passed, 0 where it has told none."""
        return self._passed.get((topic, partition), 0)

    def advance(self, topic: str, partitions: int, passed: Mapping[int, int]) -> None:
        """Note that partitions of a topic, which has so many, have passed these times (ns)."""
        self._partitions[topic] = partitions
        for partition, time_ns in passed.items():
            self._passed[topic, partition] = time_ns

    def pending(self) -> Iterator[Item]:
        """Yield the items whose time is not complete."""
        for items in self._pending.values():
            yield from items

    def complete(self) -> Iterator[tuple[int, list[Item]]]:
        """Yield the times that are complete, in order, each with its items in order."""
        until = self.reached_ns
        for time_ns in sorted(t for t in self._pending if t <= until):
            yield time_ns, sorted(self._pending.pop(time_ns))

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state."""
        return {
            "partitions": dict(self._partitions),
            "passed": dict(self._passed),
            "pending": {time_ns: list(items) for time_ns, items in self._pending.items()},
        }

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        self._partitions = dict(parts["partitions"])
        self._passed = dict(parts["passed"])
        self._pending = {time_ns: list(items) for time_ns, items in parts["pending"].items()}
