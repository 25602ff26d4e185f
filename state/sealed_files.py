"""Small files that are sealed whole, such as tables of codes; one process at a time has one."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from state.disk import put_in_place
from state.errors import Misuse
from state.sealing import HEAD_BYTES, Seal, closing_key


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Keep other processes from a file, which need not be there; waits for them.

    Its directory is made. Raises Misuse where nobody can write there.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path.with_name(path.name + ".lock"), os.O_WRONLY | os.O_CREAT, 0o600)
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def write_sealed(path: Path, sealed: bytes) -> None:
    """Write a file that its owner alone can read, whole or not at all. Raises Misuse."""
    draft = path.with_name(path.name + ".new")
    try:
        with open(draft, "wb", opener=_private) as file:
            file.write(sealed)
        put_in_place(draft, path)
    except OSError as error:
        raise _unwritable(path, error) from None


def reclose_file(path: Path, seal: Seal, purpose: str) -> None:
    """Seal a file anew with the active key. Raises Misuse, OSError and CannotUnseal."""
    with held(path):
        write_sealed(path, seal.reclose(path.read_bytes(), purpose))


def is_closed(path: Path) -> bool:
    """Return whether a file is sealed whole. Raises OSError."""
    with path.open("rb") as file:
        return bool(closing_key(file.read(HEAD_BYTES)))


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _unwritable(path: Path, error: OSError) -> Misuse:
    return Misuse(f"cannot write {path}: {error.strerror}")
