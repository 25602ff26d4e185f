"""What commands print about what they wrote."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:  # a tool prints its help without what writes files
    from replay.files import Written


def print_written(written: list[Written], *, as_json: bool) -> None:
    """Print each file's lines and SHA-256, as a table or ``{"files": [...]}``."""
    if as_json:
        print(orjson.dumps({"files": [asdict(file) for file in written]}).decode())
        return
    width = max(len(file.name) for file in written)
    for file in written:
        print(f"{file.name:<{width}}  {file.lines:>10,}  {file.sha256}")


def print_recorded(path: Path, messages: int, *, as_json: bool) -> None:
    """Print how many messages a recording got."""
    if as_json:
        print(orjson.dumps({"file": str(path), "messages": messages}).decode())
    else:
        print(f"{path}: {messages:,} messages")
