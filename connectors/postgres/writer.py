"""Rows into their tables over one connection, each once."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta

import psycopg
from psycopg import sql

from connectors.postgres.client import Connection, hang_up
from connectors.postgres.decode import Retraction, Row
from connectors.postgres.keeping import Keeping, drop_old
from connectors.postgres.layouts import NATIVE, TIMESCALE
from connectors.postgres.migrate import migrate, stored_layout
from connectors.postgres.partitions import create_partitions
from connectors.postgres.tables import COUNTER, Table, tables_of
from connectors.postgres.timescale import lift_limits, set_policies
from state.clock import DAY_NS
from state.outputs import Kind, Output

Batch = Mapping[Table, list[Row]]

_STAGED = {
    Kind.KEY: "text",
    Kind.TEXT: "text",
    Kind.INT: "int8",
    Kind.FLOAT: "float8",
    Kind.BOOL: "bool",
    Kind.JSON: "text",
    Kind.DOCUMENT: "text",
}
"""The type in which a column is copied; JSON is text until it is inserted."""
_TIME = "timestamptz 'epoch' + ({} / 1000) * interval '1 microsecond'"
"""The microsecond of a time in ns, by an exact rule.

Whole microseconds below 2^53 are exact doubles, in which an interval is multiplied.
"""
_RETRACT = sql.SQL(
    "INSERT INTO headrace_retractions "
    "(generation, output, id, key, ts_ns, counter, key_id, sealed, time) "
    "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, " + _TIME + ") ON CONFLICT DO NOTHING"
).format(sql.SQL("%s::bigint"))
_CAST = {Kind.JSON: "::jsonb", Kind.DOCUMENT: "::json"}


class Writer:
    """Writes over one connection, whose database it first brings up to this schema.

    psycopg's errors pass through; after one, the connection is of no more use.
    """

    def __init__(self, connection: Connection, outputs: Iterable[Output], keeping: Keeping) -> None:
        outputs = tuple(outputs)
        migrate(connection, outputs)
        self._connection = connection
        self._keeping = keeping
        self._layout = stored_layout(connection)
        self._statements: dict[Table, _Statements] = {}
        self._days: set[tuple[str, int]] = set()
        """Of each table, those that have a native partition."""
        self._kept_day: dict[Table, int] = {}
        if self._layout == TIMESCALE:
            lift_limits(connection)
            spans = _span(keeping.retention), _span(keeping.compress_after)
            set_policies(connection, tables_of(outputs).values(), *spans)

    def write(self, batch: Batch, retractions: Sequence[Retraction] = ()) -> None:
        """Write rows of any tables and what retracts some, in one transaction.

        What is already there stays as it is.
        """
        for table in batch:
            if table not in self._statements:
                self._statements[table] = _Statements.stage(self._connection, table)
        self._make_partitions(batch)
        try:
            self._insert(batch, retractions)
        except psycopg.errors.CheckViolation:
            # Another process has dropped a partition since, or so it seems.
            self._days.clear()
            self._make_partitions(batch)
            self._insert(batch, retractions)
        self._drop_old(batch)

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Break the connection after ``seconds``: a server that hangs keeps no limit itself."""
        timer = threading.Timer(seconds, hang_up, [self._connection])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _insert(self, batch: Batch, retractions: Sequence[Retraction]) -> None:
        with self._connection.transaction(), self._connection.cursor() as cursor:
            for table, rows in batch.items():
                statements = self._statements[table]
                with cursor.copy(statements.copy) as copy:
                    copy.set_types(statements.types)
                    for row in rows:
                        copy.write_row(row)
                cursor.execute(statements.insert)
            if retractions:
                cursor.executemany(_RETRACT, [(*each, each.ts_ns) for each in retractions])

    def _make_partitions(self, batch: Batch) -> None:
        if self._layout != NATIVE:
            return
        for table, rows in batch.items():
            clock = self._statements[table].clock
            days = {row[clock] // DAY_NS for row in rows}
            new = {day for day in days if (table.name, day) not in self._days}
            if new:
                create_partitions(self._connection, table, new)
                self._days.update((table.name, day) for day in new)

    def _drop_old(self, batch: Batch) -> None:
        """Look for what is past its retention in the tables in which a new day has begun."""
        begun: dict[Table, int] = {}
        for table, rows in batch.items():
            clock = self._statements[table].clock
            newest_ns = max(row[clock] for row in rows)
            if newest_ns // DAY_NS > self._kept_day.get(table, 0):
                self._kept_day[table] = newest_ns // DAY_NS
                begun[table] = newest_ns
        if drop_old(self._connection, self._layout, self._keeping, begun):
            self._days.clear()


def _span(duration_ns: int) -> timedelta:
    return timedelta(microseconds=duration_ns // 1000)


class _Statements:
    """What is said to the server for one table."""

    def __init__(self, table: Table) -> None:
        names = ["generation", *(column.name for column in table.columns), COUNTER]
        stage = sql.Identifier(f"headrace_stage_{table.name}")
        self.types = ["int4", *(_STAGED[column.kind] for column in table.columns), "int8"]
        self.clock = names.index(table.clock)
        self.create = sql.SQL("CREATE TEMP TABLE {} ({}) ON COMMIT DELETE ROWS").format(
            stage,
            sql.SQL(", ").join(
                sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind))
                for name, kind in zip(names, self.types, strict=True)
            ),
        )
        columns = [sql.Identifier(name) for name in names]
        self.copy = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
            stage, sql.SQL(", ").join(columns)
        )
        casts = ["", *(_CAST.get(column.kind, "") for column in table.columns), ""]
        values = [
            sql.SQL("{}{}").format(column, sql.SQL(cast))
            for column, cast in zip(columns, casts, strict=True)
        ]
        time = sql.SQL(_TIME).format(sql.Identifier(table.clock))
        self.insert = sql.SQL(
            "INSERT INTO {} (time, {}) SELECT {}, {} FROM {} ON CONFLICT DO NOTHING"
        ).format(
            sql.Identifier(table.name),
            sql.SQL(", ").join(columns),
            time,
            sql.SQL(", ").join(values),
            stage,
        )

    @classmethod
    def stage(cls, connection: Connection, table: Table) -> _Statements:
        """Return the statements for a table, for which a staging table now exists."""
        statements = cls(table)
        connection.execute(statements.create)
        return statements
