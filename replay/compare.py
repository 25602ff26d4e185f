"""Compare two directories of canonical files."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from state.errors import Misuse


@dataclass(frozen=True, slots=True)
class Difference:
    """The first difference of one file: its line (from 1) on both sides, None past an end.

    ``line`` is 0 where a side does not have the file at all.
    """

    name: str
    line: int
    left: str | None
    right: str | None


def compare(left: Path, right: Path) -> dict[str, Difference | None]:
    """Return, for each file of either directory, its first difference or None.

    Raises Misuse where a directory is missing or holds no ``.jsonl`` file.
    """
    names = sorted(_names(left) | _names(right))
    return {name: _first_difference(name, left / name, right / name) for name in names}


def _names(directory: Path) -> set[str]:
    if not directory.is_dir():
        raise Misuse(f"there is no directory {directory}")
    names = {str(path.relative_to(directory)) for path in directory.rglob("*.jsonl")}
    if not names:
        raise Misuse(
            f"{directory} holds no .jsonl file: give directories that replay or export wrote"
        )
    return names


def _first_difference(name: str, left: Path, right: Path) -> Difference | None:
    missing = [path for path in (left, right) if not path.exists()]
    if missing:
        texts = [None if path in missing else "(the file is there)" for path in (left, right)]
        return Difference(name, 0, *texts)
    with left.open("rb") as one, right.open("rb") as two:
        for number, (a, b) in enumerate(zip_longest(one, two), start=1):
            if a != b:
                return Difference(name, number, _text(a), _text(b))
    return None


def _text(line: bytes | None) -> str | None:
    return None if line is None else line.decode(errors="backslashreplace").rstrip("\n")
