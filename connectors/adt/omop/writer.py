"""OMOP's rows of persons into PostgreSQL: from the last record of each key, person by person.

A record only ever replaces an older one of its key, by its counter, and a person's rows are made
anew of all his records in the same transaction. So what is written twice, in another order of the
outputs, or again after a crash gives the same rows; and what was taken back is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from psycopg import sql

from connectors.adt.omop.vocabulary import Vocabulary
from connectors.postgres.client import Connection
from connectors.postgres.layouts import NATIVE
from connectors.postgres.migrate import migrate
from state.adt.omop import TABLES, Concepts, Record, Rows

SCHEMA = "omop"
FOLDER = Path(__file__).parent / "migrations"
_LOCK = 0x4F_4D_4F_50  # "OMOP"
_SCHEMA_LOCK = 0x4F_4D_4F_50_44_44_4C  # "OMOPDDL"
_SHARED = ("care_site",)
"""Tables with rows of no person, which stay."""

_KEEP = (
    "INSERT INTO headrace_records (output, key, counter, person_id, record) "
    "VALUES (%s, %s, %s, %s, %s) ON CONFLICT (output, key) DO UPDATE SET "
    "counter = excluded.counter, person_id = excluded.person_id, record = excluded.record"
)

Make = Callable[[Mapping[str, Iterable[Record]], Concepts], Rows]
"""Makes the rows of one person."""


class Said(NamedTuple):
    """A record of an output, or its retraction, whose ``record`` is None."""

    generation: int
    output: str
    key: str
    counter: int
    person_id: int | None
    """None of a retraction: the record that it takes back tells it."""
    record: bytes | None
    """The record as JSON."""


class OmopWriter:
    """Writes over one connection, whose schema `omop` it first makes or brings up to date.

    psycopg's errors pass through; after one, the connection is of no more use.
    """

    def __init__(self, connection: Connection, make: Make, vocabulary: Vocabulary) -> None:
        with connection.transaction():  # two that make it at once are in each other's way
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [_SCHEMA_LOCK])
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}".encode())
        connection.execute(f"SET search_path TO {SCHEMA}".encode())
        migrate(connection, (), FOLDER, NATIVE)
        self._connection = connection
        self._make = make
        self._vocabulary = vocabulary
        self._concepts: set[int] = set()
        """Those that are in the table for certain."""

    def write(self, said: Iterable[Said]) -> None:
        """Take in records, and make the rows of their persons anew, in one transaction.

        A newer generation begins with empty tables, and nothing is taken of an older one.
        """
        known = set(self._concepts)
        with self._connection.transaction():
            # Shards meet at one person: the outputs of a patient are in several partitions.
            self._connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
            persons = self._taken(self._newest_of(list(said)))
            if persons:
                self._replace(sorted(persons), known)
        self._concepts = known

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _newest_of(self, said: list[Said]) -> list[Said]:
        """Return what is of the newest generation; forget the others where it is new."""
        row = self._connection.execute("SELECT generation FROM headrace_generation").fetchone()
        held = row[0] if row else 0
        newest = max([held, *(each.generation for each in said)])
        if newest > held:
            tables = ", ".join(("headrace_records", "headrace_generation", *_SHARED, *TABLES))
            self._connection.execute(f"TRUNCATE {tables}".encode())
            self._connection.execute("INSERT INTO headrace_generation VALUES (%s)", [newest])
        return [each for each in said if each.generation == newest]

    def _taken(self, said: list[Said]) -> set[int]:
        """Keep records unless newer ones are there; return whose rows may change by it."""
        last = {each[1:3]: each for each in sorted(said, key=lambda each: each.counter)}
        held = self._connection.execute(
            "SELECT output, key, counter, person_id FROM headrace_records "
            "JOIN unnest(%s::text[], %s::text[]) AS wanted (output, key) USING (output, key)",
            [[output for output, _ in last], [key for _, key in last]],
        ).fetchall()
        before = {(output, key): (counter, person) for output, key, counter, person in held}
        kept, persons = [], set()
        for place, each in last.items():
            counter, former = before.get(place, (-1, None))
            if each.counter > counter:
                person = former if each.person_id is None else each.person_id
                record = None if each.record is None else each.record.decode()
                kept.append([*place, each.counter, person, record])
                persons |= {former, person}
        with self._connection.cursor() as cursor:
            cursor.executemany(_KEEP, kept)
        return persons - {None}

    def _replace(self, persons: list[int], known: set[int]) -> None:
        """Put the rows of persons in the place of the former ones."""
        held: dict[int, dict[str, list[Record]]] = {}
        found = self._connection.execute(
            "SELECT person_id, output, record::text FROM headrace_records "
            "WHERE person_id = ANY(%s) AND record IS NOT NULL ORDER BY output, key",
            [persons],
        )
        for person, output, text in found.fetchall():
            held.setdefault(person, {}).setdefault(output, []).append(orjson.loads(text))
        rows: Rows = {table: [] for table in (*_SHARED, *TABLES)}
        for records in held.values():
            for table, made in self._make(records, self._vocabulary).items():
                rows[table] += made
        for table in reversed(TABLES):
            self._connection.execute(
                sql.SQL("DELETE FROM {} WHERE person_id = ANY(%s)").format(sql.Identifier(table)),
                [persons],
            )
        self._add_concepts(rows, known)
        for table in _SHARED:
            self._insert_new(table, rows[table])
        for table in TABLES:
            self._copy(table, rows[table])

    def _add_concepts(self, rows: Rows, known: set[int]) -> None:
        """Put the concepts that rows name into their table."""
        named = {
            value
            for of_table in rows.values()
            for row in of_table
            for name, value in row.items()
            if name.endswith("_concept_id") and value is not None
        }
        new = [self._vocabulary.concepts[each]._asdict() for each in sorted(named - known)]
        self._insert_new("concept", new)
        known |= named

    def _insert_new(self, table: str, rows: list[Record]) -> None:
        """Add the rows that are not there yet."""
        if rows:
            columns, values = _columns(rows)
            statement = sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT DO NOTHING").format(
                sql.Identifier(table), columns, sql.SQL(", ").join(sql.Placeholder() * len(rows[0]))
            )
            with self._connection.cursor() as cursor:
                cursor.executemany(statement, list(dict.fromkeys(map(tuple, values))))

    def _copy(self, table: str, rows: list[Record]) -> None:
        """Add rows of which none is there."""
        if rows:
            columns, values = _columns(rows)
            statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), columns)
            with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
                for row in values:
                    copy.write_row(row)


def _columns(rows: list[Record]) -> tuple[sql.Composed, list[list[Any]]]:
    """Return the names of the columns of rows, which all have the same, and the values."""
    names = list(rows[0])
    columns = sql.SQL(", ").join(map(sql.Identifier, names))
    return columns, [[row[name] for name in names] for row in rows]
