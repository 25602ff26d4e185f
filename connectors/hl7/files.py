"""Messages out of a file or a frame: line after line, in frames, in batches."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from connectors.hl7.charsets import wide
from connectors.hl7.header import feeds_separate
from connectors.mllp.frames import START, Frames, TooLong
from state.errors import BadRecord, Malformed

MARK = rb"(?:\xef\xbb\xbf)?"
NEXT = rb"(?=[!-/:-@\[-`{-~]|[\r\n]|\Z)"
BEGINS = rb"%s(?P<name>MSH|FHS|BHS|BTS|FTS)%s" % (MARK, NEXT)
BEHIND_CR = re.compile(rb"(?:\A|(?<=\r)|(?<=\r\n))%s" % BEGINS)
BEHIND_ANY = re.compile(rb"(?:\A|(?<=[\r\n]))%s" % BEGINS)
"""A segment that begins a message, or a line of the envelope of messages (HL7 v2.9, 2.10.3).
What stands before it is looked back at: a pattern that took it would read a flood of line ends
again from each of them."""


class Miscount(NamedTuple):
    """A batch whose last segment tells another number of messages than there are."""

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

    There are frames where a byte 0x0B is. A byte order mark of UTF-16 or UTF-32 makes the encoding
    certain, so such a file is read as UTF-8.
    """
    found = Contents([], [], [], 0)
    codec = wide(data)
    if codec:
        try:
            data = data.decode(codec).encode()
        except UnicodeDecodeError:
            reason = Malformed(f"the file has the byte order mark of {codec}, but is not that")
            return found._replace(dead=[Dead(data, reason)])
    if START not in data:
        noise = _read(data, BEHIND_ANY, found)
        return found._replace(noise=noise)
    frames = Frames(len(data))
    noise = 0
    for frame in frames.receive(data):
        assert not isinstance(frame, TooLong), "no frame is longer than its file"
        noise += _read(frame, _boundary(frame), found)
    if rest := frames.close():
        found.dead.append(Dead(rest, Malformed("IncompleteFrame: the file ends in a frame")))
    return found._replace(noise=noise + frames.noise)


def messages(frame: bytes) -> list[bytes]:
    """Return the messages of one frame in order: none where MSH is nowhere."""
    return [part for name, part in _parts(frame, _boundary(frame)) if name == b"MSH"]


def _boundary(frame: bytes) -> re.Pattern[bytes]:
    return BEHIND_ANY if feeds_separate(frame) else BEHIND_CR


def _read(data: bytes, boundary: re.Pattern[bytes], found: Contents) -> int:
    """Add what these bytes hold; returns the number of bytes before the first segment of it."""
    parts = list(_parts(data, boundary))
    if not any(name for name, _ in parts):
        if data.strip():
            found.dead.append(Dead(data, Malformed("no segment MSH begins a message here")))
        return 0
    count = 0
    for name, part in parts:
        if name == b"MSH":
            found.messages.append(part)
            count += 1
        elif name == b"BHS":
            count = 0
        elif name == b"BTS":
            told = part.rstrip().split(part[3:4])[1:2]
            if told and told[0].isdigit() and int(told[0]) != count:
                found.miscounts.append(Miscount(int(told[0]), count))
            count = 0
    return sum(len(part.strip()) for name, part in parts if not name)


def _parts(data: bytes, boundary: re.Pattern[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the name and the bytes from each boundary to the next; no name before the first."""
    name, start = b"", 0
    for match in boundary.finditer(data):
        yield name, data[start : match.start()]
        name, start = match["name"], match.start("name")
    yield name, data[start:]
