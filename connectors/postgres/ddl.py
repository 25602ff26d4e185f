"""The statements that make the table of an output, in each layout, derived from its declaration.

Tables that were there before outputs were declared are made by numbered migrations; a test holds
that these statements would make the same.
"""

from __future__ import annotations

from psycopg import sql

from connectors.postgres.layouts import NATIVE, TIMESCALE
from connectors.postgres.tables import COUNTER, Table
from state.outputs import Column, Kind

TYPES = {
    Kind.KEY: "text",
    Kind.TEXT: "text",
    Kind.INT: "bigint",
    Kind.FLOAT: "double precision",
    Kind.BOOL: "boolean",
    Kind.JSON: "jsonb",
    Kind.DOCUMENT: "json",
}
_CHUNKS = {"day": "1 day", "month": "30 days"}
"""The length of a chunk of a hypertable, by the unit of native partitions."""

Statements = list[sql.Composed]


def columns(table: Table) -> list[tuple[str, str, bool]]:
    """Return (name, type, whether it takes NULL) of every column, in order."""
    return [
        ("generation", "integer", False),
        ("time", "timestamp with time zone", False),
        *((c.name, TYPES[c.kind], c.nullable) for c in table.columns),
        (COUNTER, "bigint", True),
    ]


def statements(table: Table, layout: str) -> Statements:
    """Return what makes a table with its indexes and views, in order."""
    parts = [_create(table, layout)]
    if layout != NATIVE:
        parts.append(_hypertable(table))
    parts += _indexes(table)
    if layout == TIMESCALE:
        parts.append(_compression(table))
    return [_generation(table), *parts, *views(table)]


def views(table: Table) -> Statements:
    """Return what makes the views of a table, or makes them anew with more columns."""
    made = [
        sql.SQL(
            "CREATE OR REPLACE VIEW {} AS SELECT * FROM {} WHERE generation = "
            "(SELECT current FROM headrace_generations WHERE system = {})"
        ).format(_named(table, "current"), _named(table), sql.Literal(table.output.system))
    ]
    return [*made, _latest(table)] if table.key else made


def _create(table: Table, layout: str) -> sql.Composed:
    lines = [
        sql.SQL("{} {}{}").format(
            sql.Identifier(name), sql.SQL(kind), sql.SQL("" if nullable else " NOT NULL")
        )
        for name, kind, nullable in columns(table)
    ]
    return sql.SQL("CREATE TABLE {} ({}){}").format(
        _named(table),
        sql.SQL(", ").join(lines),
        sql.SQL(" PARTITION BY RANGE (time)" if layout == NATIVE else ""),
    )


def _hypertable(table: Table) -> sql.Composed:
    return sql.SQL(
        "SELECT create_hypertable({}, 'time', chunk_time_interval => interval {}, "
        "create_default_indexes => false)"
    ).format(sql.Literal(table.name), sql.Literal(_CHUNKS[table.unit]))


def _indexes(table: Table) -> Statements:
    """Return the identity of a row, and what answers: these rows, from then to then."""
    made = [
        sql.SQL("CREATE UNIQUE INDEX {} ON {} (generation, time, id)").format(
            _named(table, "identity"), _named(table)
        )
    ]
    if not table.first:
        return made
    # Text of any length cannot be in an index, so further parts of the key may be left out.
    more = [c.name for c in table.key if c.kind is Kind.KEY and c.name != table.first]
    names = ["generation", table.first, "time", *more] if more else [table.first, "time"]
    return [
        *made,
        sql.SQL("CREATE INDEX {} ON {} ({})").format(
            _named(table, table.first),
            _named(table),
            sql.SQL(", ").join(map(sql.Identifier, names)),
        ),
    ]


def _compression(table: Table) -> sql.Composed:
    by = ", ".join(["generation", *([table.first] if table.first else [])])
    return sql.SQL(
        "ALTER TABLE {} SET (timescaledb.compress, timescaledb.compress_segmentby = {}, "
        "timescaledb.compress_orderby = 'time, id')"
    ).format(_named(table), sql.Literal(by))


def _generation(table: Table) -> sql.Composed:
    return sql.SQL("INSERT INTO headrace_generations VALUES ({}, 1) ON CONFLICT DO NOTHING").format(
        sql.Literal(table.output.system)
    )


def _latest(table: Table) -> sql.Composed:
    """Return the view of the last row of each key, without those whose newest word is "retracted".

    The counter decides, for several records of a key may have one event time.
    """
    names = sql.SQL(", ").join(sql.Identifier(column.name) for column in table.key)
    return sql.SQL(
        "CREATE OR REPLACE VIEW {latest} AS SELECT last.* FROM ("
        "SELECT DISTINCT ON ({key}) * FROM {current} "
        "ORDER BY {key}, counter DESC NULLS LAST, time DESC, id DESC) last "
        "WHERE NOT EXISTS (SELECT FROM headrace_retractions gone "
        "WHERE gone.generation = last.generation AND gone.output = {output} "
        "AND gone.key = {text} AND gone.counter > coalesce(last.counter, 0))"
    ).format(
        latest=_named(table, "latest"),
        current=_named(table, "current"),
        key=names,
        output=sql.Literal(table.output.topic),
        text=key_text(table, "last"),
    )


def key_text(table: Table, row: str) -> sql.Composed:
    """Return the expression for the table key of a row, as the outputs' keys are written.

    Doubles of more than 15 digits may be written otherwise: a key holds none such as 1 / 3.
    """
    parts = [_text(column, sql.Identifier(row, column.name)) for column in table.key]
    return sql.SQL(" || '|' || ").join(parts)


def _text(column: Column, value: sql.Identifier) -> sql.Composable:
    if column.kind is not Kind.FLOAT:
        return value if column.kind in (Kind.KEY, Kind.TEXT) else sql.SQL("{}::text").format(value)
    # As Python writes a double: a whole one with its fraction, below 1e16 without an exponent.
    whole = "CASE WHEN {0} = trunc({0}) AND abs({0}) < 1e16 THEN {0}::bigint || '.0'"
    return sql.SQL(whole + " ELSE {0}::text END").format(value)


def _named(table: Table, suffix: str = "") -> sql.Identifier:
    return sql.Identifier(f"{table.name}_{suffix}" if suffix else table.name)
