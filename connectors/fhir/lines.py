"""Files of NDJSON that rest sealed, are written once and read from the start.

::

    file = (length of the sealed chunk, 4 bytes big-endian; sealed chunk)...

A chunk is sealed for its place in its file, the last one as the last: a file that was cut off, or
whose chunks changed places, does not open.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from state.sealing import Seal

CHUNK_BYTES = 1 << 18
_LENGTH = 4


class LinesWriter:
    """Writes the lines of one file."""

    def __init__(self, path: Path, seal: Seal) -> None:
        self.count = 0
        self.bytes = 0
        """So far in the file."""
        self._name, self._seal = path.name, seal
        self._file = path.open("xb")
        self._waiting = bytearray()
        self._chunks = 0

    def add(self, line: bytes) -> bool:
        """Add a line; return whether the file has grown."""
        self.count += 1
        self._waiting += line
        self._waiting += b"\n"
        if len(self._waiting) < CHUNK_BYTES:
            return False
        self._flush(last=False)
        return True

    def close(self) -> None:
        """Write the end; without it the file does not open."""
        self._flush(last=True)
        self._file.close()

    def _flush(self, *, last: bool) -> None:
        purpose = _purpose(self._name, self._chunks, last=last)
        sealed = self._seal.close(bytes(self._waiting), purpose)
        self._file.write(len(sealed).to_bytes(_LENGTH) + sealed)
        self.bytes += _LENGTH + len(sealed)
        self._waiting.clear()
        self._chunks += 1


class LinesReader:
    """Reads the lines of one file, by chunks; it stays readable though the file is deleted."""

    def __init__(self, path: Path, seal: Seal) -> None:
        """Open the file. Raises FileNotFoundError."""
        self._name, self._seal = path.name, seal
        self._file: BinaryIO = path.open("rb")

    def __enter__(self) -> LinesReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def chunks(self) -> Iterator[bytes]:
        """Yield the lines, many at a time. Raises DamagedSeal."""
        place, sealed = 0, self._next()
        while sealed:
            following = self._next()
            yield self._seal.open(sealed, _purpose(self._name, place, last=not following))
            place, sealed = place + 1, following

    def _next(self) -> bytes:
        return self._file.read(int.from_bytes(self._file.read(_LENGTH)))


def _purpose(name: str, place: int, *, last: bool) -> str:
    return f"lines {name} {place}{' last' if last else ''}"
