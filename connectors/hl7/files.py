"""Messages out of a file or a frame: line after line, in frames, in batches."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from connectors.hl7.charsets import wide
from connectors.hl7.header import MARK as UTF8
from connectors.hl7.header import WIDE, feeds_separate
from connectors.mllp.frames import SILENT, Frames, TooLong
from state.errors import BadRecord, Malformed

NEXT = rb"(?=[!-/:-@\[-`{-~]|[\r\n]|\Z)"
BEGINS = rb"(?:%s)?(?P<name>MSH|FHS|BHS|BTS|FTS)%s" % (UTF8, NEXT)
FRAMED = re.compile(rb"\x0b[\x0b\r\n\xef\xbb\xbf]*(?:MSH|FHS|BHS)")
DIGITS = re.compile(rb"[0-9]{1,9}")
BEHIND_CR = re.compile(rb"(?:\A|(?<=\r)|(?<=\r\n))%s" % BEGINS)
BEHIND_ANY = re.compile(rb"(?:\A|(?<=[\r\n]))%s" % BEGINS)
"""A segment that begins a message, or a line of the envelope of messages (HL7 v2.9, 2.10.3).
What stands before it is looked back at: a pattern that took it would read a flood of line ends
again from each of them."""


class Miscount(NamedTuple):
    """What the last segment of a batch, or of a file of batches, tells, and how many there were."""

    told: int
    found: int


class Dead(NamedTuple):
    """Bytes of a file that are no message, and why."""

    raw: bytes
    reason: BadRecord


class Contents(NamedTuple):
    """What a file holds. ``noise`` counts the bytes that say something outside of messages."""

    messages: list[bytes]
    dead: list[Dead]
    miscounts: list[Miscount]
    noise: int


def contents(data: bytes) -> Contents:
    """Return the messages of a file in its order, and what else was in it.

    There are frames where one begins with a message. A byte order mark of UTF-16 or UTF-32 makes
    the encoding certain: then the messages are those characters in UTF-8, each behind UTF-8's mark.
    """
    codec = wide(data)
    if codec:
        try:
            data = data.decode(codec).encode()
        except UnicodeDecodeError:
            reason = Malformed(f"the file has the byte order mark of {codec}, but is not that")
            return Contents([], [Dead(data, reason)], [], 0)
    reader = _Reader(mark=UTF8 if codec else b"")
    data = data.replace(b"\0", b"")
    if not FRAMED.search(data):
        reader.read(data, BEHIND_ANY)
        return reader.found(0)
    frames = Frames(len(data))
    for frame in frames.receive(data):
        assert not isinstance(frame, TooLong), "no frame is longer than its file"
        reader.read(frame, _boundary(frame))
    if rest := frames.close():
        reader.dead.append(Dead(rest, Malformed("IncompleteFrame: the file ends in a frame")))
    return reader.found(frames.noise)


def messages(frame: bytes) -> list[bytes]:
    """Return the messages of one frame in order: none where MSH is nowhere.

    Zero bytes are not in them. Of a frame in UTF-16 or UTF-32 there are none.
    """
    if WIDE.match(frame):
        return []
    frame = frame.replace(b"\0", b"")
    return [part for name, part in _parts(frame, _boundary(frame)) if name == b"MSH"]


class _Reader:
    """Takes the frames of a file, or all of it, and counts what its batches tell."""

    def __init__(self, mark: bytes) -> None:
        self.dead: list[Dead] = []
        self._mark = mark
        self._messages: list[bytes] = []
        self._miscounts: list[Miscount] = []
        self._noise = 0
        self._in_batch = 0
        self._batches = 0

    def found(self, noise: int) -> Contents:
        """Return what was read; ``noise`` are the bytes outside of frames."""
        return Contents(self._messages, self.dead, self._miscounts, self._noise + noise)

    def read(self, data: bytes, boundary: re.Pattern[bytes]) -> None:
        """Take what these bytes hold."""
        parts = list(_parts(data, boundary))
        if not any(name for name, _ in parts):
            if data.strip(SILENT):
                reason = Malformed("no segment MSH begins a message here")
                self.dead.append(Dead(data, reason))
            return
        for name, part in parts:
            self._take(name, part)

    def _take(self, name: bytes, part: bytes) -> None:
        if name == b"MSH":
            self._messages.append(self._mark + part)
            self._in_batch += 1
        elif name == b"BHS":
            self._in_batch = 0
        elif name == b"BTS":
            self._compare(part, self._in_batch)
            self._in_batch = 0
            self._batches += 1
        elif name == b"FTS":
            self._compare(part, self._batches)
            self._batches = 0
        elif not name:
            self._noise += len(part.strip())

    def _compare(self, end: bytes, found: int) -> None:
        """Compare what the last segment of a batch or a file tells with what there was."""
        told = end.rstrip().split(end[3:4] or b"|")[1:2]
        if told and DIGITS.fullmatch(told[0]) and int(told[0]) != found:
            self._miscounts.append(Miscount(int(told[0]), found))


def _boundary(frame: bytes) -> re.Pattern[bytes]:
    return BEHIND_ANY if feeds_separate(frame.lstrip(UTF8 + b"\r\n")) else BEHIND_CR


def _parts(data: bytes, boundary: re.Pattern[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the name and the bytes from each boundary to the next; no name before the first."""
    name, start = b"", 0
    for match in boundary.finditer(data):
        yield name, data[start : match.start()]
        name, start = match["name"], match.start("name")
    yield name, data[start:]
