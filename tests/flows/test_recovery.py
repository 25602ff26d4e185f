"""A snapshot store that cannot be read now is told apart from one that is damaged."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from bytewax.recovery import init_db_dir

from flows.engine import recovery
from flows.engine.recovery import check_store, last_snapshots
from state.errors import DamagedState, UnreadableState

PART = "part-0.sqlite3"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    made = tmp_path / "recovery"
    made.mkdir()
    init_db_dir(made, 1)
    check_store(made)
    return made


@contextmanager
def held(store: Path) -> Iterator[None]:
    """Hold the store as a program does that lets nobody else read."""
    with closing(sqlite3.connect(store / PART)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        other.execute("CREATE TABLE theirs (x)")
        other.commit()
        yield


def test_a_store_that_another_program_holds_is_not_told_as_damaged(store, monkeypatch):
    monkeypatch.setattr(recovery, "BUSY_S", 0.1)
    monkeypatch.setattr(recovery, "GLANCE_S", 0.1)
    with held(store):
        for look in (check_store, lambda store: list(last_snapshots(store))):
            with pytest.raises(UnreadableState) as raised:
                look(store)
            assert str(raised.value) == (
                f"{store / PART} cannot be read for now (database is locked); nothing says that it "
                "is damaged: end the program that holds it, such as a backup or a database shell"
            )
    check_store(store)


def test_a_store_that_cannot_be_opened_is_not_told_as_damaged(store):
    for suffix in ("-wal", "-shm"):
        Path(f"{store / PART}{suffix}").unlink(missing_ok=True)
    (store / f"{PART}-wal").mkdir()
    with pytest.raises(UnreadableState, match=r"cannot be read for now .*: look after the disk"):
        check_store(store)
    (store / f"{PART}-wal").rmdir()
    check_store(store)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_BUSY_SNAPSHOT, UnreadableState),
        (sqlite3.SQLITE_IOERR_READ, UnreadableState),
        (sqlite3.SQLITE_FULL, UnreadableState),
        (sqlite3.SQLITE_IOERR_SHORT_READ, DamagedState),
        (sqlite3.SQLITE_IOERR_CORRUPTFS, DamagedState),
        (sqlite3.SQLITE_CORRUPT_VTAB, DamagedState),
        (sqlite3.SQLITE_NOTADB, DamagedState),
        (None, DamagedState),
    ],
)
def test_what_sqlite_says_is_judged_by_its_code(code, kind):
    error = sqlite3.OperationalError("it is so")
    if code is not None:
        error.sqlite_errorcode = code
    fault = recovery._fault(Path("recovery") / PART, error)
    assert type(fault) is kind
    assert "recovery/part-0.sqlite3" in str(fault)
    assert "(it is so)" in str(fault)
    assert "\n" not in str(fault)


def test_a_look_at_a_damaged_store_says_so_too(store):
    with (store / PART).open("r+b") as file:
        file.write(b"x" * 9000)
    with pytest.raises(DamagedState, match="not a database"):
        list(last_snapshots(store))
