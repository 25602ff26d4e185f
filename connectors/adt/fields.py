"""What fields of one sender's messages mean: numbers, places, times.

A patient's messages repeat each field again and again, as those of a bed and of a minute do. So
what a text meant is remembered: to read it anew took most of the time of a message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from datetime import tzinfo
from functools import lru_cache, partial
from typing import Generic, TypeVar

from connectors.hl7.delimiters import Delimiters
from connectors.hl7.message import NULL, Segment
from connectors.hl7.times import instant
from state.errors import OutOfRange

MEDICAL_RECORD = frozenset({"MR", "MRN"})
MOST_BYTES = 80
"""Of a part of a key, in UTF-8: the longest key, that of an anomaly, has nine parts and at most
1,000 bytes (state/outputs.py). HL7 gives a number 15 characters and a point of care 20."""
NO_TEXT = re.compile("[\0-\x1f\x7f\ud800-\udfff]")
NOT_OF_LINES = re.compile("[\0-\x08\x0b-\x1f\x7f\ud800-\udfff]")
FIVE = ("",) * 5
"""Components that a field may leave out."""
MOST_NUMBERS = 100
"""Further ones are not looked at: nobody has more, and each is sought from the field's begin."""
REMEMBERED = 2048
"""Texts of one kind and sender; more than a day's patients of a large hospital."""
LONGEST = 200
"""Longer texts are not remembered: nobody sends the same again."""
SENDERS = 32
"""Senders of which anything is remembered: all in all some 100 MB at most."""

T = TypeVar("T")


class Memo(dict[str, T], Generic[T]):
    """What ``meaning`` gives for a text; forgotten all at once when it is full.

    A dict, for to ask one takes a tenth of the time that ``lru_cache`` takes.
    """

    def __init__(self, meaning: Callable[[str], T]) -> None:
        super().__init__()
        self._meaning = meaning

    def __missing__(self, text: str) -> T:
        found = self._meaning(text)
        self.remember(text, found)
        return found

    def remember(self, text: str, meaning: T) -> None:
        """Remember what a text means, unless it is long."""
        if len(text) <= LONGEST:
            if len(self) >= REMEMBERED:
                self.clear()
            self[text] = meaning


class Fields:
    """What fields mean under the delimiters, the codec, the facility and the zone of a message.

    ``home`` is whose beds are told without their facility.
    """

    def __init__(
        self, delimiters: Delimiters, codec: str, facility: str, zone: tzinfo, home: str
    ) -> None:
        self._delimiters, self._codec = delimiters, codec
        self._facility, self._zone, self._home = facility, zone, home
        self.persons: Memo[tuple[str | None, ...]] = Memo(lambda _: ())
        """What PID says of a person, by the fields that are read (`connectors.adt.attributes`)."""
        self.events = Memo(self._event)
        """The type of a message and its trigger (MSH-9)."""
        self.patients = Memo(partial(self._number, types=MEDICAL_RECORD))
        """Patient numbers: the first one of a medical record if there is any; else as `numbers`."""
        self.numbers = Memo(partial(self._number, types=()))
        """The first usable number of a list, as ``id^^^authority``; "" without any."""
        self.locations = Memo(self._location)
        """ward^room^bed, and the facility where it is not ``home``, the sender or the domain that
        it shares: None where nothing is said, "" where it is said to be nowhere."""
        self.times = Memo(self._time)
        """ns since 1970 and the kind of doubt, if any; None where there is none, or it does not
        exist."""

    def _event(self, field: str) -> tuple[str, str]:
        alone = self._alone(field)
        return alone.text(1), alone.text(1, 2)

    def _number(self, field: str, types: Collection[str]) -> str:
        segment = self._alone(field)
        usable: list[tuple[bool, str, str]] = []
        for each in range(1, min(segment.repetitions(1), MOST_NUMBERS) + 1):
            number, _, _, authority, kind, *_ = (*segment.components(1, each), *FIVE)
            if number:
                authority = authority or segment.text(1, 4, 2, each) or self._facility
                usable.append((kind in types, number, authority))
        # Only the number that counts has to be one that can be kept.
        _, *found = max(usable, key=lambda each: each[0], default=(False, "", ""))
        return identity(*found)

    def _location(self, field: str) -> str | None:
        if not field:
            return None
        *parts, facility = (*self._alone(field).components(1), *FIVE)[:4]
        # A ward has the same name in two facilities of one domain, and is not the same.
        facility = facility or (self._facility if self._home != self._facility else "")
        if any(parts) and facility != self._home:
            parts.append(facility)
        return "^".join(map(part, parts)).rstrip("^") or ("" if NULL in field else None)

    def _time(self, field: str) -> tuple[int | None, str]:
        text = field if field.isdigit() else self._alone(field).text(1)
        if not text:
            return None, ""
        try:
            found = instant(text, self._zone)
        except OutOfRange:
            return None, "time_invalid"
        return found.ns, "time_ambiguous" if found.ambiguous else ""

    def _alone(self, field: str) -> Segment:
        return Segment.alone(field, self._delimiters, self._codec)


def fields_of(delimiters: Delimiters, codec: str, facility: str, zone: tzinfo, home: str) -> Fields:
    """Return what fields mean, remembered from message to message."""
    if len(facility) > LONGEST:
        return Fields(delimiters, codec, facility, zone, home)
    return _fields_of(delimiters, codec, facility, zone, home)


@lru_cache(maxsize=SENDERS)
def _fields_of(
    delimiters: Delimiters, codec: str, facility: str, zone: tzinfo, home: str
) -> Fields:
    return Fields(delimiters, codec, facility, zone, home)


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
