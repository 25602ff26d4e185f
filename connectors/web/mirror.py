"""What the feed knows of one output: its newest records, and the last of each key."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import orjson

from connectors.web.channels import Channel, Source
from connectors.web.frames import START, Place, Record

RING = 10_000
"""Records kept for clients that resume; older ones are read from Redis."""
NEWEST = 100
"""Records of a snapshot where there is no table."""


class Entry(NamedTuple):
    """One entry of a stream."""

    place: Place
    origin: str
    counter: int
    value: bytes


class Loaded(NamedTuple):
    """An output as it is at one moment: ``last`` is the place of its newest entry.

    ``newest`` are its last entries, oldest first, all there ever were where ``complete``;
    ``latest`` the values of its table; ``counters`` the mark of each origin.
    """

    last: Place
    complete: bool
    newest: list[Entry]
    latest: list[bytes]
    counters: dict[str, int]


class Broken(Exception):
    """The stream does not go on where it was; args: (reason of the reset,)."""


class Mirror:
    """One output in memory. Nothing is sent from here.

    ``lost`` is why it has to be loaded, '' where it need not be.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.generation = 0
        self.lost = "redis-lost"
        self.place = START
        self._complete = False
        self._ring: list[Record] = []
        self._latest: dict[str, dict[str, Record]] = {}
        self._counters: dict[str, int] = {}

    def load(self, generation: int, loaded: Loaded) -> None:
        """Begin anew with what there is."""
        self.generation = generation
        self.place = loaded.last
        self._complete = loaded.complete
        self._ring = self.older(loaded.newest, {})
        self._latest = {}
        for value in loaded.latest:
            self._keep(self._record(loaded.last, value))
        for record in self._ring:
            self._keep(record)
        self._counters = dict(loaded.counters)
        self.lost = ""

    def add(self, entry: Entry) -> Record:
        """Take in the next entry and return its record. Raises Broken where one is missing."""
        expected = self._counters.get(entry.origin, 0) + 1
        if entry.counter != expected:
            raise Broken("trimmed" if entry.counter > expected else "redis-lost")
        self._counters[entry.origin] = entry.counter
        self.place = entry.place
        record = self._record(entry.place, entry.value)
        before = self._keep(record)
        record.before = before.values if before else {}
        self._ring.append(record)
        if len(self._ring) >= 2 * RING:
            del self._ring[:RING]
            self._complete = False
        return record

    def since(self, place: Place) -> Sequence[Record] | None:
        """Return the records after an entry seen before; None where it is not in memory."""
        if place == START and self._complete:
            return self._ring
        at = bisect_left(self._ring, place, key=_place)
        if at == len(self._ring) or self._ring[at].place != place:
            return None
        return self._ring[at + 1 :]

    def snapshot(self, channel: Channel, takes: Callable[[Record], bool]) -> list[Record]:
        """Return the current values of a channel: the last of each key, by key, or the newest.

        ``takes`` says which are of the channel and may be seen.
        """
        if not self.source.key:
            newest = (r for r in reversed(self._ring) if takes(r))
            return list(islice(newest, NEWEST))[::-1]
        first = dict(channel.filters).get(self.source.fields[0])
        parts: Iterable[dict[str, Record]] = (
            self._latest.values()
            if first is None
            else (self._latest.get(value, {}) for value in sorted(first))
        )
        found = [r for part in parts for r in part.values() if takes(r)]
        return sorted(found, key=_key)

    def older(self, entries: Sequence[Entry], known: dict[str, Mapping[str, str]]) -> list[Record]:
        """Return the records of older entries; ``known`` is what each key was filtered by last."""
        found = []
        for entry in entries:
            record = self._record(entry.place, entry.value)
            record.before = known.get(record.key)
            known[record.key] = record.values
            found.append(record)
        return found

    def _record(self, place: Place, value: bytes) -> Record:
        found = orjson.loads(value)
        return Record(place, self.source.table_key(found), self.source.values(found), value)

    def _keep(self, record: Record) -> Record | None:
        """Put a record in the table and return the one before it."""
        if not self.source.key:
            return None
        part = self._latest.setdefault(record.values.get(self.source.fields[0], ""), {})
        before = part.get(record.key)
        part[record.key] = record
        return before


def _key(record: Record) -> str:
    return record.key


def _place(record: Record) -> Place:
    return record.place
