"""What a flow keeps in snapshots, Redis and PostgreSQL, sealed anew with the active key.

Each of them holds its records sealed by a key itself, and not by a data key: so that a replay gives
the live flow's bytes. A record keeps its nonce, and with it is what the new key would have sealed
in the first place. A part of the work is done at once or not at all, and what names the active key
is left alone: after a kill the same command goes on.
"""

from __future__ import annotations

import pickle
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import orjson
import redis
from psycopg import sql

from connectors.postgres.client import Connection
from connectors.postgres.reader import retraction_selected, selected, to_record, to_retraction
from connectors.postgres.tables import Table
from connectors.redis.keys import Keys
from flows.engine.recovery import state_of
from flows.engine.step import SNAPSHOT
from state.outputs import Output
from state.sealed_values import key_of
from state.sealing import Seal, closing_key
from state.snapshots import checked, unchecked

ROWS = 500
"""Sealed anew at once."""
_BUSY_S = 30.0
_AFTER = (
    "SELECT rowid, step_id, state_key, ser_change FROM snaps WHERE rowid > ? ORDER BY rowid LIMIT ?"
)
_SWAP = """
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
end
"""
"""A flow may write or take the key away at the same time: then that counts."""


@dataclass
class Count:
    """How much of something is sealed, and how much of that by a former key."""

    what: str
    former: int = 0
    sealed: int = 0

    def add(self, active: str, *named: str) -> None:
        """Count one thing by the ids of the keys that it names; '' is that of what is in clear."""
        self.sealed += any(named)
        self.former += names_former(active, named)


def names_former(active: str, named: Iterable[str]) -> bool:
    """Return whether an id of a key that something names is another than the active one's."""
    return any(each not in ("", active) for each in named)


def snapshots(recovery: Path, count: Count, seal: Seal, *, reseals: bool) -> None:
    """Count the snapshots of a store, and seal them anew: only while no flow writes it.

    Raises CannotUnseal where a key is missing, and DamagedState.
    """
    for part in sorted(recovery.glob("*.sqlite3")):
        with closing(sqlite3.connect(part, timeout=_BUSY_S)) as store:
            if reseals:
                _reseal_part(part, store, seal)
            for row in store.execute("SELECT step_id, state_key, ser_change FROM snaps"):
                count.add(seal.key_id, closing_key(_sealed_state(part, *row)))


def _reseal_part(part: Path, store: sqlite3.Connection, seal: Seal) -> None:
    last = 0
    while rows := store.execute(_AFTER, (last, ROWS)).fetchall():
        last = rows[-1][0]
        changed = []
        for rowid, *row in rows:
            state = _sealed_state(part, *row)
            if closing_key(state) not in ("", seal.key_id):
                anew = checked(seal.reclose(state, SNAPSHOT))
                changed.append((pickle.dumps(anew), rowid))
        with store:
            store.executemany("UPDATE snaps SET ser_change = ? WHERE rowid = ?", changed)


def _sealed_state(part: Path, step: str, key: str, pickled: bytes | None) -> bytes:
    """Return what a step has sealed; b"" for what is no step's, and a key that is gone."""
    state = b"" if pickled is None else state_of(part, step, key, pickled)
    return unchecked(state) if isinstance(state, bytes) else b""


def latest(
    client: redis.Redis, keys: Keys, output: Output, count: Count, seal: Seal, *, reseals: bool
) -> None:
    """Count the latest values of an output in Redis, and seal them anew while flows may write."""
    name = keys.latest(output.name)
    if reseals:
        swap = client.register_script(_SWAP)
        for field, value in client.hscan_iter(name, count=ROWS):
            if key_of(value) not in ("", seal.key_id):
                anew = seal.reseal(output.topic, orjson.loads(value))
                swap(keys=[name], args=[field, value, anew])
    for _, value in client.hscan_iter(name, count=ROWS):
        count.add(seal.key_id, key_of(value))


def table(
    connection: Connection, output: Output, count: Count, seal: Seal, *, reseals: bool
) -> None:
    """Count the rows of an output and of its retractions, and seal them anew."""
    made = Table(output)
    for rows in (_Rows.of_table(made), _Rows.of_retractions(made)):
        if reseals:
            rows.reseal(connection, seal)
        for key_id, number in connection.execute(rows.by_key):
            count.sealed += number
            count.former += number if key_id != seal.key_id else 0


@dataclass(frozen=True)
class _Rows:
    """Rows of a table, by the key that they name."""

    table: Table
    retracts: bool
    by_key: sql.Composed
    of_former: sql.Composed
    update: sql.Composed

    @classmethod
    def of_table(cls, table: Table) -> _Rows:
        return cls._of(table, table.name, selected(table), retracts=False)

    @classmethod
    def of_retractions(cls, table: Table) -> _Rows:
        columns = retraction_selected(table)
        return cls._of(table, "headrace_retractions", columns, retracts=True)

    @classmethod
    def _of(cls, table: Table, name: str, columns: sql.Composed, *, retracts: bool) -> _Rows:
        place = sql.Identifier(name)
        of = sql.SQL("output = {}").format(table.output.topic) if retracts else sql.SQL("true")
        return cls(
            table,
            retracts,
            sql.SQL("SELECT key_id, count(*) FROM {} WHERE {} GROUP BY 1").format(place, of),
            sql.SQL(
                "SELECT generation, time, key, {} FROM {} WHERE {} AND key_id <> %s LIMIT {}"
            ).format(columns, place, of, ROWS),
            sql.SQL(
                "UPDATE {} SET key_id = %s, sealed = %s "
                "WHERE generation = %s AND time = %s AND id = %s AND {}"
            ).format(place, of),
        )

    def reseal(self, connection: Connection, seal: Seal) -> None:
        while found := connection.execute(self.of_former, [seal.key_id]).fetchall():
            changes = [self._change(row, seal) for row in found]
            with connection.transaction(), connection.cursor() as cursor:
                cursor.executemany(self.update, changes)

    def _change(self, row: tuple[Any, ...], seal: Seal) -> tuple[Any, ...]:
        generation, time, key, *content = row
        if self.retracts:
            fields = to_retraction(self.table, content, key)
        else:
            fields = to_record(self.table, content)
        anew = orjson.loads(seal.reseal(self.table.output.topic, fields))
        return anew["key_id"], anew["sealed"], generation, time, fields["id"]


def generations(client: redis.Redis, system: str) -> Iterator[Keys]:
    """Yield the keys of each generation of a system that Redis holds anything of."""
    begins = f"headrace:{{{system}}}:"
    found = client.scan_iter(match=f"headrace:{{{system}}}:*", count=ROWS)
    numbers = {
        name.removeprefix(begins).partition(":")[0]
        for name in (cast(bytes, each).decode() for each in found)
    }
    for number in sorted(int(each) for each in numbers if each.isdigit()):
        yield Keys(system, number)


def stream(client: redis.Redis, keys: Keys, output: Output, count: Count, active: str) -> None:
    """Count the entries of an output's stream, which nobody can change: they are trimmed."""
    after = "-"
    while page := cast("list[Any]", client.xrange(keys.stream(output.name), after, "+", ROWS)):
        for entry, fields in page:
            count.add(active, key_of(fields[b"v"]))
            after = f"({entry.decode()}"
