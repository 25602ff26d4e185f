"""Files of servers that go on working while a test reads them."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path


def files_below(root: Path) -> Iterator[Path]:
    """Yield the files below a directory; a folder that is taken away meanwhile is passed over.

    Kafka takes away the folders of deleted topics a minute later, at which `Path.rglob` fails.
    """
    for folder, _, names in os.walk(root):
        for name in names:
            if (path := Path(folder, name)).is_file():
                yield path


def bytes_of(path: Path) -> bytes:
    """Return what a file holds, nothing where it has been taken away."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def audit_file() -> Path:
    """Return a file for the audit of one feed: no two may share one."""
    return Path(tempfile.gettempdir(), f"headrace-reads-{uuid.uuid4().hex}.jsonl")
