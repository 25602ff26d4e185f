"""The last order ids of an account, kept so that a snapshot of them costs next to nothing."""

from __future__ import annotations

from collections import deque

import orjson

CHUNKS = 100


class OrderIds:
    """At least the last ``capacity`` ids, and at most a hundredth more.

    A snapshot is taken while orders wait, and it holds all ids. So they are kept in chunks too,
    each written as JSON once, when it is full; it is dropped as a whole.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._chunk = max(1, capacity // CHUNKS)
        self._known: set[str] = set()
        self._full: deque[bytes] = deque()
        self._last: list[str] = []

    def __contains__(self, order_id: str) -> bool:
        return order_id in self._known

    def add(self, order_id: str) -> None:
        """Add an id that is not among them."""
        self._known.add(order_id)
        self._last.append(order_id)
        if len(self._last) == self._chunk:
            self._full.append(orjson.dumps(self._last))
            self._last = []
        if len(self._known) >= self._capacity + self._chunk:
            self._known.difference_update(orjson.loads(self._full.popleft()))

    def snapshot(self) -> tuple[list[bytes], list[str]]:
        """Return the full chunks, oldest first, and the ids since then."""
        return list(self._full), list(self._last)

    def restore(self, parts: tuple[list[bytes], list[str]]) -> None:
        """Take over a snapshot's ids."""
        full, last = parts
        self._full, self._last = deque(full), list(last)
        self._known = {i for chunk in full for i in orjson.loads(chunk)}.union(last)
