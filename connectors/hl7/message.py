"""One message as text, read where it is asked: segments by name, fields by number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256

from connectors.hl7.charsets import Decoded, decode
from connectors.hl7.delimiters import Delimiters
from connectors.hl7.escapes import unescape
from connectors.hl7.header import MARK, Header, cleaned

NULL = '""'
"""A field of this says that there is nothing, an empty field says nothing."""
DEFAULT_CHARSET = "cp1252"
"""What most messages without a label are written in where they are not UTF-8."""
ENVELOPE = (7, 10, 13, 18)
"""The fields of MSH that tell of the sending, and not of what is sent."""
BREAK = re.compile("\r+")
"""Blank lines mean nothing, nor do they in a text over several lines."""


class Message:
    """A message. The bytes are the truth; what is not asked for is not read.

    A line that has no name of a segment goes on with the field before it, after a line break.
    """

    __slots__ = ("_found", "_text", "decoded", "delimiters", "header", "raw")

    def __init__(self, raw: bytes, charset: str = DEFAULT_CHARSET) -> None:
        """Read MSH and the character set. Raises Malformed, which repeats nothing of the message.

        ``charset`` is the codec of what has no true label and is no UTF-8.
        """
        clean = cleaned(raw)
        self.raw = raw
        self.header = Header(clean)
        self.delimiters: Delimiters = self.header.delimiters
        marked = raw.startswith(MARK)
        self.decoded: Decoded = decode(clean, self.header.codecs(), charset, marked=marked)
        self._text = self.decoded.text
        self._found: dict[str, Segment | None] = {}

    def first(self, name: str) -> Segment | None:
        """Return the first segment of a name in capitals, or None."""
        try:
            return self._found[name]
        except KeyError:
            start = self._start(name)
            segment = None if start < 0 else self._segment(start)
            self._found[name] = segment
            return segment

    def text(self, name: str, field: int, component: int = 1, subcomponent: int = 1) -> str:
        """Return a part of the first segment of a name as `Segment.text` does; "" without one."""
        segment = self.first(name)
        return "" if segment is None else segment.text(field, component, subcomponent)

    def digest(self) -> str:
        """Return the SHA-256 of all that it says, as hexadecimal digits.

        Its envelope does not count: the time, the id, the sequence number and the character set
        of the sending (MSH-7, -10, -13, -18), blank lines, and what ends a line.
        """
        separator = self.delimiters.field
        behind = _begin(separator).search(self._text)
        end = behind.start() if behind else len(self._text)
        head = self._text[:end].split(separator)
        for number in ENVELOPE:
            head[number - 1 : number] = [""] * (number <= len(head))
        rest = self._text[end:]
        rest = BREAK.sub("\r", rest) if "\r\r" in rest else rest
        said = separator.join(head).rstrip(separator) + rest
        return sha256(said.encode("utf_8", "surrogatepass")).hexdigest()

    def __iter__(self) -> Iterator[Segment]:
        """Yield all segments in the order of the message."""
        yield self._segment(0)
        for match in _begin(self.delimiters.field).finditer(self._text):
            yield self._segment(match.end())

    def _start(self, name: str) -> int:
        """Return where a segment begins, or -1. To look is faster than to split the message."""
        if name == "MSH":
            return 0
        sought = f"\r{name}{self.delimiters.field}"
        start = self._text.find(sought)
        if start < 0:  # few senders write small letters
            match = re.search(re.escape(sought), self._text, re.IGNORECASE | re.ASCII)
            start = -2 if match is None else match.start()
        return start + 1

    def _segment(self, start: int) -> Segment:
        behind = _begin(self.delimiters.field).search(self._text, start)
        line = self._text[start : behind.start() if behind else None].rstrip("\r")
        return Segment(BREAK.sub("\n", line) if "\r" in line else line, self)


class Segment:
    """A segment; fields, components and the others count from 1."""

    __slots__ = ("_codec", "_delimiters", "_fields", "name")

    def __init__(self, line: str, message: Message) -> None:
        delimiters = message.delimiters
        self.name = line[:3].upper()
        self._fields = line.split(delimiters.field)
        if self.name == "MSH":  # MSH-1 is the separator itself
            self._fields.insert(1, delimiters.field)
        self._delimiters = delimiters
        self._codec = message.decoded.codec

    def text(
        self, field: int, component: int = 1, subcomponent: int = 1, repetition: int = 1
    ) -> str:
        """Return a part, unescaped and without spaces around it; "" if absent or null."""
        if not self.raw(field):  # as most fields are
            return ""
        part = self._part(field, component, subcomponent, repetition)
        return "" if part == NULL else unescape(part, self._delimiters, self._codec).strip()

    def components(self, field: int, repetition: int = 1) -> list[str]:
        """Return `text` of each component of a field at once; [] where the field is empty."""
        part = self.raw(field)
        if not part:
            return []
        delimiters = self._delimiters
        if delimiters.repetition in part:
            repeated = part.split(delimiters.repetition, repetition)
            part = repeated[repetition - 1] if repetition <= len(repeated) else ""
        elif repetition > 1:
            return []
        first = [
            each.split(delimiters.subcomponent, 1)[0] for each in part.split(delimiters.component)
        ]
        return [
            "" if each == NULL else unescape(each, delimiters, self._codec).strip()
            for each in first
        ]

    def said(self, field: int, component: int = 1, subcomponent: int = 1) -> str | None:
        """Return the same, but None where nothing is said, and "" where it is said to be empty."""
        part = self._part(field, component, subcomponent, 1)
        if part == NULL or self.raw(field) == NULL:
            return ""
        return unescape(part, self._delimiters, self._codec).strip() or None

    def repetitions(self, field: int) -> int:
        """Return how often a field is there; 0 where it is empty."""
        raw = self.raw(field)
        return raw.count(self._delimiters.repetition) + 1 if raw else 0

    def whole(self, field: int) -> str:
        """Return a field as one text: for types of text, in which nothing separates."""
        raw = self.raw(field)
        return "" if raw == NULL else unescape(raw, self._delimiters, self._codec)

    def raw(self, field: int) -> str:
        """Return a field as it was sent; "" where there is none."""
        return self._fields[field] if field < len(self._fields) else ""

    def _part(self, field: int, component: int, subcomponent: int, repetition: int) -> str:
        part = self.raw(field)
        if not part:
            return part
        delimiters = self._delimiters
        for delimiter, place in (
            (delimiters.repetition, repetition),
            (delimiters.component, component),
            (delimiters.subcomponent, subcomponent),
        ):
            if delimiter in part:
                parts = part.split(delimiter, place)
                part = parts[place - 1] if place <= len(parts) else ""
            elif place > 1:
                return ""
        return part


@lru_cache(maxsize=64)
def _begin(separator: str) -> re.Pattern[str]:
    """Return what separates two segments: a CR before a name and the field separator."""
    return re.compile(f"\r(?=[A-Za-z][A-Za-z0-9]{{2}}{re.escape(separator)})")
