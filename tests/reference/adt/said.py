"""What a message says, added to what others said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo

from connectors.hl7.message import NULL, Message, Segment
from connectors.hl7.times import instant, zone_of
from state.errors import OutOfRange
from tests.reference.adt.rows import iso
from tests.reference.adt.terms import (
    ACCOUNT_MOVE,
    ACCOUNT_RENAMES,
    ALIASES,
    BACK_IN,
    BED_STATUS,
    CANCELS,
    CORRECTIONS,
    DELETES_PERSON,
    DISCHARGE,
    FROM_ANOTHER_BED,
    KNOWN,
    MANY_GROUPS,
    MEDICAL_RECORD,
    OF_A_VISIT,
    REKEYS,
    VISIT_MOVE,
    Bed,
    Edge,
    Fact,
    Id,
    Oddity,
    Rekey,
    Said,
)


def listen(message: Message, zone: tzinfo, said: Said) -> None:
    """Add what a message says; one without a trigger of ADT, or without a time, says nothing."""
    trigger = trigger_of(message)
    found = groups(message) if trigger in MANY_GROUPS else [only_group(message)]
    for place, group in enumerate(found):
        teller = Teller(message, trigger, group, place, zone)
        if trigger and teller.t is not None:
            teller.tell(said, [other for other in found if other is not group])


def trigger_of(message: Message) -> str:
    """Return MSH-9.2, else EVN-1; "" where the message is none of ADT."""
    if message.text("MSH", 9) not in ("ADT", ""):
        return ""
    return message.text("MSH", 9, 2) or message.text("EVN", 1)


@dataclass
class Group:
    """A patient, the number merged into it and the visit, as they follow each other."""

    pid: Segment | None = None
    mrg: Segment | None = None
    pv1: Segment | None = None


def only_group(message: Message) -> Group:
    """Return the first segments of their names, in whatever order they stand."""
    return Group(message.first("PID"), message.first("MRG"), message.first("PV1"))


def groups(message: Message) -> list[Group]:
    """Return the groups of a message: PID begins one, and so does a further MRG of a patient."""
    found = [Group()]
    for segment in message:
        last = found[-1]
        if segment.name == "PID":
            found.append(Group(pid=segment))
        elif segment.name == "MRG" and last.mrg is not None:
            found.append(Group(pid=last.pid, mrg=segment))
        elif segment.name == "MRG":
            last.mrg = segment
        elif segment.name == "PV1" and last.pv1 is None:
            last.pv1 = segment
    return found[1:] or found


class Teller:
    """Reads one group of a message, and notes which of the times in it are doubtful."""

    def __init__(
        self, message: Message, trigger: str, group: Group, place: int, zone: tzinfo
    ) -> None:
        self.message, self.trigger, self.group = message, trigger, group
        self.facility = message.text("MSH", 4)
        self.zone = zone_of(message.text("MSH", 7)) or zone
        self.doubts: set[tuple[str, str]] = set()
        self.h = f"{message.digest()} {place:06}"
        evn, msh = message.first("EVN"), message.first("MSH")
        discharge = [(group.pv1, 45)] if trigger == DISCHARGE else []
        self.t = self.first_time(*discharge, (evn, 6), (evn, 2), (msh, 7))
        recorded = self.first_time((evn, 2), (msh, 7))
        self.r = self.t if recorded is None else recorded
        self.patient = self.number(group.pid, 3, MEDICAL_RECORD)
        self.visit = self.visit_number()

    def first_time(self, *places: tuple[Segment | None, int]) -> int | None:
        """Return the first of these that is a time."""
        for segment, place in places:
            found = self.time(segment, place)
            if found is not None:
                return found
        return None

    def time(self, segment: Segment | None, place: int) -> int | None:
        """Return a time in ns; None where there is none, or one that cannot be."""
        text = segment.text(place) if segment else ""
        if segment is None or not text:
            return None
        try:
            found = instant(text, self.zone)
        except OutOfRange:
            self.doubts.add(("time_invalid", f"{segment.name}-{place}"))
            return None
        if found.ambiguous:
            self.doubts.add(("time_ambiguous", f"{segment.name}-{place}"))
        return found.ns

    def number(self, segment: Segment | None, place: int, types: Sequence[str] = ()) -> Id | None:
        """Return the first usable number of a list, one of these types if there is any."""
        if segment is None:
            return None
        usable: list[tuple[str, Id]] = []
        for repetition in range(1, segment.repetitions(place) + 1):
            number = segment.text(place, 1, 1, repetition)
            authority = segment.text(place, 4, 1, repetition)
            authority = authority or segment.text(place, 4, 2, repetition) or self.facility
            if number:
                usable.append((segment.text(place, 5, 1, repetition), Id(number, authority)))
        wanted = [found for kind, found in usable if kind in types]
        return next(iter(wanted + [found for _, found in usable]), None)

    def visit_number(self) -> Id | None:
        """Return PV1-19, else PID-18, else PV1-44."""
        found = self.number(self.group.pv1, 19) or self.number(self.group.pid, 18)
        if found is None:
            since = self.time(self.group.pv1, 44)
            found = None if since is None else Id(iso(since), self.facility, by_time=True)
        return found

    def location(self, segment: Segment | None, place: int) -> str | None:
        """Return where somebody is: None says nothing, "" that this is nowhere."""
        if segment is None:
            return None
        facility = segment.text(place, 4)
        parts = [segment.text(place, component) for component in (1, 2, 3)]
        if any(parts) and facility != self.facility:
            parts.append(facility)
        nowhere = "" if NULL in segment.raw(place) else None
        return "^".join(parts).rstrip("^") or nowhere

    def tell(self, said: Said, others: list[Group]) -> None:
        """Add what this group says."""
        trigger, patient = self.trigger, self.patient
        mother = self.number(self.group.pid, 21, MEDICAL_RECORD)
        if patient and mother:
            said.mothers.add((patient, mother))
        if trigger == BED_STATUS:
            self.tell_bed(said)
        elif trigger == DELETES_PERSON and patient:
            said.facts.add(self.fact(patient, None))
        elif trigger in OF_A_VISIT and patient and self.visit:
            said.facts.update(self.visit_facts(patient, self.visit, others))
        elif trigger in ALIASES and patient:
            self.tell_alias(said, patient)
        elif trigger in REKEYS and patient:
            self.tell_rekey(said, patient)
        elif trigger not in KNOWN:
            self.tell_oddity(said, "trigger_unknown", None)
        for kind, place in self.doubts:
            self.tell_oddity(said, kind, place)

    def times(self) -> tuple[int, int]:
        """Return the clinical and the recorded time of a message that has a time."""
        assert self.t is not None, "a message without a time says nothing"
        assert self.r is not None, "what has a clinical time has a recorded one"
        return self.t, self.r

    def fact(self, patient: Id, visit: Id | None) -> Fact:
        """Return a fact that has no more than its identity."""
        t, r = self.times()
        return Fact(self.trigger, patient, visit, t, r, self.h)

    def visit_facts(self, patient: Id, visit: Id, others: list[Group]) -> Iterator[Fact]:
        """Yield what is said of a visit; A13 may also tell a bed."""
        pv1, trigger = self.group.pv1, self.trigger
        fact = replace(
            self.fact(patient, visit),
            place=self.location(pv1, 3),
            prior=self.prior(others),
            patient_class=pv1.said(2) if pv1 else None,
            disposition=pv1.said(36) if pv1 else None,
        )
        if trigger in FROM_ANOTHER_BED | CORRECTIONS | {DISCHARGE}:
            fact = replace(fact, since=self.time(pv1, 44))
        if trigger in CORRECTIONS:
            fact = replace(fact, until=self.time(pv1, 45))
        if trigger in CANCELS:
            fact = replace(fact, aim=self.time(self.message.first("EVN"), 6))
        yield fact
        if trigger == "A13" and fact.place:
            yield replace(fact, trigger=BACK_IN, t=fact.r)

    def prior(self, others: list[Group]) -> str | None:
        """Return the bed before: PV1-6; in a swap else the other's new bed."""
        told = self.location(self.group.pv1, 6)
        if told is None and self.trigger == "A17" and len(others) == 1:
            return self.location(others[0].pv1, 3)
        return told

    def tell_alias(self, said: Said, patient: Id) -> None:
        """Add that MRG-1 became PID-3."""
        gone = self.number(self.group.mrg, 1, MEDICAL_RECORD)
        t, r = self.times()
        if gone == patient:
            self.tell_oddity(said, "merge_into_itself", None)
        elif gone:
            said.aliases.add(Edge(gone, patient, r, t, self.h))

    def tell_rekey(self, said: Said, patient: Id) -> None:
        """Add that a visit or an account got another number, or another patient."""
        group, (t, r) = self.group, self.times()
        if self.trigger in ACCOUNT_RENAMES | {ACCOUNT_MOVE}:
            old, new = self.number(group.mrg, 3), self.number(group.pid, 18)
        else:
            old, new = self.number(group.mrg, 5), self.number(group.pv1, 19)
        moves = self.trigger in (ACCOUNT_MOVE, VISIT_MOVE)
        owner: Id | None = patient
        if moves:
            owner, old, new = self.number(group.mrg, 1, MEDICAL_RECORD), old or new, new or old
        if owner and old and new:
            said.rekeys.add(Rekey((owner, old), (patient, new), r, t, self.h, moves))

    def tell_bed(self, said: Said) -> None:
        """Add the status of a bed: NPU-2 of NPU-1."""
        npu, (t, r) = self.message.first("NPU"), self.times()
        location, status = self.location(npu, 1), npu.said(2) if npu else None
        if location and status is not None:
            said.beds.add(Bed(t, r, self.h, location, status))

    def tell_oddity(self, said: Said, kind: str, place: str | None) -> None:
        """Add something strange in this message."""
        said.oddities.add(Oddity(kind, self.patient, self.visit, self.times()[0], place))
