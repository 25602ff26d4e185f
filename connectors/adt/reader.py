"""Reads from one message what all kinds of messages hold: who it is about, and when it was."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, tzinfo

from connectors.adt.envelope import UNKNOWN
from connectors.hl7.message import Message, Segment
from connectors.hl7.times import RANGE_NS, instant, zone_of
from state.clock import MAX_TIME_NS, iso_time
from state.errors import NoTime, OutOfRange, WrongType

MEDICAL_RECORD = frozenset({"MR", "MRN"})
MOST_BYTES = 80
"""Of a part of a key, in UTF-8: the longest key, that of an anomaly, has nine parts and at most
1,000 bytes (state/outputs.py). HL7 gives a number 15 characters and a point of care 20."""
NO_TEXT = re.compile("[\0-\x1f\x7f\ud800-\udfff]")
NOT_OF_LINES = re.compile("[\0-\x08\x0b-\x1f\x7f\ud800-\udfff]")
RECORDED = range(MAX_TIME_NS)
"""Recorded times are event times, which begin in 1970."""
FIVE = ("",) * 5
"""Components that a field may leave out."""
MOST_NUMBERS = 100
"""Further ones are not looked at: nobody has more, and each is sought from the field's begin."""
DIGITS = 24
"""Of a digest, 96 bits: enough to tell messages of one time apart, and a third of the state."""

Place = tuple[Segment, int]
"""A segment and the number of a field of it."""


class Reader:
    """Reads patients, visits and times, and notes which of the times are doubtful."""

    def __init__(self, message: Message, zone: tzinfo) -> None:
        """Read ``message``; ``zone`` counts where neither a time nor MSH-7 names one."""
        self.facility = message.text("MSH", 4)
        self.doubts: dict[tuple[str, str], None] = {}
        """The kind of each doubt and its field, such as EVN-6, in the order of reading."""
        self._zone = zone_of(message.text("MSH", 7)) or zone

    def patient(self, pid: Segment) -> str:
        """Return who it is (PID-3) as ``id^^^authority``; "" where no number can be used."""
        return self.number(pid, 3, MEDICAL_RECORD)

    def visit(self, pid: Segment, pv1: Segment) -> str:
        """Return PV1-19, else PID-18, else when the visit began (PV1-44); "" without any."""
        found = self.number(pv1, 19) or self.number(pid, 18)
        if found:
            return found
        since_ns = self.ns(pv1, 44)
        return "" if since_ns is None else identity(iso_time(since_ns), self.facility)

    def number(self, segment: Segment, field: int, types: Collection[str] = ()) -> str:
        """Return the first usable number of a list, one of these types if there is any; else ""."""
        usable: list[tuple[bool, str]] = []
        for each in range(1, min(segment.repetitions(field), MOST_NUMBERS) + 1):
            number, _, _, authority, kind, *_ = (*segment.components(field, each), *FIVE)
            if number:
                authority = authority or segment.text(field, 4, 2, each) or self.facility
                usable.append((kind in types, identity(number, authority)))
        return max(usable, key=lambda each: each[0], default=(False, ""))[1]

    def first_ns(self, *places: Place, default: int | None = None, within: range = RANGE_NS) -> int:
        """Return the first time of these in ns since 1970. Raises NoTime without any default."""
        found = self.any_ns(*places, within=within)
        found = default if found is None else found
        if found is None:
            raise NoTime("neither EVN nor MSH-7 has a time")
        return found

    def any_ns(self, *places: Place, within: range = RANGE_NS) -> int | None:
        """Return the first time of these in ns since 1970, None where there is none."""
        for segment, field in places:
            found = self.ns(segment, field)
            if found is not None and found in within:
                return found
            if found is not None:
                self.doubts["time_invalid", f"{segment.name}-{field}"] = None
        return None

    def ns(self, segment: Segment, field: int) -> int | None:
        """Return a time in ns since 1970, None where there is none, or it does not exist."""
        text = segment.text(field)
        if not text:
            return None
        try:
            found = instant(text, self._zone)
        except OutOfRange:
            self.doubts["time_invalid", f"{segment.name}-{field}"] = None
            return None
        if found.ambiguous:
            self.doubts["time_ambiguous", f"{segment.name}-{field}"] = None
        return found.ns


def recorded_ns(message: Message, zone: tzinfo = UTC) -> int | None:
    """Return when a message was recorded, ns since 1970 UTC: by EVN-2, else by MSH-7.

    None where neither is a time. A time without a zone has that of MSH-7, else ``zone``.
    """
    nothing = Segment("", message)
    evn, msh = (message.first(name) or nothing for name in ("EVN", "MSH"))
    return Reader(message, zone).any_ns((evn, 2), (msh, 7))


def domain(message: Message) -> str:
    """Return the merge domain as text (`connectors.adt.envelope.domain`)."""
    return part(message.text("MSH", 4) or message.text("MSH", 3)) or UNKNOWN.decode()


def digest(message: Message) -> str:
    """Return what stands for a message in the order of statements.

    The zone of MSH-7 and the character set belong to the envelope, and yet they change what is
    read: without them two statements that differ would have one digest.
    """
    own = zone_of(message.text("MSH", 7))
    return f"{message.digest()[:DIGITS]} {own or ''} {message.decoded.codec}"


def placed(of_message: str, place: int) -> str:
    """Return the digest of a statement, the one at ``place`` of its message.

    Two statements of one message must not be one to the order of statements.
    """
    return f"{of_message} {place:06}"


def identity(number: str, authority: str) -> str:
    """Return ``id^^^authority``. Raises OutOfRange where one is longer than any number is."""
    return "^^^".join((part(number), part(authority))).rstrip("^")


def part(text: str) -> str:
    """Return a part of a key: what separates parts is escaped again, as HL7 writes it.

    Raises OutOfRange where it is too long, or holds what is no character of a text.
    """
    escaped = within(text.replace("^", "\\S\\").replace("|", "\\F\\"))
    if NO_TEXT.search(escaped):
        raise OutOfRange("a number or a place holds a control character")
    return escaped


def within(text: str) -> str:
    """Return the text. Raises OutOfRange where it is longer than a part of a key may be."""
    if len(text) * 4 > MOST_BYTES and len(text.encode("utf_8", "replace")) > MOST_BYTES:
        raise OutOfRange(f"a number or a place is longer than {MOST_BYTES} bytes")
    return text


def plain(text: str) -> str:
    """Return a text of one or more lines without what is no character of one."""
    return NOT_OF_LINES.sub("", text)


def needed(name: str, value: str) -> str:
    """Return the value. Raises WrongType, with the name of its field, where it is empty."""
    if not value:
        raise WrongType(f"{name} is missing")
    return value
