"""HL7 v2 ADT messages into statements about patients, visits and beds."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import UTC, tzinfo
from typing import NamedTuple

from connectors.adt.envelope import UNKNOWN
from connectors.hl7.message import NULL, Message, Segment
from connectors.hl7.times import RANGE_NS, instant, zone_of
from state.adt.facts import (
    Alias,
    BedStatus,
    Fact,
    Mother,
    Oddity,
    Rekey,
    Statement,
    Told,
    VisitKey,
)
from state.adt.triggers import (
    ACCOUNTS,
    ALIASES,
    BED_STATUS,
    CANCELS,
    DELETES_PERSON,
    IN_GROUPS,
    KNOWN,
    MOVES,
    OF_VISITS,
    SWAPS,
    VISITS,
    Effect,
    effect,
)
from state.clock import MAX_TIME_NS, iso_time
from state.errors import BadRecord, NoTime, OutOfRange, WrongType
from state.metrics import RECORDS
from state.records import HEARTBEAT_HEADER, Messages
from state.rows import RowBlock

MEDICAL_RECORD = frozenset({"MR", "MRN"})
MOST_BYTES = 80
"""Of a part of a key, in UTF-8: the longest key, that of an anomaly, has nine parts and at most
1,000 bytes (state/outputs.py). HL7 gives a number 15 characters and a point of care 20."""
NO_TEXT = re.compile("[\0-\x1f\x7f\ud800-\udfff]")
RECORDED = range(MAX_TIME_NS)
"""Recorded times are event times, which begin in 1970."""
MOST_GROUPS = 1000
FIVE = ("",) * 5
"""Components that a field may leave out."""
DIGITS = 24
"""Of a digest, 96 bits: enough to tell messages of one time apart, and a third of the state."""
MOST_NUMBERS = 100
"""Further ones are not looked at: nobody has more, and each is sought from the field's begin."""


def decode(messages: Messages, zone: tzinfo = UTC) -> RowBlock[Told]:
    """Return what the messages of a batch say, and a dead letter for what is no message.

    ``zone`` counts where a message names none.
    """
    block: RowBlock[Told] = RowBlock.of(messages)
    for row in range(len(messages)):
        value = messages.value(row)
        if not value and HEARTBEAT_HEADER in dict(messages.headers.get(row, ())):
            continue
        try:
            said = parse(value, zone)
        except BadRecord as error:
            block.dead.append(messages.dead(row, error))
        else:
            if said.statements:
                block.rows.append(Told(messages.coordinates(row), *said))
    RECORDS.labels(messages.topic).inc(len(block))
    return block


class Parsed(NamedTuple):
    """The domain of a message, when it was recorded, and what it says: nothing if not of ADT."""

    domain: str
    recorded_ns: int
    statements: tuple[Statement, ...]


def parse(raw: bytes, zone: tzinfo = UTC) -> Parsed:
    """Return what a message says; ``zone`` counts where it names none.

    Raises BadRecord, which repeats nothing of the message.
    """
    message = Message(raw)
    trigger = _trigger(message)
    if not trigger:
        return Parsed("", 0, ())
    groups = _groups(message) if trigger in IN_GROUPS else [_only_group(message)]
    if len(groups) > MOST_GROUPS:
        raise OutOfRange(f"the message is about more than {MOST_GROUPS} patients")
    head = _Head(message, trigger, groups, zone)
    tellers = [_Teller(head, place) for place in range(len(groups))]
    statements = tuple(each for teller in tellers for each in teller.tell())
    return Parsed(_domain(message), tellers[0].recorded_ns, tuple(dict.fromkeys(statements)))


def _domain(message: Message) -> str:
    """Return the merge domain as text (`connectors.adt.envelope.domain`)."""
    return _part(message.text("MSH", 4) or message.text("MSH", 3)) or UNKNOWN.decode()


def _trigger(message: Message) -> str:
    """Return MSH-9.2, else EVN-1; "" where the message is none of ADT."""
    if message.text("MSH", 9) not in ("ADT", ""):
        return ""
    return message.text("MSH", 9, 2) or message.text("EVN", 1)


class _Group(NamedTuple):
    """A patient, the number merged into it, and the visit; an empty segment for what is missing."""

    pid: Segment
    mrg: Segment
    pv1: Segment


def _only_group(message: Message) -> _Group:
    nothing = Segment("", message)
    return _Group(message.first("PID") or nothing, nothing, message.first("PV1") or nothing)


def _groups(message: Message) -> list[_Group]:
    """Return the groups of a message: PID begins one, and so does a further MRG of a patient."""
    nothing = Segment("", message)
    found = [_Group(nothing, nothing, nothing)]
    for segment in message:
        last = found[-1]
        if segment.name == "PID":
            found.append(_Group(segment, nothing, nothing))
        elif segment.name == "MRG" and last.mrg is not nothing:
            found.append(_Group(last.pid, segment, nothing))
        elif segment.name == "MRG":
            found[-1] = last._replace(mrg=segment)
        elif segment.name == "PV1" and last.pv1 is nothing:
            found[-1] = last._replace(pv1=segment)
    return found[1:] or found


class _Head:
    """What all groups of a message share."""

    def __init__(self, message: Message, trigger: str, groups: list[_Group], zone: tzinfo) -> None:
        nothing = Segment("", message)
        own = zone_of(message.text("MSH", 7))
        self.message, self.trigger, self.groups = message, trigger, groups
        self.facility = message.text("MSH", 4)
        self.zone = own or zone
        self.evn, self.msh = message.first("EVN") or nothing, message.first("MSH") or nothing
        # The zone and the character set belong to the envelope, and yet they change what is read.
        read_by = f"{own or ''} {message.decoded.codec}"
        self.digest = f"{message.digest()[:DIGITS]} {read_by}"


class _Teller:
    """Reads one group of a message, and notes which of the times that count are doubtful."""

    def __init__(self, head: _Head, place: int) -> None:
        self._message, self._trigger = head.message, head.trigger
        self._facility, self._zone, self._evn = head.facility, head.zone, head.evn
        self._group = head.groups[place]
        swaps = head.trigger == SWAPS and len(head.groups) == 2
        self._other = head.groups[1 - place] if swaps else None
        self._doubts: dict[tuple[str, str], None] = {}
        # Two statements of one message must not be one to the order of statements.
        self._digest = f"{head.digest} {place:06}"
        left = [(self._group.pv1, 45)] if effect(self._trigger) & Effect.DISCHARGES else []
        recorded = [(self._evn, 2), (head.msh, 7)]
        self._clinical_ns = self._first_ns(*left, (self._evn, 6), *recorded)
        self.recorded_ns = self._first_ns(*recorded, default=self._clinical_ns, within=RECORDED)
        if self.recorded_ns not in RECORDED:
            raise NoTime("no recorded time is between 1970 and 2116")
        self._patient = self._number(self._group.pid, 3, MEDICAL_RECORD)

    def tell(self) -> Iterator[Statement]:
        """Yield what the group says; raises WrongType where what it is about is not named."""
        trigger = self._trigger
        visit = self._visit()
        mother = self._number(self._group.pid, 21, MEDICAL_RECORD)
        if self._patient and mother:
            yield Mother(self._patient, mother)
        if trigger in OF_VISITS:
            yield from self._of_visit(visit)
        elif trigger == DELETES_PERSON:
            yield self._fact("")
        elif trigger in ALIASES:
            yield self._alias()
        elif trigger in ACCOUNTS | VISITS:
            yield from self._rekey()
        elif trigger == BED_STATUS:
            yield self._bed()
        elif trigger not in KNOWN:
            yield self._oddity("trigger_unknown", visit)
        if self._message.decoded.mismatch:
            yield self._oddity("charset_mismatch", visit, "MSH-18")
        for kind, field in self._doubts:
            yield self._oddity(kind, visit, field)

    def _of_visit(self, visit: str) -> Iterator[Statement]:
        """Yield a fact. A correction may come without a visit, for it tells of the person too."""
        trigger, pv1 = self._trigger, self._group.pv1
        does = effect(trigger)
        if not visit and does & Effect.CORRECTS:
            return
        fact = self._fact(_needed("PV1-19", visit))._replace(
            location=self._location(pv1, 3),
            prior=self._prior(),
            patient_class=pv1.said(2),
            disposition=pv1.said(36),
        )
        if does & (Effect.FROM_A_BED | Effect.CORRECTS | Effect.DISCHARGES):
            fact = fact._replace(admitted_ns=self._ns(pv1, 44))
        if does & Effect.CORRECTS:
            fact = fact._replace(discharged_ns=self._ns(pv1, 45))
        if trigger in CANCELS:
            fact = fact._replace(occurred_ns=self._ns(self._evn, 6))
        yield fact

    def _fact(self, visit: str) -> Fact:
        patient = _needed("PID-3", self._patient)
        when = self._clinical_ns, self.recorded_ns, self._digest
        return Fact(*when, self._trigger, patient, visit)

    def _alias(self) -> Statement:
        gone = _needed("MRG-1", self._number(self._group.mrg, 1, MEDICAL_RECORD))
        survivor = _needed("PID-3", self._patient)
        if gone == survivor:
            return self._oddity("merge_into_itself", self._visit())
        return Alias(self.recorded_ns, self._clinical_ns, self._digest, gone, survivor)

    def _rekey(self) -> Iterator[Statement]:
        """Yield that a visit or an account got another number, or another patient."""
        pid, mrg, pv1 = self._group
        patient = owner = _needed("PID-3", self._patient)
        if self._trigger in ACCOUNTS:
            old, new = self._number(mrg, 3), self._number(pid, 18)
        else:
            old, new = self._number(mrg, 5), self._number(pv1, 19)
        moves = self._trigger in MOVES
        if moves:
            owner = _needed("MRG-1", self._number(mrg, 1, MEDICAL_RECORD))
            old, new = old or new, new or old
        names = ("MRG-3", "PID-18") if self._trigger in ACCOUNTS else ("MRG-5", "PV1-19")
        source: VisitKey = owner, _needed(names[0], old)
        target: VisitKey = patient, _needed(names[1], new)
        yield Rekey(self.recorded_ns, self._clinical_ns, self._digest, source, target, moves=moves)

    def _bed(self) -> Statement:
        npu = self._message.first("NPU") or Segment("", self._message)
        location = _needed("NPU-1", self._location(npu, 1) or "")
        status = npu.said(2)
        if status is None:
            raise WrongType("NPU-2 is missing")
        return BedStatus(self._clinical_ns, self.recorded_ns, self._digest, location, status)

    def _oddity(self, kind: str, visit: str, field: str = "") -> Oddity:
        return Oddity(self._clinical_ns, kind, self._patient, visit, field)

    def _visit(self) -> str:
        """Return PV1-19, else PID-18, else when the visit began (PV1-44)."""
        found = self._number(self._group.pv1, 19) or self._number(self._group.pid, 18)
        if found:
            return found
        since_ns = self._ns(self._group.pv1, 44)
        return "" if since_ns is None else _identity(iso_time(since_ns), self._facility)

    def _number(self, segment: Segment, field: int, types: Collection[str] = ()) -> str:
        """Return the first usable number of a list, one of these types if there is any; else ""."""
        usable: list[tuple[bool, str]] = []
        for each in range(1, min(segment.repetitions(field), MOST_NUMBERS) + 1):
            number, _, _, authority, kind, *_ = (*segment.components(field, each), *FIVE)
            if number:
                authority = authority or segment.text(field, 4, 2, each) or self._facility
                usable.append((kind in types, _identity(number, authority)))
        return max(usable, key=lambda each: each[0], default=(False, ""))[1]

    def _location(self, segment: Segment, field: int) -> str | None:
        """Return ward^room^bed, and the facility where it is not the sender's.

        None where nothing is said, "" where it is said to be nowhere.
        """
        if not segment.raw(field):
            return None
        *parts, facility = (*segment.components(field), *FIVE)[:4]
        if any(parts) and facility != self._facility:
            parts.append(facility)
        return "^".join(map(_part, parts)).rstrip("^") or (
            "" if NULL in segment.raw(field) else None
        )

    def _prior(self) -> str | None:
        """Return the bed before: PV1-6; in a swap else the other's new bed."""
        told = self._location(self._group.pv1, 6)
        if told is None and self._other is not None:
            return self._location(self._other.pv1, 3)
        return told

    def _first_ns(
        self,
        *places: tuple[Segment, int],
        default: int | None = None,
        within: range = RANGE_NS,
    ) -> int:
        for segment, field in places:
            found = self._ns(segment, field)
            if found is not None and found in within:
                return found
            if found is not None:
                self._doubts["time_invalid", f"{segment.name}-{field}"] = None
        if default is None:
            raise NoTime("neither EVN nor MSH-7 has a time")
        return default

    def _ns(self, segment: Segment, field: int) -> int | None:
        """Return a time in ns since 1970, None where there is none, or it does not exist."""
        text = segment.text(field)
        if not text:
            return None
        try:
            found = instant(text, self._zone)
        except OutOfRange:
            self._doubts["time_invalid", f"{segment.name}-{field}"] = None
            return None
        if found.ambiguous:
            self._doubts["time_ambiguous", f"{segment.name}-{field}"] = None
        return found.ns


def _identity(number: str, authority: str) -> str:
    """Return ``id^^^authority``. Raises OutOfRange where one is longer than any number is."""
    return "^^^".join((_part(number), _part(authority))).rstrip("^")


def _part(text: str) -> str:
    """Return a part of a key: what separates parts is escaped again, as HL7 writes it.

    Raises OutOfRange where it is too long, or holds what is no character of a text.
    """
    escaped = text.replace("^", "\\S\\").replace("|", "\\F\\")
    if len(escaped) * 4 > MOST_BYTES and len(escaped.encode("utf_8", "replace")) > MOST_BYTES:
        raise OutOfRange(f"a number or a place is longer than {MOST_BYTES} bytes")
    if NO_TEXT.search(escaped):
        raise OutOfRange("a number or a place holds a control character")
    return escaped


def _needed(name: str, value: str) -> str:
    if not value:
        raise WrongType(f"{name} is missing")
    return value
