"""Migrations: applied once, guarded by their checksums, safe to start together."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from connectors.postgres import migrate as module
from connectors.postgres.client import Connection, Database
from connectors.postgres.migrate import FOLDER, NATIVE, TIMESCALE, layout, migrate, pending
from connectors.postgres.tables import TABLES, Kind
from state.errors import Misuse

SQL = {
    Kind.KEY: "text",
    Kind.TEXT: "text",
    Kind.INT: "bigint",
    Kind.FLOAT: "double precision",
    Kind.BOOL: "boolean",
    Kind.JSON: "jsonb",
    Kind.DOCUMENT: "json",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER, tmp_path / "migrations"))


def numbers(connection: Connection) -> list[int]:
    rows = connection.execute("SELECT number FROM headrace_migrations ORDER BY 1").fetchall()
    return [number for (number,) in rows]


def test_migrations_are_applied_once(connection: Connection) -> None:
    wanted = [m.number for m in module.migrations(FOLDER, NATIVE)]
    assert layout(connection) == "not migrated"
    assert len(pending(connection)) == len(wanted)
    assert migrate(connection) == wanted
    assert migrate(connection) == []
    assert pending(connection) == []
    assert numbers(connection) == wanted


def test_the_layout_is_shown(connection: Connection) -> None:
    migrate(connection)
    assert layout(connection) == "native partitions"


def test_a_changed_migration_is_an_error(connection: Connection, folder: Path) -> None:
    migrate(connection, folder)
    file = folder / "0003_indexes.sql"
    file.write_text(file.read_text() + "\n")
    with pytest.raises(Misuse, match="migration 3 indexes was changed"):
        migrate(connection, folder)
    with pytest.raises(Misuse, match="migration 3 indexes was changed"):
        pending(connection, folder)


def test_a_migration_of_a_newer_version_is_an_error(connection: Connection, folder: Path) -> None:
    (folder / "0099_newer.sql").write_text("SELECT 1")
    migrate(connection, folder)
    with pytest.raises(Misuse, match="migration 99, which this version does not know"):
        migrate(connection)


def test_a_new_migration_is_applied_alone(connection: Connection, folder: Path) -> None:
    migrate(connection, folder)
    (folder / "0099_more.sql").write_text("CREATE TABLE more ()")
    assert pending(connection, folder) == ["0099_more"]
    assert migrate(connection, folder) == [99]


def test_a_migration_that_fails_leaves_nothing(connection: Connection, folder: Path) -> None:
    (folder / "0099_more.sql").write_text("CREATE TABLE more (); SELECT 1 / 0")
    with pytest.raises(Exception, match="division by zero"):
        migrate(connection, folder)
    assert connection.execute("SELECT to_regclass('more')").fetchone() == (None,)
    assert 99 not in numbers(connection)


def test_programs_that_start_together_migrate_once(database: str) -> None:
    def start(_: int) -> list[int]:
        with Database(SecretStr(database)).connect() as connection:
            return migrate(connection)

    with ThreadPoolExecutor(4) as pool:
        done = sorted(pool.map(start, range(4)), key=len)
    assert [len(applied) for applied in done[:3]] == [0, 0, 0]
    assert done[3] == [m.number for m in module.migrations(FOLDER, NATIVE)]


def test_the_tables_have_the_columns_that_the_sink_writes(connection: Connection) -> None:
    migrate(connection)
    fixed = [("generation", "integer", False), ("time", "timestamp with time zone", False)]
    for table in TABLES.values():
        rows = connection.execute(
            "SELECT column_name, data_type, is_nullable = 'YES' FROM information_schema.columns "
            "WHERE table_name = %s ORDER BY ordinal_position",
            [table.name],
        ).fetchall()
        assert rows == fixed + [(c.name, SQL[c.kind], c.nullable) for c in table.columns]


@pytest.mark.parametrize("chosen", [NATIVE, module.APACHE, TIMESCALE])
def test_each_layout_has_each_number_once(chosen: str) -> None:
    found = [m.number for m in module.migrations(FOLDER, chosen)]
    assert found == sorted(set(found))
    assert {1, 2, 3, 4, 6} <= set(found)
