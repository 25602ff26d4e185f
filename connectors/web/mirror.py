"""What the feed knows of one output: its newest records, and the last of each key."""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import orjson

from connectors.web.channels import Channel, Source, Value, Values
from connectors.web.frames import START, Place, Record
from state.errors import CannotUnseal
from state.sealing import Seal

LOG = logging.getLogger("headrace.feed")

RING = 10_000
"""Records kept for clients that resume; older ones are read from Redis."""
NEWEST = 100
"""Records of a snapshot where there is no table."""


class FeedEntry(NamedTuple):
    """One entry of an output's stream, as the feed reads it."""

    place: Place
    origin: str
    counter: int
    value: bytes
    retracted: bool = False


class Loaded(NamedTuple):
    """An output as it is at one moment: ``last`` is the place of its newest entry.

    ``newest`` are its last entries, oldest first, all there ever were where ``complete``;
    ``latest`` the values of its table; ``counters`` the mark of each origin.
    """

    last: Place
    complete: bool
    newest: list[FeedEntry]
    latest: list[bytes]
    counters: dict[str, int]


Known = Mapping[str, Values] | None
"""Table key -> what its last record was filtered by."""


class ContinuityLost(Exception):
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
        self.waiting: list[Callable[[], None]] = []
        """What is to be called once it is loaded."""
        self._complete = False
        self._ring: list[Record] = []
        self._table: dict[str, Record] = {}
        self._parts: dict[Value, dict[str, Record]] = {}
        """The table again, cut by the value of the source's first field."""
        self._counters: dict[str, int] = {}

    def load(self, generation: int, loaded: Loaded) -> None:
        """Begin anew with what there is."""
        self.generation = generation
        self.place = loaded.last
        self._complete = loaded.complete
        self._ring = self.older(loaded.newest, {})
        self._table, self._parts = {}, {}
        for value in loaded.latest:
            record = self._record(FeedEntry(loaded.last, "", 0, value), {})
            if record is not None:
                self._keep(record)
        for record in self._ring:
            self._keep(record)
        self._counters = dict(loaded.counters)
        self.lost = ""

    def add(self, entry: FeedEntry) -> Record | None:
        """Take in the next entry and return its record; None where it cannot be read.

        Raises ContinuityLost where one is missing.
        """
        expected = self._counters.get(entry.origin, 0) + 1
        if entry.counter != expected:
            raise ContinuityLost("trimmed" if entry.counter > expected else "redis-lost")
        self._counters[entry.origin] = entry.counter
        self.place = entry.place
        record = self._record(entry, None)
        if record is None:
            return None
        self._keep(record)
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
            [self._table]
            if first is None
            else (self._parts.get(value, {}) for value in sorted(first))
        )
        found = [r for part in parts for r in part.values() if takes(r)]
        return sorted(found, key=_key)

    def older(self, entries: Sequence[FeedEntry], known: dict[str, Values]) -> list[Record]:
        """Return the records of older entries; ``known`` is what each key was filtered by last."""
        found = []
        for entry in entries:
            record = self._record(entry, known)
            if record is not None:
                known[record.key] = {} if record.retracted else record.values
                found.append(record)
        return found

    def _record(self, entry: FeedEntry, known: Known) -> Record | None:
        """Return the record of an entry; ``known`` as in `older`, None where the table knows."""
        found = orjson.loads(entry.value)
        if entry.retracted:
            return self._retraction(entry, found["key"], known)
        key = self.source.table_key(found)
        record = Record(entry.place, key, self.source.values(found), entry.value)
        record.before = self._before(key) if known is None else known.get(key)
        return record

    def _retraction(self, entry: FeedEntry, key: str, known: Known) -> Record:
        before = self._before(key) if known is None else known.get(key)
        record = Record(entry.place, key, before or self.source.key_values(key), entry.value)
        record.before, record.retracted = before, True
        return record

    def _before(self, key: str) -> Values:
        last = self._table.get(key)
        return last.values if last is not None else {}

    def _keep(self, record: Record) -> None:
        """Put a record in the table, or take the key of a retraction away."""
        if not self.source.key:
            return
        key, first = record.key, self.source.fields[0]
        last = self._table.get(key)
        if last is not None:  # it may have had another first field, or nothing follows
            del self._parts[last.values.get(first, "")][key]
        if record.retracted:
            self._table.pop(key, None)
            return
        self._table[key] = record
        value = record.values.get(first, "")
        part = self._parts.get(value)
        if part is None:
            part = self._parts[value] = {}
        part[key] = record


class OpenedMirror(Mirror):
    """A secret output in clear, for clients that may unseal; what does not open is left out."""

    def __init__(self, source: Source, seal: Seal) -> None:
        """Make a mirror of ``source`` (`channels.opened`)."""
        super().__init__(source)
        self._seal = seal
        self._told: set[str] = set()

    def _record(self, entry: FeedEntry, known: Known) -> Record | None:
        try:
            value = self._seal.unseal(self.source.name, entry.value)
        except CannotUnseal as error:
            if str(error) not in self._told:  # once, not for each of thousands
                self._told.add(str(error))
                LOG.error("%s", error)  # noqa: TRY400  # a trace adds nothing
            return None
        return super()._record(entry._replace(value=value), known)


def _key(record: Record) -> str:
    return record.key


def _place(record: Record) -> Place:
    return record.place
