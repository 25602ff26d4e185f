"""The first segment of a message, as bytes: enough to route, to answer and to find a charset."""

from __future__ import annotations

import re
from functools import lru_cache

from connectors.hl7.charsets import codecs_of
from connectors.hl7.delimiters import Delimiters, declared
from state.errors import Malformed

MARK = b"\xef\xbb\xbf"
"""UTF-8's byte order mark."""
MEANINGLESS = re.compile(rb"\A(?:\xef\xbb\xbf|[\r\n])+")
"""What may stand before MSH and means nothing: UTF-8's byte order mark, blank segments."""
WIDE = re.compile(rb"[^M]{0,8}M\0{1,3}S\0{1,3}H")
NAME = re.compile(rb"[A-Za-z][A-Za-z0-9]{2}")
BREAK = re.compile(rb"\r+")
LAST = 20
"""No later field of MSH is of use here."""
STRAY = {
    b"\x0b": "IncompleteFrame: the frame has a beginning and no end",
    b"\x1c": "the bytes stood outside of frames",
}
"""Bytes of MLLP that begin what is no message -> what it is then (`connectors.hl7.files`)."""


def cleaned(raw: bytes) -> bytes:
    """Return a message whose segments end with CR, without zero bytes and what means nothing.

    CR ends a segment, and an LF right behind it is part of it; without any CR, LF does. Where both
    are there and MSH ends with LF, either does: there is no text in MSH that an LF could be in.
    Raises Malformed for UTF-16 and UTF-32, of which a message cannot be.
    """
    if b"\0" in raw:
        if WIDE.match(raw):
            raise Malformed("the message is in UTF-16 or UTF-32, of which HL7 has none in frames")
        raw = raw.replace(b"\0", b"")
    clean = raw if raw[:1] == b"M" else MEANINGLESS.sub(b"", raw, count=1)
    if b"\n" in clean:
        feeds = feeds_separate(clean)
        clean = clean.replace(b"\n", b"\r") if feeds else clean.replace(b"\r\n", b"\r")
    return clean.rstrip(b"\r\n")


def feeds_separate(data: bytes) -> bool:
    """Return whether LF ends a segment in a message, or in the first one of a frame."""
    feed, end = data.find(b"\n"), data.find(b"\r")
    if end < 0:
        return True
    name = NAME.match(data, feed + 1)
    return 0 <= feed < end and name is not None and data[name.end() :][:1] == data[3:4]


class Header:
    """MSH. Its fields are bytes as they were sent, which an answer has to repeat.

    It is read before the character set is known: a byte of a character counts as a delimiter here
    if it looks like one, as it may in Big5 and GB 18030.
    """

    __slots__ = ("_fields", "delimiters")

    def __init__(self, clean: bytes) -> None:
        """Read the first segment of what `cleaned` returns. Raises Malformed without MSH."""
        if clean[:3] != b"MSH" or len(clean) < 5:
            whole = "the message does not begin with MSH and its delimiters"
            raise Malformed(STRAY.get(clean[:1], whole))
        separator = clean[3:4]
        line = clean[: clean.find(b"\r")]
        if not _begin(separator).match(clean, len(line)):  # as hardly any MSH has a second line
            end = _begin(separator).search(clean)
            line = BREAK.sub(b"\n", clean if end is None else clean[: end.start()])
        # What is behind the last field that we know is left in one piece, however long it is.
        fields = line.split(separator, LAST + 1)
        del fields[LAST + 1 :]
        fields.insert(1, separator)  # MSH-1 is the separator itself
        self._fields = fields
        self.delimiters: Delimiters = declared(separator, self.field(2))

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
        return codecs_of(self.field(18), self.delimiters.repetition)


@lru_cache(maxsize=64)
def _begin(separator: bytes) -> re.Pattern[bytes]:
    """Return what stands before a further segment."""
    return re.compile(rb"\r(?=%s%s)" % (NAME.pattern, re.escape(separator)))
