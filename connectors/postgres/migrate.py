"""The schema of history: numbered SQL files, applied once, in order, and never changed.

``migrations/<number>_<name>[.<layout>]*.sql``: a file with layouts in its name is for
these alone. The layout is chosen when the database is first migrated, and stored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, cast

import psycopg

from connectors.postgres.client import Connection
from state.errors import Misuse

FOLDER = Path(__file__).parent / "migrations"
NATIVE, APACHE, TIMESCALE = "native", "apache", "timescaledb"
"""Layouts: native partitions; hypertables alone (TimescaleDB under the Apache licence);
hypertables with compression and continuous aggregates (under the Timescale licence)."""

_LOCK = 0x48_45_41_44_52_41_43_45  # "HEADRACE"


class Migration(NamedTuple):
    """One file."""

    number: int
    name: str
    layouts: tuple[str, ...]
    sql: bytes
    sha256: str


def migrations(folder: Path, layout: str) -> list[Migration]:
    """Return the migrations of a layout, by number."""
    found = [_read(path) for path in sorted(folder.glob("*.sql"))]
    return [m for m in found if not m.layouts or layout in m.layouts]


def migrate(connection: Connection, folder: Path = FOLDER) -> list[int]:
    """Bring the database up to this program's schema; return the numbers applied now.

    Programs that start together wait for each other. Raises Misuse where the database
    was migrated by another version of these files.
    """
    with _alone(connection):
        _create_own_tables(connection)
        layout = _stored_layout(connection) or _choose_layout(connection)
        applied = _applied(connection)
        wanted = migrations(folder, layout)
        _check(applied, wanted)
        new = [m for m in wanted if m.number not in applied]
        for migration in new:
            with connection.transaction():
                connection.execute(migration.sql)
                connection.execute(
                    "INSERT INTO headrace_migrations (number, name, sha256) VALUES (%s, %s, %s)",
                    [migration.number, migration.name, migration.sha256],
                )
    return [m.number for m in new]


def pending(connection: Connection, folder: Path = FOLDER) -> list[str]:
    """Return the names of migrations that are still to be applied.

    Raises Misuse as `migrate` does; changes nothing.
    """
    if not _exists(connection, "headrace_layout"):
        layout, applied = NATIVE, {}
    else:
        layout, applied = _stored_layout(connection) or NATIVE, _applied(connection)
    wanted = migrations(folder, layout)
    _check(applied, wanted)
    return [f"{m.number:04}_{m.name}" for m in wanted if m.number not in applied]


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


def _choose_layout(connection: Connection) -> str:
    chosen = _possible_layout(connection)
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
