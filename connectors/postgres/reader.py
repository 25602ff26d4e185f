"""Reading history back, as the records that were written, and switching generations."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from psycopg import sql

from connectors.postgres.client import Connection
from connectors.postgres.migrate import TIMESCALE, stored_layout
from connectors.postgres.tables import Kind, Table
from connectors.postgres.timescale import refresh_hours


def current_generation(connection: Connection, system: str) -> int:
    """Return the generation that the ``…_current`` views show."""
    row = connection.execute(
        "SELECT current FROM headrace_generations WHERE system = %s", [system]
    ).fetchone()
    return int(row[0]) if row else 1


def promote(connection: Connection, system: str, generation: int) -> None:
    """Make ``generation`` the one that the ``…_current`` views show, at once.

    The connection must be in autocommit mode and outside a transaction.
    """
    if stored_layout(connection) == TIMESCALE:
        refresh_hours(connection)
    connection.execute(
        "INSERT INTO headrace_generations VALUES (%s, %s) "
        "ON CONFLICT (system) DO UPDATE SET current = excluded.current",
        [system, generation],
    )


def records(connection: Connection, table: Table, generation: int) -> Iterator[dict[str, Any]]:
    """Return the records of one generation in the canonical order of their output.

    `state.outputs.to_json` of each gives the bytes that were written.
    """
    order = ["topic", "partition", "offset", "sequence"]
    if not table.output.by_coordinates:
        order = [table.clock, "id"]
    query = sql.SQL("SELECT {} FROM {} WHERE generation = %s ORDER BY {}").format(
        selected(table),
        sql.Identifier(table.name),
        sql.SQL(", ").join(
            sql.SQL('{} COLLATE "C"').format(sql.Identifier(name))
            if name in ("topic", "id")
            else sql.Identifier(name)
            for name in order
        ),
    )
    with connection.transaction(), connection.cursor("headrace_records") as cursor:
        cursor.itersize = 5000
        for row in cursor.execute(query, [generation]):
            yield to_record(table, row)


def selected(table: Table) -> sql.Composed:
    """Return what is selected of a table, for `to_record`."""
    return sql.SQL(", ").join(
        sql.SQL("{}::text" if column.kind is Kind.JSON else "{}").format(
            sql.Identifier(column.name)
        )
        for column in table.columns
    )


def to_record(table: Table, row: Sequence[Any]) -> dict[str, Any]:
    """Return the record of a row of what is `selected`."""
    return {
        column.name: _of_json(value) if column.kind is Kind.JSON and value is not None else value
        for column, value in zip(table.columns, row, strict=True)
    }


def _of_json(text: str) -> Any:
    """Return what a column of jsonb holds: a double may come back without its fraction."""
    return json.loads(text, parse_int=float)
