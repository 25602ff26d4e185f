"""The first segment of a message, as bytes: enough to route, to answer and to find a charset."""

from __future__ import annotations

import re

from connectors.hl7.charsets import codecs_of
from connectors.hl7.delimiters import Delimiters, declared
from state.errors import Malformed

MEANINGLESS = re.compile(rb"(?:\xef\xbb\xbf|[\r\n])*")
"""What may stand before MSH and means nothing: UTF-8's byte order mark, blank segments."""
NAME = re.compile(rb"[A-Za-z][A-Za-z0-9]{2}")


def cleaned(raw: bytes) -> bytes:
    """Return a message whose segments end with CR, without zero bytes and what means nothing.

    CR ends a segment, and an LF right behind it is part of it; without any CR, LF does. Where both
    are there and MSH ends with LF, either does: there is no text in MSH that an LF could be in.
    """
    if b"\0" in raw:
        raw = raw.replace(b"\0", b"")
    start = MEANINGLESS.match(raw)
    assert start is not None, "it matches nothing, too"
    clean = raw[start.end() :]
    if b"\n" in clean:
        feeds = feeds_separate(clean)
        clean = clean.replace(b"\n", b"\r") if feeds else clean.replace(b"\r\n", b"\r")
        clean = clean.rstrip(b"\r\n")
    return clean


def feeds_separate(data: bytes) -> bool:
    """Return whether LF ends a segment in a message, or in the first one of a frame."""
    feed, end = data.find(b"\n"), data.find(b"\r")
    if end < 0:
        return True
    name = NAME.match(data, feed + 1)
    return 0 <= feed < end and name is not None and data[name.end() :][:1] == data[3:4]


class Header:
    """MSH. Its fields are bytes as they were sent, which an answer has to repeat."""

    __slots__ = ("_fields", "delimiters")

    def __init__(self, clean: bytes) -> None:
        """Read the first segment of what `cleaned` returns. Raises Malformed without MSH."""
        if clean[:3] != b"MSH" or len(clean) < 5:
            raise Malformed("the message does not begin with MSH and its delimiters")
        end = clean.find(b"\r")
        separator = clean[3:4]
        line = clean if end < 0 else clean[:end]
        # MSH-1 is the separator itself, so it stands between the name and MSH-2.
        self._fields = [b"MSH", separator, *line.split(separator)[1:]]
        self.delimiters: Delimiters = declared(
            separator.decode("latin_1"), self.field(2).decode("latin_1")
        )

    def field(self, number: int) -> bytes:
        """Return a field as it was sent; b"" where there is none."""
        return self._fields[number] if number < len(self._fields) else b""

    def part(self, number: int, component: int = 1) -> bytes:
        """Return a component of a field's first repetition, with no sequence unescaped."""
        _, comp, repetition, *_ = self.delimiters
        first = self.field(number).split(repetition.encode("latin_1"), 1)[0]
        parts = first.split(comp.encode("latin_1"))
        return parts[component - 1].strip() if component <= len(parts) else b""

    def codecs(self) -> tuple[str, ...]:
        """Return the codecs of the character sets that MSH-18 names, "" for an unknown one."""
        return codecs_of(self.field(18).decode("latin_1"), self.delimiters.repetition)
