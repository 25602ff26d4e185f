"""Migrations: applied once, guarded by their checksums, safe to start together."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from connectors.postgres import ddl
from connectors.postgres import migrate as module
from connectors.postgres.client import Connection, Database
from connectors.postgres.layouts import APACHE, NATIVE, TIMESCALE
from connectors.postgres.migrate import FOLDER, layout, migrate, pending
from state.errors import Misuse
from state.market.outputs import OUTPUTS
from tests.connectors.postgres.rows import MADE, TABLES


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER, tmp_path / "migrations"))


def numbers(connection: Connection) -> list[int]:
    rows = connection.execute("SELECT number FROM headrace_migrations ORDER BY 1").fetchall()
    return [number for (number,) in rows]


def everything() -> list[str]:
    """Return what an empty database lacks: the migrations, and the tables that none makes."""
    return [*map(str, module.migrations(FOLDER, NATIVE)), *(f"table {name}" for name in MADE)]


def test_migrations_are_applied_once(connection: Connection) -> None:
    wanted = everything()
    assert layout(connection) == "not migrated"
    assert len(pending(connection, OUTPUTS)) == len(wanted)
    assert migrate(connection, OUTPUTS) == wanted
    assert migrate(connection, OUTPUTS) == []
    assert pending(connection, OUTPUTS) == []
    assert numbers(connection) == [m.number for m in module.migrations(FOLDER, NATIVE)]


def test_the_layout_is_shown(connection: Connection) -> None:
    migrate(connection, OUTPUTS)
    assert layout(connection) == "native partitions"


def test_a_changed_migration_is_an_error(connection: Connection, folder: Path) -> None:
    migrate(connection, OUTPUTS, folder)
    file = folder / "0003_indexes.sql"
    file.write_text(file.read_text() + "\n")
    with pytest.raises(Misuse, match="migration 3 indexes was changed"):
        migrate(connection, OUTPUTS, folder)
    with pytest.raises(Misuse, match="migration 3 indexes was changed"):
        pending(connection, OUTPUTS, folder)


def test_a_migration_of_a_newer_version_is_an_error(connection: Connection, folder: Path) -> None:
    (folder / "0099_newer.sql").write_text("SELECT 1")
    migrate(connection, OUTPUTS, folder)
    with pytest.raises(Misuse, match="migration 99, which this version does not know"):
        migrate(connection, OUTPUTS)


def test_a_new_migration_is_applied_alone(connection: Connection, folder: Path) -> None:
    migrate(connection, OUTPUTS, folder)
    (folder / "0099_more.sql").write_text("CREATE TABLE more ()")
    assert pending(connection, OUTPUTS, folder) == ["0099_more"]
    assert migrate(connection, OUTPUTS, folder) == ["0099_more"]


def test_a_migration_that_fails_leaves_nothing(connection: Connection, folder: Path) -> None:
    (folder / "0099_more.sql").write_text("CREATE TABLE more (); SELECT 1 / 0")
    with pytest.raises(Exception, match="division by zero"):
        migrate(connection, OUTPUTS, folder)
    assert connection.execute("SELECT to_regclass('more')").fetchone() == (None,)
    assert 99 not in numbers(connection)


def test_programs_that_start_together_migrate_once(database: str) -> None:
    def start(_: int) -> list[str]:
        with Database(SecretStr(database)).connect() as connection:
            return migrate(connection, OUTPUTS)

    with ThreadPoolExecutor(4) as pool:
        done = sorted(pool.map(start, range(4)), key=len)
    assert [len(applied) for applied in done[:3]] == [0, 0, 0]
    assert done[3] == everything()


def test_the_tables_have_the_columns_that_the_sink_writes(connection: Connection) -> None:
    migrate(connection, OUTPUTS)
    for table in TABLES.values():
        rows = connection.execute(
            "SELECT column_name, data_type, is_nullable = 'YES' FROM information_schema.columns "
            "WHERE table_name = %s ORDER BY ordinal_position",
            [table.name],
        ).fetchall()
        assert sorted(rows) == sorted(ddl.columns(table))


@pytest.mark.parametrize("chosen", [NATIVE, APACHE, TIMESCALE])
def test_each_layout_has_each_number_once(chosen: str) -> None:
    found = [m.number for m in module.migrations(FOLDER, chosen)]
    assert found == sorted(set(found))
    assert {1, 2, 3, 4, 6} <= set(found)
