"""The list of notifications that were given up: JSON lines, without secrets or contents."""

from __future__ import annotations

import os
from pathlib import Path

import orjson


class DeadList:
    """A file that only grows; a line is on the disk when `append` returns."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, endpoint: str, channel: str, record_id: str, reason: str, ts_ns: int) -> None:
        """Write one line. Raises OSError."""
        line = {
            "ts_ns": ts_ns,
            "endpoint": endpoint,
            "channel": channel,
            "id": record_id,
            "reason": reason,
        }
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "ab") as file:
            file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
            file.flush()
            os.fsync(file.fileno())
