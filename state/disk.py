"""Files that outlive a power cut."""

from __future__ import annotations

import os
from pathlib import Path


def to_disk(path: Path) -> None:
    """Bring a file to the disk, or the names in a directory. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def put_in_place(draft: Path, path: Path) -> None:
    """Replace a file by one beside it, whole or not at all, to rest on the disk. Raises OSError."""
    to_disk(draft)
    draft.replace(path)
    to_disk(path.parent)
