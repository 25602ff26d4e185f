"""The schema of history: numbered SQL files, then a table for each output that has none yet.

``migrations/<number>_<name>[.<layout>]*.sql`` are applied once, in order, and never changed; a
file with layouts in its name is for these alone. The layout is chosen when the database is first
migrated, and stored. A new output needs no file: its table is made from its declaration. What
changes a table later is a numbered file again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, cast

import psycopg

from connectors.postgres import ddl
from connectors.postgres.client import Connection
from connectors.postgres.layouts import APACHE, NATIVE, TIMESCALE
from connectors.postgres.tables import Table, tables_of
from state.errors import Misuse
from state.outputs import Output

FOLDER = Path(__file__).parent / "migrations"
_LOCK = 0x48_45_41_44_52_41_43_45  # "HEADRACE"


class Migration(NamedTuple):
    """One file."""

    number: int
    name: str
    layouts: tuple[str, ...]
    sql: bytes
    sha256: str

    def __str__(self) -> str:
        return f"{self.number:04}_{self.name}"


def migrations(folder: Path, layout: str) -> list[Migration]:
    """Return the migrations of a layout, by number."""
    found = [_read(path) for path in sorted(folder.glob("*.sql"))]
    return [m for m in found if not m.layouts or layout in m.layouts]


def migrate(
    connection: Connection, outputs: Iterable[Output], folder: Path = FOLDER, layout: str = ""
) -> list[str]:
    """Bring the database up to this program's schema; return the names of what was made now.

    It is the schema that the connection's search path names. Without ``layout`` the best that the
    server allows is chosen.

    Programs that start together wait for each other. Raises Misuse where the database
    was migrated by another version of these files, or the table of an output has other columns
    than its declaration.
    """
    with _alone(connection):
        _create_own_tables(connection)
        layout = _stored_layout(connection) or _choose_layout(connection, layout)
        applied = _applied(connection)
        wanted = migrations(folder, layout)
        _check(applied, wanted)
        new = [m for m in wanted if m.number not in applied]
        for migration in new:
            _apply(connection, migration)
        made = [
            _make(connection, table, layout)
            for table in tables_of(outputs).values()
            if not _exists(connection, table.name)
        ]
        for table in tables_of(outputs).values():
            _compare(connection, table)
    return [*map(str, new), *made]


def pending(connection: Connection, outputs: Iterable[Output], folder: Path = FOLDER) -> list[str]:
    """Return the names of what `migrate` would make.

    Raises Misuse as `migrate` does; changes nothing.
    """
    if not _exists(connection, "headrace_layout"):
        layout, applied = NATIVE, {}
    else:
        layout, applied = _stored_layout(connection) or NATIVE, _applied(connection)
    wanted = migrations(folder, layout)
    _check(applied, wanted)
    new = [m for m in wanted if m.number not in applied]
    numbered = {name.decode() for m in new for name in re.findall(rb"CREATE TABLE (\w+)", m.sql)}
    tables = [table.name for table in tables_of(outputs).values()]
    missing = [name for name in tables if not _exists(connection, name) and name not in numbered]
    return [*map(str, new), *map(_named, missing)]


def layout(connection: Connection) -> str:
    """Return in words how history is stored: ``TimescaleDB 2.17.2`` or ``native partitions``."""
    chosen = _stored_layout(connection) if _exists(connection, "headrace_layout") else None
    if chosen is None:
        return "not migrated"
    if chosen == NATIVE:
        return "native partitions"
    row = connection.execute("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'")
    version = (row.fetchone() or ("missing",))[0]
    if chosen == APACHE:
        return f"TimescaleDB {version} (Apache licence: no compression, no continuous aggregates)"
    return f"TimescaleDB {version}"


def stored_layout(connection: Connection) -> str:
    """Return NATIVE, APACHE or TIMESCALE for a migrated database."""
    found = _stored_layout(connection)
    assert found is not None, "migrate comes first"
    return found


def _read(path: Path) -> Migration:
    content = path.read_bytes()
    stem, *layouts = path.name.removesuffix(".sql").split(".")
    number, _, name = stem.partition("_")
    sha256 = hashlib.sha256(content).hexdigest()
    return Migration(int(number), name, tuple(layouts), content, sha256)


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    connection.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def _create_own_tables(connection: Connection) -> None:
    if _exists(connection, "headrace_layout"):
        return
    with connection.transaction():
        connection.execute(
            "CREATE TABLE headrace_migrations ("
            " number integer PRIMARY KEY, name text NOT NULL, sha256 text NOT NULL,"
            " applied_at timestamptz NOT NULL DEFAULT now())"
        )
        connection.execute("CREATE TABLE headrace_layout (layout text NOT NULL)")


def _exists(connection: Connection, table: str) -> bool:
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [table]).fetchone()
    return bool(row and row[0])


def _stored_layout(connection: Connection) -> str | None:
    row = connection.execute("SELECT layout FROM headrace_layout").fetchone()
    return row[0] if row else None


def _choose_layout(connection: Connection, wanted: str) -> str:
    chosen = wanted or _possible_layout(connection)
    connection.execute("INSERT INTO headrace_layout VALUES (%s)", [chosen])
    return chosen


def _possible_layout(connection: Connection) -> str:
    """Return the best layout that this server allows."""
    # Creating the extension where its library is not preloaded would end the session.
    usable = connection.execute(
        "SELECT FROM pg_available_extensions WHERE name = 'timescaledb' "
        "AND EXISTS (SELECT FROM pg_settings WHERE name LIKE 'timescaledb.%')"
    )
    if not usable.rowcount:
        return NATIVE
    try:
        connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
    except psycopg.errors.InsufficientPrivilege:
        return NATIVE
    licence = connection.execute("SELECT current_setting('timescaledb.license', true)").fetchone()
    return TIMESCALE if licence == ("timescale",) else APACHE


def _apply(connection: Connection, migration: Migration) -> None:
    with connection.transaction():
        connection.execute(migration.sql)
        connection.execute(
            "INSERT INTO headrace_migrations (number, name, sha256) VALUES (%s, %s, %s)",
            [migration.number, migration.name, migration.sha256],
        )


def _make(connection: Connection, table: Table, layout: str) -> str:
    """Make the table of an output from its declaration; return what is said of it."""
    statements = [each.as_string(connection) for each in ddl.statements(table, layout)]
    with connection.transaction():
        for statement in statements:
            connection.execute(statement.encode())
        connection.execute(
            "INSERT INTO headrace_tables (name, layout, statements) VALUES (%s, %s, %s)",
            [table.name, layout, ";\n".join(statements)],
        )
    return _named(table.name)


def _named(table: str) -> str:
    return f"table {table}"


def _compare(connection: Connection, table: Table) -> None:
    """Raise Misuse where a table has other columns than its output."""
    rows = connection.execute(
        "SELECT attname, format_type(atttypid, atttypmod), NOT attnotnull FROM pg_attribute "
        "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
        [table.name],
    ).fetchall()
    found, declared = set(rows), set(ddl.columns(table))
    if found != declared:
        name = min(name for name, _, _ in found ^ declared)
        raise Misuse(
            f"the table {table.name} has another column {name} than its output "
            f"{table.output.topic}: restore the output's declaration, or change the table by a new "
            "migration"
        )


def _applied(connection: Connection) -> dict[int, str]:
    rows = connection.execute("SELECT number, sha256 FROM headrace_migrations").fetchall()
    return dict(cast("list[tuple[int, str]]", rows))


def _check(applied: dict[int, str], wanted: list[Migration]) -> None:
    known = {m.number: m for m in wanted}
    for number, sha256 in sorted(applied.items()):
        if number not in known:
            raise Misuse(
                f"the database has migration {number}, which this version does not know: "
                "use the version that applied it, or a newer one"
            )
        if known[number].sha256 != sha256:
            raise Misuse(
                f"migration {number} {known[number].name} was changed after the database had "
                "applied it: restore the file, and put the change into a new migration"
            )
