"""Frames out of a stream's bytes, however these are cut. There is no socket here.

Source: HL7 v2 transport specification, MLLP release 1: 0x0B, the content, 0x1C 0x0D. Relays send
more than that: a frame in a frame, zero bytes to keep a connection alive, lines of their log.
"""

from __future__ import annotations

from hashlib import sha256
from typing import NamedTuple

START = b"\x0b"
END = b"\x1c\r"
AGAIN = START + b"MSH"
"""Where a message begins, the frame before it has ended, though its sender did not say so."""
SILENT = b"\0\r\n\x1c\x0b\xef\xbb\xbf"
"""Bytes that are nobody's text: what keeps a connection alive, is left of a frame in a frame, or is
a byte order mark."""


class TooLong(NamedTuple):
    """What is told of a frame beyond the bound: the number of its bytes, and their SHA-256."""

    length: int
    digest: str


class Frames:
    """Takes the bytes of one stream, and gives the contents of its frames.

    ``noise`` counts the bytes outside of frames that say something. At most ``most`` bytes and the
    length of one call are held.
    """

    def __init__(self, most: int) -> None:
        self.noise = 0
        self._most = most
        self._held = bytearray()
        self._inside = False
        self._scanned = 0
        self._skipped = 0
        self._digest = sha256()

    def receive(self, data: bytes) -> list[bytes | TooLong]:
        """Return what these bytes complete, in order: contents that are not blank, or `TooLong`."""
        self._held += data
        found: list[bytes | TooLong] = []
        while self._take(found):
            pass
        return found

    def close(self) -> bytes:
        """Return the start of a frame whose end did not come; b"" where there is none.

        Of a frame beyond the bound it is the bytes that are still held.
        """
        rest = bytes(self._held) if self._inside else b""
        self._leave(len(self._held))
        return rest if rest.strip(SILENT) else b""

    def pass_over(self, outside: bytes) -> None:
        """Count bytes outside of frames; a reader of files keeps them, too."""
        self.noise += len(outside.translate(None, SILENT))

    def _take(self, found: list[bytes | TooLong]) -> bool:
        """Go on by one step; returns whether another one may follow."""
        if not self._inside:
            return self._enter()
        ended, behind = self._end()
        if ended < 0:
            self._bound()
            return False
        content = bytes(self._held[:ended])
        if self._skipped or ended > self._most:
            self._digest.update(content)
            found.append(TooLong(self._skipped + ended, self._digest.hexdigest()))
        elif content.strip(SILENT):
            found.append(content)
        self._leave(behind)
        return True

    def _enter(self) -> bool:
        start = self._held.find(START)
        outside = bytes(self._held if start < 0 else self._held[:start])
        self.pass_over(outside)
        del self._held[: len(outside) + 1]
        self._inside = start >= 0
        return self._inside

    def _end(self) -> tuple[int, int]:
        """Return where the frame's content ends and where the rest begins, or -1."""
        again = self._held.find(AGAIN, self._scanned)
        # Only up to there: else each of many frames without an end would look through all of them.
        end = self._held.find(END, self._scanned, again if again >= 0 else len(self._held))
        if end < 0 <= again:
            return again, again
        # A mark may be cut by the end of what has come.
        self._scanned = max(0, len(self._held) - len(AGAIN) + 1)
        return end, end + len(END)

    def _bound(self) -> None:
        """Keep no more of a frame beyond the bound than what may be the start of its end."""
        if self._skipped or self._scanned > self._most:
            gone = self._held[: self._scanned]
            self._skipped += len(gone)
            self._digest.update(gone)
            del self._held[: self._scanned]
            self._scanned = 0

    def _leave(self, behind: int) -> None:
        del self._held[:behind]
        self._inside = False
        self._scanned = 0
        self._skipped = 0
        self._digest = sha256()
