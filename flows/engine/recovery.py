"""The last durable snapshots of a flow, read from Bytewax's store without touching it."""

from __future__ import annotations

import os
import pickle
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from flows.engine.step import Step, open_snapshot, restored
from state.errors import Broken, DamagedState, Misuse, UnreadableState
from state.snapshots import unchecked

TABLES = {"parts", "exs", "fronts", "commits", "snaps"}
_UNREADABLE = (
    pickle.UnpicklingError, ArithmeticError, AttributeError, EOFError, ImportError, LookupError,
    MemoryError, TypeError, ValueError,
)  # fmt: skip
"""Changed bytes may be any instruction of a pickle, and fail in all these ways."""
BUSY_S = 30.0
"""How long another worker of the group may be writing already."""
GLANCE_S = 5.0
"""How long a look at the snapshots of a running flow waits."""
_IN_USE = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
_OUT_OF_REACH = {
    sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY,
}  # fmt: skip
"""SQLite's primary error codes that say nothing of the content."""
_DAMAGE = {sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS}
"""Errors of I/O that do: the file ends too early, or the file system is damaged."""
_NEWEST = """
WITH last AS (SELECT * FROM exs WHERE ex_num = (SELECT MAX(ex_num) FROM exs)),
resume AS (
    SELECT COALESCE(
        (SELECT MIN(worker_frontier) FROM fronts
         WHERE ex_num = (SELECT ex_num FROM last)
         HAVING COUNT(*) = (SELECT worker_count FROM last)),
        (SELECT resume_epoch FROM last)) AS epoch)
SELECT step_id, state_key, MAX(snap_epoch), ser_change FROM snaps
WHERE snap_epoch < (SELECT epoch FROM resume)
GROUP BY step_id, state_key ORDER BY step_id, state_key
"""
"""SQLite fills ser_change from the row of the maximum; one of a key that is gone is null."""


def last_snapshots(recovery: Path) -> Iterator[tuple[str, str, int, Any]]:
    """Yield (step, key, epoch, state) of every key, as the next start would resume it.

    The states are as the steps gave them. Raises Misuse where there is no snapshot store,
    DamagedState and UnreadableState where it cannot be read.
    """
    parts = sorted(recovery.glob("*.sqlite3"))
    if not parts:
        raise Misuse(f"there are no snapshots in {recovery}: has the flow run here?")
    for part in parts:
        with _opened(part, GLANCE_S) as connection:
            rows = connection.execute(_NEWEST).fetchall()
        for step, key, epoch, state in rows:
            if state is not None:
                yield step, key, epoch, state_of(part, step, key, state)


@contextmanager
def _opened(part: Path, busy_s: float) -> Iterator[sqlite3.Connection]:
    """Open a part of the store. Raises DamagedState, or UnreadableState for what may pass.

    Read only, and beside a running flow: SQLite's log shows one consistent moment.
    """
    try:
        with closing(
            sqlite3.connect(f"file:{part}?mode=ro", uri=True, timeout=busy_s)
        ) as connection:
            yield connection
    except sqlite3.DatabaseError as error:
        raise _fault(part, error) from None


def _fault(part: Path, error: sqlite3.DatabaseError) -> Broken:
    """Return what an error of SQLite says of a part of the store."""
    # Python's own errors have no code: what is stored does not decode.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    if code & 0xFF in _IN_USE:
        way = "end the program that holds it, such as a backup or a database shell"
        return UnreadableState(str(part), str(error), way)
    if code & 0xFF in _OUT_OF_REACH and code not in _DAMAGE:
        way = "look after the disk, its mount and free space, and the permissions"
        return UnreadableState(str(part), str(error), way)
    return DamagedState(str(part), str(error), _way(part.parent))


def _way(recovery: Path) -> str:
    return f"move {recovery} away to work the input off again from where the flow began, "


def state_of(part: Path, step: str, key: str, pickled: bytes) -> Any:
    """Return what a step gave Bytewax. Raises DamagedState where it is not that any more."""
    try:
        state = pickle.loads(pickled)  # noqa: S301  # our own store
    except _UNREADABLE as error:
        why = type(error).__name__  # its words may repeat what the snapshot holds
    else:
        why = _changed(state) if isinstance(state, bytes) else ""
        if not why:
            return state
    raise DamagedState(str(part), f"the snapshot {key} of {step}: {why}", _way(part.parent))


def _changed(snapshot: bytes) -> str:
    """Return what is wrong with the bytes of a snapshot, or ""."""
    try:
        unchecked(snapshot)
    except ValueError as error:
        return str(error)
    return ""


def check_store(recovery: Path) -> None:
    """Raise DamagedState where a flow cannot go on from its snapshots, Misuse where not write any.

    Raises UnreadableState where they cannot be read now, which says nothing of damage. Bytewax
    itself would say what its reader met, and not in which file.
    """
    parts = sorted(recovery.glob("*.sqlite3"))
    if not parts:
        raise DamagedState(str(recovery), "its part-0.sqlite3 is missing", _way(recovery))
    for path in [recovery, *parts]:
        if not os.access(path, os.W_OK):
            raise Misuse(f"{path} cannot be written: make it writable, or set run.state_dir")
    for part in parts:
        _check_part(part)
    for _ in last_snapshots(recovery):
        pass


def _check_part(part: Path) -> None:
    with _opened(part, BUSY_S) as connection:
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    why = " ".join(found.split()) if found != "ok" else "its tables are missing"
    if found != "ok" or not tables >= TABLES:
        raise DamagedState(str(part), why, _way(part.parent))


def described(recovery: Path, steps: Mapping[str, Step], key: str) -> Iterator[dict[str, Any]]:
    """Yield what the last snapshots of these steps say of a key: step, shard, epoch and state.

    ``steps``: by step id. A shard whose state says nothing of the key yields nothing.
    """
    pages: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    shards: list[tuple[str, str, int, bytes]] = []
    for step, shard, epoch, state in last_snapshots(recovery):
        if step.removesuffix("_pages") in steps and step not in steps:
            name = step.removesuffix("_pages")
            page = open_snapshot(state, steps[name])
            pages[name, page["shard"]].append(page)
        elif step in steps:
            shards.append((step, shard, epoch, state))
    for step, shard, epoch, state in shards:
        logic = restored(steps[step], state, pages[step, shard])
        if said := logic.describe(key):
            name = step.partition(".")[2]
            yield {"step": name, "shard": shard, "epoch": epoch, "state": said}
