"""The timeline of hospital visits by its definition: all is worked out anew from all messages.

The source is the definition in adt.md, 2.1 to 2.9. Where it is silent, this is what a bed manager
would expect:

 1. "Newest" means recorded last: ties go by the clinical time, then by the hash,
    then by the place of the group in its message.
 2. The normalised message of 2.1 is its text with CR between segments, without blank lines and
    without MSH-7, -10 and -13. Trailing separators are kept.
 3. Where EVN-2 and MSH-7 are no times, the clinical time is the recorded one as well.
 4. The authority is a part of a patient's and of a visit's number: CX.4.1, else CX.4.2, else MSH-4.
 5. A message without a patient, or without PV1-19, PID-18 and PV1-44, says nothing of a visit.
 6. A visit named by PV1-44 is named by that instant, and is not reused by another patient.
 7. Visits that are cancelled or entered in error do not make a number a reused one.
 8. An empty PV1-3 keeps the bed, an empty PV1-2 the class; null in PV1-3 ends the row of the bed.
 9. A02 and A17 take the class before them; where there is none, their own PV1-2.
10. A cancel voids all facts of its kind with its target's time, so that no older copy returns. It
    looks for the exact time among all facts, else only among those that are not void yet.
11. Cancels act in the order of recording. "A11 leaves no admission" is judged by what was recorded
    no later than it; discharges and leaves from the cancelled time on are then void as well.
12. A38, A52 and A53 without an exact target cancel the newest fact of their kind.
13. A13 places the patient only where it has met a discharge; where no bed is known, too.
14. A deletion takes all that was recorded no later than it; what is recorded later stands.
15. A visit has an encounter if an admission, a plan, a placing, a discharge or a leave was told,
    void or not. If only moves or discharges of it are void, it is in progress.
16. The admission of an encounter is the earliest that stands, else the first PV1-44 that is told.
17. A disposition, and a discharge time, is the newest that an A03 in force told, or an A08 or A31
    recorded after one. Null in PV1-44 or PV1-45 is ignored.
18. A corrected PV1-44 is the beginning of the first row, if an admission began it; no row begins
    before it.
19. A17 as the first fact infers a row as A02 does: why else would its prior bed be defined? A row
    that is inferred before A06 or A07 has no class.
20. A moved patient (all placing facts, A01 too) dated after the discharge is an anomaly.
21. A double booking needs a bed (PL.3) and two patients; changes of class do not split it. Each of
    the two has a row. Two newborns of one mother are none either.
22. A43 is an alias. A35, A41 and A49 rename accounts, A42 and A50 visits, within the surviving
    patient of PID-3. Accounts and visits share their numbers, as in the key of a visit.
23. A44 and A45 move to PID-18 and PV1-19, or keep the number where these are empty.
24. Where both patients of such a move are one by aliases, it binds the visit to the number in
    PID-3, unless an alias from there is newer. Else it goes to the survivor of PID-3. A merge of
    MRG-1 that follows the move does not take the visit with it.
25. If the newest alias of a number is dropped, its older ones stay superseded.
26. Anomalies of messages have the clinical time as start; only times that are used can be invalid
    or ambiguous. An anomaly is one row, however often it is said.
27. The state of a bed is that of its latest clinical time.
28. There is no horizon here; charset_mismatch, count_mismatch and sequence_gap are not of visits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import combinations
from typing import Generic, NamedTuple, TypeVar

from connectors.hl7.message import NULL, Message, Segment
from connectors.hl7.times import instant, zone_of
from state.errors import OutOfRange

ADMISSIONS = {"A01", "A04"}
CLASS_CHANGES = {"A06", "A07"}
BACK_IN = "A13 places"
"""The bed of a cancelled discharge; the cancel itself is another fact."""
FROM_ANOTHER_BED = {"A02", "A17"} | CLASS_CHANGES
PLACINGS = ADMISSIONS | FROM_ANOTHER_BED | {BACK_IN}
PLANNED, DISCHARGE, ON_LEAVE, BACK = "A05", "A03", "A21", "A22"
CORRECTIONS = {"A08", "A31"}
DELETES_VISIT, DELETES_PERSON = "A23", "A29"
CANCELS = {
    "A11": ADMISSIONS,
    "A12": {"A02"},
    "A13": {DISCHARGE},
    "A38": {PLANNED},
    "A52": {ON_LEAVE},
    "A53": {BACK},
}
TELLS_OF_A_VISIT = (PLACINGS - {BACK_IN}) | {PLANNED, DISCHARGE, ON_LEAVE, BACK}
ALIASES = {"A18", "A30", "A34", "A36", "A39", "A40", "A43", "A46", "A47"}
ACCOUNT_RENAMES, VISIT_RENAMES = {"A35", "A41", "A49"}, {"A42", "A50"}
ACCOUNT_MOVE, VISIT_MOVE = "A44", "A45"
REKEYS = ACCOUNT_RENAMES | VISIT_RENAMES | {ACCOUNT_MOVE, VISIT_MOVE}
BED_STATUS = "A20"
NO_EFFECT = {f"A{number:02}" for number in (9, 10, 14, 15, 16, 24, 25, 26, 27, 28, 32, 33, 37)}
NO_EFFECT |= {"A54", "A55", "A60", "A61", "A62"}
OF_A_VISIT = TELLS_OF_A_VISIT | CORRECTIONS | set(CANCELS) | {DELETES_VISIT}
KNOWN = OF_A_VISIT | ALIASES | REKEYS | NO_EFFECT | {BED_STATUS, DELETES_PERSON}
MANY_GROUPS = ALIASES | REKEYS | {"A17"}

MEDICAL_RECORD = ("MR", "MRN")
Row = dict[str, object]


class Id(NamedTuple):
    """A number and who gave it; ``by_time`` where a visit is named by its admission."""

    number: str
    authority: str
    by_time: bool = False

    def __str__(self) -> str:
        return f"{self.number}^^^{self.authority}".rstrip("^")


VisitKey = tuple[Id, Id]
"""A patient and a visit of this patient."""
Node = TypeVar("Node")


@dataclass(frozen=True)
class Fact:
    """What a message says of a visit; t is the clinical time, r the recorded one, in ns.

    Of the others, None says nothing, and "" that there is nothing. ``since`` is PV1-44, ``until``
    PV1-45, ``aim`` the time of what a cancel cancels.
    """

    trigger: str
    patient: Id
    visit: Id | None
    t: int
    r: int
    h: str
    place: str | None = None
    prior: str | None = None
    patient_class: str | None = None
    since: int | None = None
    until: int | None = None
    disposition: str | None = None
    aim: int | None = None


class Edge(NamedTuple, Generic[Node]):
    """A number became another one."""

    source: Node
    target: Node
    r: int
    t: int
    h: str


class Rekey(NamedTuple):
    """A visit got another number, another patient, or both."""

    source: VisitKey
    target: VisitKey
    r: int
    t: int
    h: str
    moves: bool


class Oddity(NamedTuple):
    """What is strange in a message itself."""

    kind: str
    patient: Id | None
    visit: Id | None
    t: int
    field: str | None


class Bed(NamedTuple):
    """The status of a bed from a time on."""

    t: int
    r: int
    h: str
    location: str
    status: str


class Stay(NamedTuple):
    """A row of the location table, in ns."""

    patient: Id
    visit: Id
    location: str
    patient_class: str | None
    start: int
    end: int | None
    inferred: bool


@dataclass
class Said:
    """All that the messages of a domain say; sets, so that no order and no repetition shows."""

    facts: set[Fact] = field(default_factory=set)
    aliases: set[Edge[Id]] = field(default_factory=set)
    rekeys: set[Rekey] = field(default_factory=set)
    mothers: set[tuple[Id, Id]] = field(default_factory=set)
    beds: set[Bed] = field(default_factory=set)
    oddities: set[Oddity] = field(default_factory=set)


@dataclass
class Timeline:
    """The tables, each in an order that only its content decides."""

    location_visits: list[Row]
    encounters: list[Row]
    anomalies: list[Row]
    beds: list[Row]


def timeline(messages: Iterable[Message], zone: tzinfo = UTC) -> Timeline:
    """Return the timeline of a domain; ``zone`` counts where a message names none."""
    said = Said()
    for message in messages:
        listen(message, zone, said)
    keys = Keys(said)
    visits = [Visit(key, facts, keys.deletions(key)) for key, facts in keys.visits().items()]
    stays = [stay for visit in visits for stay in visit.stays]
    anomalies = [
        *(row for visit in visits for row in visit.anomalies()),
        *double_bookings(stays, keys.mothers()),
        *reused(visits),
        *keys.anomalies(),
    ]
    return Timeline(
        location_visits=table(map(location_row, stays)),
        encounters=table(visit.encounter() for visit in visits if visit.told),
        anomalies=table(anomalies),
        beds=table(bed_rows(said.beds)),
    )


# What a message says


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


# Who is who


def settle(edges: Iterable[Edge[Node]]) -> tuple[dict[Node, Edge[Node]], list[Edge[Node]]]:
    """Return the edge of each node that is in force, and those that would have led back."""
    newest = {edge.source: edge for edge in sorted(edges, key=age)}
    kept: dict[Node, Edge[Node]] = {}
    dropped: list[Edge[Node]] = []
    for edge in sorted(newest.values(), key=age, reverse=True):
        if end(edge.target, kept) == edge.source:
            dropped.append(edge)
        else:
            kept[edge.source] = edge
    return kept, dropped


def end(node: Node, edges: dict[Node, Edge[Node]], after: int | None = None) -> Node:
    """Return where the edges lead to; with ``after``, until one that is not recorded later."""
    while node in edges and (after is None or edges[node].r > after):
        node = edges[node].target
    return node


def age(said: Fact | Edge[Node]) -> tuple[int, int, str]:
    """Return what orders from the first recorded to the newest."""
    return said.r, said.t, said.h


class Keys:
    """Who the patients and which the visits are, when all is merged, moved and renamed."""

    def __init__(self, said: Said) -> None:
        self.said = said
        self.aliases, self.back = settle(said.aliases)
        targets = {rekey: self.target(rekey) for rekey in said.rekeys}
        self.bound = {targets[rekey] for rekey in said.rekeys if rekey.moves}
        edges = [
            Edge(self.home(*rekey.source), target, rekey.r, rekey.t, rekey.h)
            for rekey, target in targets.items()
        ]
        self.rekeys, _ = settle(edge for edge in edges if edge.source != edge.target)

    def survivor(self, patient: Id) -> Id:
        """Return the number under which a patient is kept."""
        return end(patient, self.aliases)

    def target(self, rekey: Rekey) -> VisitKey:
        """Return where a visit goes: see the choice 24 above."""
        (old, _), (new, visit) = rekey.source, rekey.target
        if rekey.moves and self.survivor(old) == self.survivor(new):
            return end(new, self.aliases, after=rekey.r), visit
        return self.survivor(new), visit

    def home(self, patient: Id, visit: Id) -> VisitKey:
        """Return the key of a visit before it was renamed or moved."""
        key = patient, visit
        return key if key in self.bound else (self.survivor(patient), visit)

    def key(self, patient: Id, visit: Id) -> VisitKey:
        """Return the key under which a visit is kept."""
        return end(self.home(patient, visit), self.rekeys)

    def visits(self) -> dict[VisitKey, list[Fact]]:
        """Return the facts of each visit."""
        found: dict[VisitKey, list[Fact]] = {}
        for fact in self.said.facts:
            if fact.visit:
                found.setdefault(self.key(fact.patient, fact.visit), []).append(fact)
        return found

    def deletions(self, key: VisitKey) -> list[Fact]:
        """Return the deletions of the person of a visit."""
        deleted = (fact for fact in self.said.facts if fact.trigger == DELETES_PERSON)
        return [who for who in deleted if key[0] in (who.patient, self.survivor(who.patient))]

    def mothers(self) -> set[tuple[Id, Id]]:
        """Return the pairs of a child and its mother."""
        return {(self.survivor(one), self.survivor(two)) for one, two in self.said.mothers}

    def anomalies(self) -> Iterator[Row]:
        """Yield what is strange in messages, and merges that would lead back."""
        for edge in self.back:
            yield anomaly("merge_cycle", self.survivor(edge.source), start=edge.t)
        for oddity in self.said.oddities:
            patient, visit = oddity.patient, oddity.visit
            if patient and visit:
                patient, visit = self.key(patient, visit)
            elif patient:
                patient = self.survivor(patient)
            yield anomaly(oddity.kind, patient, visit, start=oddity.t, place=oddity.field)


# What became of a visit


class Step(NamedTuple):
    """Where a patient is from a time on, until the next step."""

    fact: Fact
    start: int
    location: str | None
    patient_class: str | None
    inferred: bool


class Visit:
    """One visit of one patient, from all facts of it."""

    def __init__(self, key: VisitKey, facts: list[Fact], person_deleted: list[Fact]) -> None:
        self.key = key
        self.told = any(fact.trigger in TELLS_OF_A_VISIT for fact in facts)
        deletions = [fact for fact in facts if fact.trigger == DELETES_VISIT] + person_deleted
        deleted = max((fact.r for fact in deletions), default=None)
        self.facts = [fact for fact in facts if deleted is None or fact.r > deleted]
        void, self.unmet = voided(self.facts)
        self.standing = sorted((fact for fact in self.facts if fact not in void), key=moment)
        self.discharge = max(self.having(DISCHARGE), key=age, default=None)
        self.left = self.corrected_until()
        self.corrected_since = self.newest_correction()
        self.stays = self.stays_of(self.steps())

    def having(self, *triggers: str) -> list[Fact]:
        """Return the facts of these triggers that stand, by clinical time."""
        return [fact for fact in self.standing if fact.trigger in triggers]

    def corrections(self) -> list[Fact]:
        """Return the A08 and A31 recorded after a discharge that stands, the newest last."""
        first = min((fact.r for fact in self.having(DISCHARGE)), default=None)
        found = self.having(*CORRECTIONS)
        return sorted((fact for fact in found if first is not None and fact.r > first), key=age)

    def newest_correction(self) -> int | None:
        """Return the time of the admission as it was corrected."""
        told = [fact.since for fact in self.corrections() if fact.since is not None]
        return told[-1] if told else None

    def about_discharge(self) -> list[Fact]:
        """Return discharges and their corrections; at one recorded time the discharge is newer."""
        found = self.having(DISCHARGE) + self.corrections()
        return sorted(found, key=lambda fact: (fact.r, fact.trigger == DISCHARGE, fact.t, fact.h))

    def corrected_until(self) -> int | None:
        """Return the time of the discharge in force."""
        times = [
            fact.t if fact.trigger == DISCHARGE else fact.until for fact in self.about_discharge()
        ]
        told = [time for time in times if time is not None]
        return told[-1] if told else None

    def disposition(self) -> str | None:
        """Return the newest disposition; None where null is the newest."""
        told = [fact.disposition for fact in self.about_discharge()]
        told = [text for text in told if text is not None]
        return told[-1] or None if told else None

    def placings(self) -> list[Fact]:
        """Return the placing facts that count, by clinical time."""
        newest = {(fact.trigger, fact.t): fact for fact in sorted(self.having(*PLACINGS), key=age)}
        return sorted(newest.values(), key=moment)

    def steps(self) -> list[Step]:
        """Return where the patient was told to be, whatever a discharge says."""
        placings = self.placings()
        if not placings:
            return self.only_discharged()
        steps = self.before(placings[0])
        location, patient_class = (
            (steps[0].location, steps[0].patient_class) if steps else (None,) * 2
        )
        for fact in placings:
            if fact.trigger == BACK_IN and fact.place == location:
                continue
            location = location if fact.place is None else fact.place
            if patient_class is None or fact.trigger in ADMISSIONS | CLASS_CHANGES:
                told = fact.patient_class
                patient_class = patient_class if told is None else told
            steps.append(Step(fact, fact.t, location, patient_class, inferred=False))
        return steps

    def before(self, first: Fact) -> list[Step]:
        """Return the row that the first fact tells of: the patient came from another bed."""
        since = first.since if self.corrected_since is None else self.corrected_since
        if first.trigger not in FROM_ANOTHER_BED or not first.prior or since is None:
            return []
        if first.prior == first.place or since >= first.t:
            return []
        unknown = first.trigger in CLASS_CHANGES
        patient_class = None if unknown else first.patient_class
        return [Step(first, since, first.prior, patient_class, inferred=True)]

    def only_discharged(self) -> list[Step]:
        """Return the row of a visit of which only the discharge is known."""
        fact = self.discharge
        if fact is None:
            return []
        since = fact.since if self.corrected_since is None else self.corrected_since
        if since is None:
            return []
        return [Step(fact, since, fact.place, fact.patient_class, inferred=True)]

    def after_discharge(self, step: Step) -> bool:
        """Return whether a step is dated after the discharge."""
        return self.left is not None and step.start > self.left

    def stays_of(self, steps: list[Step]) -> list[Stay]:
        """Return the rows: each step to the next one, or to the discharge."""
        steps = [step for step in steps if not self.after_discharge(step)]
        ends = [step.start for step in steps[1:]] + [self.left] * bool(steps)
        stays: list[Stay] = []
        for step, until in zip(steps, ends, strict=True):
            start = self.corrected_start(step, first=step is steps[0])
            stay = Stay(
                *self.key,
                step.location or "",
                step.patient_class or None,
                start,
                until,
                step.inferred,
            )
            if stay.location and (until is None or start < until):
                stays = joined(stays, stay)
        return stays

    def corrected_start(self, step: Step, *, first: bool) -> int:
        """Return when a row begins, if the time of the admission was corrected."""
        if self.corrected_since is None:
            return step.start
        if first and step.fact.trigger in ADMISSIONS:
            return self.corrected_since
        return max(step.start, self.corrected_since)

    def status(self) -> str:
        """Return the status in the words of FHIR R4."""
        triggers = {fact.trigger for fact in self.standing}
        told = {fact.trigger for fact in self.facts} & TELLS_OF_A_VISIT
        leaves = self.having(ON_LEAVE, BACK)
        if not told:
            return "entered-in-error"
        if DISCHARGE in triggers:
            return "finished"
        if leaves and leaves[-1].trigger == ON_LEAVE:
            return "onleave"
        if leaves or triggers & PLACINGS:
            return "in-progress"
        if PLANNED in triggers:
            return "planned"
        return "cancelled" if told & (ADMISSIONS | {PLANNED}) else "in-progress"

    def admitted(self) -> int | None:
        """Return the time of the admission."""
        if self.corrected_since is not None:
            return self.corrected_since
        told = [fact.t for fact in self.having(*ADMISSIONS)]
        since = [fact.since for fact in self.having(*FROM_ANOTHER_BED, DISCHARGE)]
        return next((time for time in told + since if time is not None), None)

    def patient_class(self) -> str | None:
        """Return the last class before the discharge, else the planned or the discharged one."""
        steps = [step for step in self.steps() if not self.after_discharge(step)]
        if steps:
            return steps[-1].patient_class or None
        others = self.having(PLANNED, DISCHARGE, ON_LEAVE, BACK)
        return others[-1].patient_class or None if others else None

    def encounter(self) -> Row:
        """Return the row of the encounter table."""
        patient, visit = self.key
        return {
            "patient": str(patient),
            "visit": str(visit),
            "status": self.status(),
            "class": self.patient_class(),
            "admitted": iso_or_none(self.admitted()),
            "discharged": iso_or_none(self.left),
            "disposition": self.disposition(),
        }

    def anomalies(self) -> Iterator[Row]:
        """Yield cancels that wait for what they cancel, and moves after the discharge."""
        for cancel in self.unmet:
            yield anomaly("cancel_without_target", *self.key, start=cancel.t)
        for step in self.steps():
            if self.after_discharge(step) and not step.inferred:
                where, start = step.location or None, step.start
                yield anomaly("moved_after_discharge", *self.key, where, start)


def moment(fact: Fact) -> tuple[int, int, str]:
    """Return what orders facts by clinical time."""
    return fact.t, fact.r, fact.h


def voided(facts: list[Fact]) -> tuple[set[Fact], list[Fact]]:
    """Return the facts that cancels void, and the cancels that have no target."""
    void: set[Fact] = set()
    unmet: list[Fact] = []
    for cancel in sorted((fact for fact in facts if fact.trigger in CANCELS), key=age):
        known = [fact for fact in facts if fact.r <= cancel.r]
        hit = targets(cancel, known, void)
        void |= hit
        if not hit:
            unmet.append(cancel)
            void |= {fact for fact in facts if fact.trigger == BACK_IN and fact.h == cancel.h}
        elif cancel.trigger == "A11" and not any(
            fact.trigger in ADMISSIONS and fact not in void for fact in known
        ):
            void |= belonging(min(fact.t for fact in hit), known)
    return void, unmet


def belonging(admitted: int, known: list[Fact]) -> set[Fact]:
    """Return what falls with the last admission."""
    falling = PLACINGS | {DISCHARGE, ON_LEAVE, BACK}
    return {fact for fact in known if fact.trigger in falling and fact.t >= admitted}


def targets(cancel: Fact, known: list[Fact], void: set[Fact]) -> set[Fact]:
    """Return the facts that a cancel voids among those recorded no later."""
    aimed = [fact for fact in known if fact.trigger in CANCELS[cancel.trigger]]
    if cancel.trigger == "A13":
        return set(aimed)
    standing = [fact for fact in aimed if fact not in void]
    choices = [[fact for fact in aimed if fact.t == cancel.aim]]
    if cancel.trigger == "A12":
        choices.append([fact for fact in standing if cancel.prior and fact.place == cancel.prior])
        choices.append([fact for fact in standing if cancel.place and fact.prior == cancel.place])
    choices.append(standing)
    for choice in choices:
        if choice:
            newest = max(choice, key=age)
            return {fact for fact in aimed if fact.t == newest.t}
    return set()


def joined(stays: list[Stay], stay: Stay) -> list[Stay]:
    """Return the rows with a further one, joined to the last if both are the same bed and class."""
    if stays:
        last = stays[-1]
        same = (last.location, last.patient_class) == (stay.location, stay.patient_class)
        if same and last.end == stay.start:
            both = last._replace(end=stay.end, inferred=last.inferred or stay.inferred)
            return [*stays[:-1], both]
    return [*stays, stay]


# Over all visits


def double_bookings(stays: list[Stay], mothers: set[tuple[Id, Id]]) -> Iterator[Row]:
    """Yield for each two patients in one bed, and each of them, when both were there."""
    in_beds = in_bed([stay for stay in stays if has_bed(stay.location)])
    for one, two in combinations(in_beds, 2):
        start = max(one.start, two.start)
        ends = [stay.end for stay in (one, two) if stay.end is not None]
        until = min(ends, default=None)
        overlap = one.location == two.location and (until is None or start < until)
        if overlap and one.patient != two.patient and not family(one, two, mothers):
            for stay in (one, two):
                yield anomaly("double_booked", *stay[:3], start, until)


def has_bed(location: str) -> bool:
    """Return whether a location names a bed, and no mere room or ward."""
    return bool("".join(location.split("^")[2:3]))


def in_bed(stays: list[Stay]) -> list[Stay]:
    """Return the rows without their classes."""
    found: list[Stay] = []
    for key in {stay[:2] for stay in stays}:
        of_visit: list[Stay] = []
        for stay in stays:
            if stay[:2] == key:
                of_visit = joined(of_visit, stay._replace(patient_class=None))
        found += of_visit
    return found


def family(one: Stay, two: Stay, mothers: set[tuple[Id, Id]]) -> bool:
    """Return whether these are a mother and her newborn, or newborns of one mother."""
    first, second = one.patient, two.patient
    mothers_of_both = [
        {mother for child, mother in mothers if child == who} for who in (first, second)
    ]
    return bool(
        {(first, second), (second, first)} & mothers or mothers_of_both[0] & mothers_of_both[1]
    )


def reused(visits: list[Visit]) -> Iterator[Row]:
    """Yield each visit whose number another patient has as well."""
    nothing = ("cancelled", "entered-in-error")
    real = [visit for visit in visits if visit.told and visit.status() not in nothing]
    for one in real:
        patient, number = one.key
        others = [other for other in real if other.key[1] == number and other.key[0] != patient]
        if others and not number.by_time:
            yield anomaly("visit_reused", patient, number)


def bed_rows(beds: set[Bed]) -> Iterator[Row]:
    """Yield the last status of each bed."""
    last = {bed.location: bed.status for bed in sorted(beds)}
    for location, status in last.items():
        yield {"location": location, "status": status or None}


def location_row(stay: Stay) -> Row:
    """Return a row of the location table."""
    return {
        "patient": str(stay.patient),
        "visit": str(stay.visit),
        "location": stay.location,
        "class": stay.patient_class,
        "start": iso(stay.start),
        "end": iso_or_none(stay.end),
        "inferred": stay.inferred,
    }


def anomaly(
    kind: str,
    patient: Id | None,
    visit: Id | None = None,
    location: str | None = None,
    start: int | None = None,
    until: int | None = None,
    place: str | None = None,
) -> Row:
    """Return a row of the anomaly table."""
    return {
        "kind": kind,
        "patient": str(patient) if patient else None,
        "visit": str(visit) if visit else None,
        "location": location,
        "start": iso_or_none(start),
        "end": iso_or_none(until),
        "field": place,
    }


def table(rows: Iterable[Row]) -> list[Row]:
    """Return the different rows, in an order of their content."""
    different = {tuple(row.items()): row for row in rows}
    return [different[key] for key in sorted(different, key=str)]


def iso(ns: int) -> str:
    """Return a time of ns since 1970 as text."""
    when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ns // 1000)
    return when.isoformat().replace("+00:00", "Z")


def iso_or_none(ns: int | None) -> str | None:
    """Return a time as text, where there is one."""
    return None if ns is None else iso(ns)
