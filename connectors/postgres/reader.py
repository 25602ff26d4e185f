"""Reading history back, as the records that were written, and switching generations."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from psycopg import sql
from psycopg.types.json import set_json_loads

from connectors.postgres.client import Connection
from connectors.postgres.migrate import TIMESCALE, stored_layout
from connectors.postgres.tables import Table
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
    names = [column.name for column in table.columns]
    order = ["topic", "partition", "offset", "sequence"]
    if not table.output.by_coordinates:
        order = [table.clock, "id"]
    query = sql.SQL("SELECT {} FROM {} WHERE generation = %s ORDER BY {}").format(
        sql.SQL(", ").join(map(sql.Identifier, names)),
        sql.Identifier(table.name),
        sql.SQL(", ").join(
            sql.SQL('{} COLLATE "C"').format(sql.Identifier(name))
            if name in ("topic", "id")
            else sql.Identifier(name)
            for name in order
        ),
    )
    with connection.transaction(), connection.cursor("headrace_records") as cursor:
        # A jsonb number may come back without the fraction that made it a double.
        set_json_loads(lambda text: json.loads(text, parse_int=float), cursor)
        cursor.itersize = 5000
        for row in cursor.execute(query, [generation]):
            yield dict(zip(names, row, strict=True))
