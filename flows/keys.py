"""Key files: written once, for their owner alone."""

from __future__ import annotations

import os
from pathlib import Path

from state.disk import to_disk
from state.errors import Misuse
from state.key_file import key_file
from state.sealing import Keyring


def make_key_file() -> Path | None:
    """Make the key file that commands find by themselves; return its path, None where it exists.

    Raises Misuse where it cannot be written.
    """
    path = key_file()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_key_file(path, Keyring.generate())
    except FileExistsError:
        return None
    except OSError as error:
        raise Misuse(f"cannot write {path}: {error.strerror}") from None
    return path


def write_key_file(path: Path, keyring: Keyring) -> None:
    """Write a new file that its owner alone may read, whole or not at all, to rest on the disk.

    Raises FileExistsError where there is one, and other OSError.
    """
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(keyring.text())
        to_disk(draft)
        os.link(draft, path)
        to_disk(path.parent)
    finally:
        draft.unlink()
