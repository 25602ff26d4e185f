"""A copy of what Redis holds of a system, all of one moment, in files: for who reads it all.

The hashes of latest values are scanned, which other clients go on writing. What the streams tell of
the meantime is then laid over that, up to one place in each of them, which one transaction tells.
So the copy is what the hashes held at that place, and Redis never waits. Values stay as they are
in Redis: what is sealed there is sealed in the copy.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import orjson
import redis

from connectors.redis.keys import Keys, generation_key
from connectors.redis.reader import FIRST_GENERATION, PAGE
from state.clock import MS
from state.errors import Misuse

CACHE_KIB = 8 * 1024
"""Of SQLite, for each output."""
Place = tuple[int, int]
"""The id of a stream's entry: Redis' clock in ms, and a number."""
START: Place = (0, 0)
MOST = (1 << 64) - 1
"""The largest number of an id."""


class Copied(NamedTuple):
    """``at_ns``: Redis' clock, ns since 1970 UTC: all that came before is there, nothing later.

    ``reach_ns``: since when the streams tell every change of these outputs; 0 for all there were.
    """

    at_ns: int
    reach_ns: int


class NoRoom(Exception):
    """The copy is larger than it may be."""


class Copy:
    """The copy: table key -> value of each output, and when keys changed last."""

    def __init__(self, directory: Path, outputs: Sequence[str], most_bytes: int) -> None:
        """Make the files in an empty directory, for secret outputs that have a table key."""
        self._most_bytes = most_bytes
        self._held = {name: _Held(directory / name) for name in outputs}

    def fill(
        self,
        client: redis.Redis,
        system: str,
        since_ms: int | None,
        advance: Callable[[int], None],
    ) -> Copied:
        """Copy the current generation, and what changed since a time (None: nothing of that).

        Blocks; redis' errors pass through. Raises NoRoom, and Misuse where more changed meanwhile
        than the streams hold, or readers were switched to another generation.
        """
        before = _now(client, system, self._held)
        keys = Keys(system, before.generation)
        for name in self._held:
            self._scan(client, keys, name, advance)
        after = _now(client, system, self._held)
        if after.generation != before.generation:
            raise Misuse("readers were just switched to another generation: ask again")
        reach_ms = 0
        for name, was, ends in zip(self._held, before.ends, after.ends, strict=True):
            self._catch_up(client, keys.stream(name), name, was, ends)
            if since_ms is not None:
                self._note(client, keys.stream(name), name, since_ms, ends)
                reach_ms = max(reach_ms, _reach_ms(client, keys.stream(name)))
        return Copied(after.clock_ms * MS, reach_ms * MS)

    def values(self, output: str) -> Iterator[bytes]:
        """Yield the value of each key of an output, in no order that means anything."""
        query = "SELECT value FROM latest ORDER BY rowid"
        return (value for (value,) in self._held[output].db.execute(query))

    def value(self, output: str, key: str) -> bytes | None:
        """Return the value of a key."""
        found: bytes | None = self._held[output].one("SELECT value FROM latest WHERE key = ?", key)
        return found

    def has(self, output: str, key: str) -> bool:
        """Return whether there is such a key."""
        return self._held[output].one("SELECT 1 FROM latest WHERE key = ?", key) is not None

    def changed_ms(self, output: str, key: str) -> int | None:
        """Return when a key changed last, by Redis' clock; None where that is longer ago."""
        query = "SELECT at_ms FROM changed WHERE key = ?"
        found: int | None = self._held[output].one(query, key)
        return found

    def gone(self, output: str) -> Iterator[tuple[int, bytes]]:
        """Yield when a key was taken back that is not there again, and its retraction."""
        query = "SELECT at_ms, gone FROM changed WHERE gone IS NOT NULL ORDER BY rowid"
        yield from self._held[output].db.execute(query)

    def close(self) -> None:
        """Close the files."""
        for held in self._held.values():
            held.db.close()

    def _scan(
        self, client: redis.Redis, keys: Keys, name: str, advance: Callable[[int], None]
    ) -> None:
        cursor = 0
        while True:
            found = cast("Any", client.hscan(keys.latest(name), cursor, count=PAGE))
            cursor, page = found
            self._held[name].put((key.decode(), value) for key, value in page.items())
            if sum(held.size for held in self._held.values()) > self._most_bytes:
                raise NoRoom
            advance(len(page))
            if not cursor:
                return

    def _catch_up(
        self, client: redis.Redis, stream: str, name: str, was: Place, ends: Place
    ) -> None:
        """Lay what came since the scan began over what it found."""
        for page in _pages(client, stream, was, ends):
            for _, key, value, gone in page:
                if gone:
                    self._held[name].drop(key)
                else:
                    self._held[name].put([(key, value)])
        if was != START and _first(client, stream) > was:
            raise Misuse(
                "more changed during the copy than the streams hold: raise redis.stream_length"
            )

    def _note(
        self, client: redis.Redis, stream: str, name: str, since_ms: int, ends: Place
    ) -> None:
        """Note what changed since a time."""
        start = (since_ms - 1, MOST) if since_ms > 0 else START
        for page in _pages(client, stream, start, ends):
            self._held[name].note(
                (key, at[0], value if gone else None) for at, key, value, gone in page
            )


class _Held:
    """What is copied of one output: a file of SQLite."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path, isolation_level=None)
        # Nobody needs the file after a crash, so nothing is written twice or waited for.
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE"):
            self.db.execute(f"PRAGMA {pragma}")
        self.db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        self.db.execute("CREATE TABLE latest (key TEXT UNIQUE, value BLOB)")
        self.db.execute("CREATE TABLE changed (key TEXT UNIQUE, at_ms INTEGER, gone BLOB)")

    @property
    def size(self) -> int:
        """The bytes of the file."""
        (pages,) = self.db.execute("PRAGMA page_count").fetchone()
        (each,) = self.db.execute("PRAGMA page_size").fetchone()
        return int(pages * each)

    def one(self, query: str, key: str) -> Any:
        """Return what a query finds for a key; None where there is no such."""
        row = self.db.execute(query, (key,)).fetchone()
        return None if row is None else row[0]

    def put(self, pairs: Iterable[tuple[str, bytes]]) -> None:
        """Keep values."""
        self._many("INSERT OR REPLACE INTO latest VALUES (?, ?)", pairs)

    def drop(self, key: str) -> None:
        """Forget a key."""
        self.db.execute("DELETE FROM latest WHERE key = ?", (key,))

    def note(self, changes: Iterable[tuple[str, int, bytes | None]]) -> None:
        """Note when keys changed, the last time for each."""
        self._many("INSERT OR REPLACE INTO changed VALUES (?, ?, ?)", changes)

    def _many(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        self.db.execute("BEGIN")
        self.db.executemany(statement, rows)
        self.db.execute("COMMIT")


class _Now(NamedTuple):
    generation: int
    clock_ms: int
    ends: list[Place]


def _now(client: redis.Redis, system: str, outputs: Iterable[str]) -> _Now:
    """Return the generation of a system and where its streams end, of one moment."""
    while True:
        generation = int(
            cast("bytes | None", client.get(generation_key(system))) or FIRST_GENERATION
        )
        keys = Keys(system, generation)
        pipe = client.pipeline(transaction=True)
        pipe.get(generation_key(system))
        pipe.time()
        for name in outputs:
            pipe.xrevrange(keys.stream(name), count=1)
        now, (seconds, micros), *found = pipe.execute()
        if int(now or FIRST_GENERATION) == generation:
            ends = [_place(entries[0][0]) if entries else START for entries in found]
            return _Now(generation, seconds * 1000 + micros // 1000, ends)


def _pages(
    client: redis.Redis, stream: str, after: Place, ends: Place
) -> Iterator[list[tuple[Place, str, bytes, bool]]]:
    """Yield (id, table key, value, whether it takes the key away) of a stream by pages."""
    while after < ends:
        page = cast("list[Any]", client.xrange(stream, f"({_text(after)}", _text(ends), PAGE))
        if not page:
            return
        yield [
            (_place(at), orjson.loads(fields[b"v"])["key"], fields[b"v"], b"retracted" in fields)
            for at, fields in page
        ]
        after = _place(page[-1][0])


def _reach_ms(client: redis.Redis, stream: str) -> int:
    """Return since when a stream has every entry that came; 0 where none was ever cut off."""
    if not client.exists(stream):
        return 0
    facts = client.xinfo_stream(stream)
    if facts.get("entries-added") == facts["length"]:
        return 0
    return _first(client, stream)[0] + 1


def _first(client: redis.Redis, stream: str) -> Place:
    page = cast("list[Any]", client.xrange(stream, "-", "+", 1))
    return _place(page[0][0]) if page else START


def _place(at: bytes) -> Place:
    moment, _, number = at.decode().partition("-")
    return int(moment), int(number)


def _text(place: Place) -> str:
    return f"{place[0]}-{place[1]}"
