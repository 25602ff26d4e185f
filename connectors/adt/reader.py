"""Reads from one message what all kinds of messages hold: who it is about, and when it was."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, tzinfo
from typing import ParamSpec, TypeVar

from connectors.adt.envelope import ALONE, UNKNOWN, Domains, shared
from connectors.adt.fields import fields_of, identity, part
from connectors.hl7.message import Message, Segment
from connectors.hl7.times import RANGE_NS, zone_of
from state.clock import MAX_TIME_NS, iso_time
from state.errors import NoTime, OutOfRange, WrongType

RECORDED = range(MAX_TIME_NS)
"""Recorded times are event times, which begin in 1970."""
DIGITS = 24
"""Of a digest, 96 bits: enough to tell messages of one time apart, and a third of the state."""

FIELD_INVALID = "field_invalid"
"""The kind of doubt of a field that is left out, for it is longer than any such field is."""
P = ParamSpec("P")
T = TypeVar("T")

Place = tuple[Segment, int]
"""A segment and the number of a field of it."""


class Reader:
    """Reads patients, visits and times, and notes which of the times are doubtful."""

    def __init__(self, message: Message, zone: tzinfo, domains: Domains = ALONE) -> None:
        """Read ``message``; ``zone`` counts where neither a time nor MSH-7 names one."""
        msh = message.one("MSH")
        self._shared = shared(message.header, domains)
        # Among those who share a domain, a number without an authority has to have its sender's.
        self.facility = msh.text(4) or (msh.text(3) if self._shared else "")
        self.doubts: dict[tuple[str, str], None] = {}
        """The kind of each doubt and its field, such as EVN-6, in the order of reading."""
        self._message, self._codec = message, message.decoded.codec
        self._own = zone_of(msh.text(7))
        zone = self._own or zone
        home = self._shared or self.facility
        self._fields = fields_of(message.delimiters, self._codec, self.facility, zone, home)
        self.persons = self._fields.persons
        """Persons that were read before."""
        self.event: tuple[str, str] = self._fields.events[msh.raw(9)]
        """The type of the message and its trigger (MSH-9)."""

    def domain(self) -> str:
        """Return the merge domain as text (`connectors.adt.envelope.domain`)."""
        name = self._shared or part(self.facility or self._message.text("MSH", 3))
        return name or UNKNOWN.decode()

    def digest(self) -> str:
        """Return what stands for a message in the order of statements.

        The zone of MSH-7 and the character set belong to the envelope, and yet they change what is
        read: without them two statements that differ would have one digest.
        """
        return f"{self._message.digest()[:DIGITS]} {self._own or ''} {self._codec}"

    def patient(self, segment: Segment, field: int = 3) -> str:
        """Return a patient's number (PID-3) as ``id^^^authority``; "" where none can be used."""
        raw = segment.raw(field)
        return self._fields.patients[raw] if raw else ""

    def visit(self, pid: Segment, pv1: Segment) -> str:
        """Return PV1-19, else PID-18, else when the visit began (PV1-44); "" without any."""
        found = self.number(pv1, 19) or self.number(pid, 18)
        if found:
            return found
        since_ns = self.ns(pv1, 44)
        return "" if since_ns is None else identity(iso_time(since_ns), self.facility)

    def number(self, segment: Segment, field: int) -> str:
        """Return the first usable number of a list as ``id^^^authority``; "" without any."""
        raw = segment.raw(field)
        return self._fields.numbers[raw] if raw else ""

    def location(self, segment: Segment, field: int) -> str | None:
        """Return ward^room^bed, and the facility where it is not the sender's, or others share it.

        None where nothing is said, "" where it is said to be nowhere.
        """
        raw = segment.raw(field)
        return self._fields.locations[raw] if raw else None

    def first_ns(self, *places: Place, default: int | None = None, within: range = RANGE_NS) -> int:
        """Return the first time of these in ns since 1970. Raises NoTime without any default."""
        found = self.any_ns(*places, within=within)
        found = default if found is None else found
        if found is None:
            raise NoTime("neither EVN nor MSH-7 has a time")
        return found

    def any_ns(self, *places: Place, within: range = RANGE_NS) -> int | None:
        """Return the first time of these in ns since 1970, None where there is none."""
        times = self._fields.times
        for place in places:
            raw = place[0].raw(place[1])
            if not raw:
                continue
            found, doubt = times[raw]
            if doubt:
                self._doubt(doubt, place)
            if found is not None:
                if found in within:
                    return found
                self._doubt("time_invalid", place)
        return None

    def kept(self, field: str, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """Return what ``read`` reads of a field; None, and a doubt, where that cannot be kept."""
        try:
            return read(*args, **kwargs)
        except OutOfRange:
            self.doubts[FIELD_INVALID, field] = None
            return None

    def ns(self, segment: Segment, field: int) -> int | None:
        """Return a time in ns since 1970 UTC, None where there is none, or it does not exist."""
        return self.any_ns((segment, field))

    def _doubt(self, kind: str, place: Place) -> None:
        self.doubts[kind, f"{place[0].name}-{place[1]}"] = None


def recorded_ns(message: Message, zone: tzinfo = UTC) -> int | None:
    """Return when a message was recorded, ns since 1970 UTC: by EVN-2, else by MSH-7.

    None where neither is a time. A time without a zone has that of MSH-7, else ``zone``.
    """
    return Reader(message, zone).any_ns((message.one("EVN"), 2), (message.one("MSH"), 7))


def placed(of_message: str, place: int) -> str:
    """Return the digest of a statement, the one at ``place`` of its message.

    Two statements of one message must not be one to the order of statements.
    """
    return f"{of_message} {place:06}"


def needed(name: str, value: str) -> str:
    """Return the value. Raises WrongType, with the name of its field, where it is empty."""
    if not value:
        raise WrongType(f"{name} is missing")
    return value
