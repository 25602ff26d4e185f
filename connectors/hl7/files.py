"""Messages out of a file or a frame: line after line, in frames, in batches."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from connectors.hl7.charsets import wide
from connectors.hl7.header import MARK as UTF8
from connectors.hl7.header import WIDE, feeds_separate
from connectors.mllp.frames import END, SILENT, START, Frames, TooLong
from state.errors import BadRecord, Malformed

NEXT = rb"(?=[!-/:-@\[-`{-~]|[\r\n]|\Z)"
NAMED = re.compile(rb"(?:MSH|FHS|BHS|BTS|FTS)%s" % NEXT)
"""The name of a segment that begins a message, or of a line of the envelope of messages
(HL7 v2.9, 2.10.3). What stands before it is looked at where it is found: a pattern that begins with
that tries each byte of a frame, which was a fifth of all that a listener does."""
FRAMED = re.compile(rb"\x0b[\x0b\r\n\xef\xbb\xbf]*(?:MSH|FHS|BHS)")
DIGITS = re.compile(rb"[0-9]{1,9}")
LINE_ENDS = b"\r\n"


class Miscount(NamedTuple):
    """What the last segment of a batch, or of a file of batches, tells, and how many there were."""

    told: int
    found: int


class Dead(NamedTuple):
    """Bytes of a file that are no message, and why."""

    raw: bytes
    reason: BadRecord


class Contents(NamedTuple):
    """What a file holds. ``noise`` counts the bytes that say something outside of messages.

    ``outside`` are these bytes, piece by piece; what stood outside of frames is behind the byte
    that ends a frame. A dead start of a frame is behind the byte that begins one. So neither is
    taken for a message, whatever is in it (`Header`).
    """

    messages: list[bytes]
    dead: list[Dead]
    miscounts: list[Miscount]
    noise: int
    outside: list[bytes]


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
            return Contents([], [Dead(data, reason)], [], 0, [])
    reader = _Reader(mark=UTF8 if codec else b"")
    data = data.replace(b"\0", b"")
    if not FRAMED.search(data):
        reader.read(data, feeds=True)
        return reader.found()
    frames = _Frames(reader, len(data))
    for frame in frames.receive(data):
        assert not isinstance(frame, TooLong), "no frame is longer than its file"
        reader.read(frame, feeds=_feeds(frame))
    if rest := frames.close():
        reason = Malformed("IncompleteFrame: the file ends in a frame")
        reader.dead.append(Dead(START + rest, reason))
    return reader.found()


def messages(frame: bytes) -> list[bytes]:
    """Return the messages of one frame in order: none where MSH is nowhere.

    Zero bytes are not in them. Of a frame in UTF-16 or UTF-32 there are none.
    """
    if WIDE.match(frame):
        return []
    frame = frame.replace(b"\0", b"")
    return [part for name, part in _parts(frame, feeds=_feeds(frame)) if name == b"MSH"]


class _Reader:
    """Takes the frames of a file, or all of it, and counts what its batches tell."""

    def __init__(self, mark: bytes) -> None:
        self.dead: list[Dead] = []
        self._mark = mark
        self._messages: list[bytes] = []
        self._miscounts: list[Miscount] = []
        self._noise = 0
        self._outside: list[bytes] = []
        self._in_batch = 0
        self._batches = 0

    def found(self) -> Contents:
        """Return what was read."""
        return Contents(self._messages, self.dead, self._miscounts, self._noise, self._outside)

    def pass_over(self, outside: bytes, noise: int) -> None:
        """Keep bytes outside of messages, of which ``noise`` say something, if any does."""
        self._noise += noise
        if noise:
            self._outside.append(outside)

    def read(self, data: bytes, *, feeds: bool) -> None:
        """Take what these bytes hold; ``feeds`` is whether LF ends a line as CR does."""
        parts = list(_parts(data, feeds=feeds))
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
            self.pass_over(part, len(part.strip()))

    def _compare(self, end: bytes, found: int) -> None:
        """Compare what the last segment of a batch or a file tells with what there was."""
        told = end.rstrip().split(end[3:4] or b"|")[1:2]
        if told and DIGITS.fullmatch(told[0]) and int(told[0]) != found:
            self._miscounts.append(Miscount(int(told[0]), found))


class _Frames(Frames):
    """Hands on what stands outside of the frames, too."""

    def __init__(self, reader: _Reader, most: int) -> None:
        super().__init__(most)
        self._reader = reader

    def pass_over(self, outside: bytes) -> None:
        """Keep bytes outside of frames where they say something."""
        self._reader.pass_over(END[:1] + outside, len(outside.translate(None, SILENT)))


def _feeds(frame: bytes) -> bool:
    """Return whether LF ends a segment."""
    return feeds_separate(frame.lstrip(UTF8 + LINE_ENDS))


def _parts(data: bytes, *, feeds: bool) -> Iterator[tuple[bytes, bytes]]:
    """Yield the name and the bytes from each boundary to the next; no name before the first."""
    name, start = b"", 0
    for match in NAMED.finditer(data):
        at = match.start()
        begin = at - len(UTF8) if data.endswith(UTF8, 0, at) else at
        if _begins_line(data, begin, feeds=feeds):
            yield name, data[start:begin]
            name, start = match[0], at
    yield name, data[start:]


def _begins_line(data: bytes, at: int, *, feeds: bool) -> bool:
    """Return whether a line begins there; LF alone ends one where it ``feeds``."""
    before = data[max(0, at - 2) : at]
    if before.endswith(b"\n"):
        return feeds or before == LINE_ENDS
    return not before or before.endswith(b"\r")
