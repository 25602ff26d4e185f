"""One message as text, read where it is asked: segments by name, fields by number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256
from itertools import pairwise

from connectors.hl7.charsets import Decoded, decode
from connectors.hl7.delimiters import Delimiters, declared
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

    __slots__ = ("_found", "_lines", "_plain", "_text", "decoded", "delimiters", "header", "raw")

    def __init__(self, raw: bytes, charset: str = DEFAULT_CHARSET) -> None:
        """Read MSH and the character set. Raises Malformed, which repeats nothing of the message.

        ``charset`` is the codec of what has no true label and is no UTF-8.
        """
        clean = cleaned(raw)
        self.raw = raw
        self.header = header = Header(clean)
        self.delimiters: Delimiters = header.delimiters
        marked = raw.startswith(MARK)
        self.decoded: Decoded = decode(clean, header.codecs(), charset, marked=marked)
        self._text = self.decoded.text
        self._lines: list[str] = []
        self._plain = False
        """Whether each line is a segment, as in nearly all messages."""
        self._found: dict[str, Segment | None] = {}

    def first(self, name: str) -> Segment | None:
        """Return the first segment of a name in capitals, or None."""
        found = self._found.get(name, UNKNOWN)
        if found is UNKNOWN:
            line = self._line(name)
            found = self._found[name] = None if line is None else self._segment(name, line)
        return found

    def one(self, name: str) -> Segment:
        """Return the first segment of a name in capitals, `NOTHING` where there is none."""
        return self.first(name) or NOTHING

    def text(self, name: str, field: int, component: int = 1, subcomponent: int = 1) -> str:
        """Return a part of the first segment of a name as `Segment.text` does; "" without one."""
        segment = self.first(name)
        return "" if segment is None else segment.text(field, component, subcomponent)

    def digest(self) -> str:
        """Return the SHA-256 of all that it says, as hexadecimal digits.

        Its envelope does not count: the time, the id, the sequence number and the character set
        of the sending (MSH-7, -10, -13, -18), blank lines, and what ends a line.
        """
        text, separator = self._text, self.delimiters.field
        first = self._split()[0]
        if self._plain:
            head, rest = first.split(separator), text[len(first) :]
        else:
            behind = _begin(separator).search(text)
            end = behind.start() if behind else len(text)
            head, rest = text[:end].split(separator), BREAK.sub("\r", text[end:])
        for number in ENVELOPE:
            if number <= len(head):
                head[number - 1] = ""
        said = separator.join(head).rstrip(separator) + rest
        return sha256(said.encode("utf_8", "surrogatepass")).hexdigest()

    def __iter__(self) -> Iterator[Segment]:
        """Yield all segments in the order of the message."""
        for line in self._split():
            yield self._segment(line[:3].upper(), line)

    def _segment(self, name: str, line: str) -> Segment:
        delimiters = self.delimiters
        fields = line.split(delimiters[0])
        if name == "MSH":  # MSH-1 is the separator itself
            fields.insert(1, delimiters[0])
        return Segment(name, fields, delimiters, self.decoded.codec)

    def _line(self, name: str) -> str | None:
        """Return the first segment of a name; few senders write small letters."""
        lines = self._lines or self._split()
        if name == "MSH":
            return lines[0]
        begin = name + self.delimiters[0]
        for line in lines:
            if line.startswith(begin):
                return line
        return next((line for line in lines[1:] if line[:4].upper() == begin), None)

    def _split(self) -> list[str]:
        """Return the segments, without what ends them."""
        if not self._lines:
            text, separator = self._text, self.delimiters.field
            self._plain = _continued(separator).search(text) is None
            if self._plain:
                self._lines = text.split("\r")
            else:
                starts = (match.start() for match in _begin(separator).finditer(text))
                ends = [*starts, len(text)]
                whole = (text[start:end] for start, end in pairwise((0, *ends)))
                self._lines = [BREAK.sub("\n", line.strip("\r")) for line in whole]
        return self._lines


class Segment:
    """A segment; fields, components and the others count from 1."""

    __slots__ = ("_codec", "_delimiters", "_fields", "name")

    def __init__(self, name: str, fields: list[str], delimiters: Delimiters, codec: str) -> None:
        """``fields`` begin with the name; those of MSH have MSH-1, the separator, in its place."""
        self.name = name
        self._fields = fields
        self._delimiters = delimiters
        self._codec = codec

    @classmethod
    def alone(cls, field: str, delimiters: Delimiters, codec: str) -> Segment:
        """Return a segment that has nothing but its first field."""
        return cls("", ["", field], delimiters, codec)

    def text(
        self, field: int, component: int = 1, subcomponent: int = 1, repetition: int = 1
    ) -> str:
        """Return a part, unescaped and without spaces around it; "" if absent or null."""
        fields = self._fields
        part = fields[field] if field < len(fields) else ""
        if not part:  # as most fields are
            return ""
        if part.isalnum():  # nothing separates in it, and nothing is escaped
            return part if component == subcomponent == repetition == 1 else ""
        part = self._part(part, component, subcomponent, repetition)
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
        part = self.raw(field)
        if not part:
            return None
        if part.isalnum() and component == subcomponent == 1:
            return part
        if part == NULL:
            return ""
        part = self._part(part, component, subcomponent, 1)
        if part == NULL:
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
        fields = self._fields
        return fields[field] if field < len(fields) else ""

    def _part(self, part: str, component: int, subcomponent: int, repetition: int) -> str:
        """Return a part of a field. Not a loop over the three: this is half of all reading."""
        _, comp, rep, _, sub = self._delimiters
        if rep in part:
            part = _nth(part, rep, repetition)
        elif repetition > 1:
            return ""
        if comp in part:
            part = _nth(part, comp, component)
        elif component > 1:
            return ""
        if sub in part:
            return _nth(part, sub, subcomponent)
        return "" if subcomponent > 1 else part


NOTHING = Segment.alone("", declared(b"|", b"^~\\&"), "ascii")
"""Stands for a segment that is not there: all of its fields are empty."""


UNKNOWN = Segment.alone("", declared(b"|", b"^~\\&"), "ascii")
"""Stands for a segment that was not looked for."""


def _nth(part: str, delimiter: str, place: int) -> str:
    parts = part.split(delimiter, place)
    return parts[place - 1] if place <= len(parts) else ""


@lru_cache(maxsize=64)
def _begin(separator: str) -> re.Pattern[str]:
    """Return what separates two segments: a CR before a name and the field separator."""
    return re.compile(f"\r(?=[A-Za-z][A-Za-z0-9]{{2}}{re.escape(separator)})")


@lru_cache(maxsize=64)
def _continued(separator: str) -> re.Pattern[str]:
    """Return what stands before a line that begins no segment."""
    return re.compile(f"\r(?![A-Za-z][A-Za-z0-9]{{2}}{re.escape(separator)})")
