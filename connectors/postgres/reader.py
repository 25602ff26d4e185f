"""Reading history back, as the records that were written, and switching generations."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import orjson
from psycopg import sql

from connectors.postgres.client import Connection
from connectors.postgres.ddl import TYPES
from connectors.postgres.layouts import TIMESCALE
from connectors.postgres.migrate import stored_layout
from connectors.postgres.tables import Table
from connectors.postgres.timescale import refresh_hours
from state.outputs import Column, Kind
from state.retraction import RETRACTED


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
        sql.SQL("{}::text" if column.kind in _LOADS else "{}").format(sql.Identifier(column.name))
        for column in table.columns
    )


def retraction_selected(table: Table) -> sql.Composed:
    """Return what is selected of retractions, in the place of a table's columns."""
    own = {"id": "id", "key": "key", "key_id": "key_id", "sealed": "sealed", table.clock: "ts_ns"}
    return sql.SQL(", ").join(
        sql.Identifier(own[column.name])
        if column.name in own and (table.output.secret or column.name in ("id", table.clock))
        else sql.SQL("NULL::{}").format(sql.SQL(_selected_type(column)))
        for column in table.columns
    )


def to_retraction(table: Table, row: Sequence[Any], key: str) -> dict[str, Any]:
    """Return the record of a row of what is `retraction_selected`, which takes ``key`` away."""
    found = dict(zip((column.name for column in table.columns), row, strict=True))
    names = ["id", table.clock, *(("key_id", "sealed") if table.output.secret else ())]
    return {name: found[name] for name in names} | {"key": key, RETRACTED: True}


def to_record(table: Table, row: Sequence[Any]) -> dict[str, Any]:
    """Return the record of a row of what is `selected`."""
    return {
        column.name: _LOADS[column.kind](value)
        if column.kind in _LOADS and value is not None
        else value
        for column, value in zip(table.columns, row, strict=True)
        if value is not None or not column.optional
    }


def _selected_type(column: Column) -> str:
    return "text" if column.kind in _LOADS else TYPES[column.kind]


def _doubles(text: str) -> Any:
    """Return what jsonb holds, which may give a double back without its fraction."""
    return json.loads(text, parse_int=float)


_LOADS: dict[Kind, Callable[[str], Any]] = {Kind.JSON: _doubles, Kind.DOCUMENT: orjson.loads}
