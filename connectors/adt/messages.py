"""HL7 v2 messages into statements about patients, visits and beds: ADT and results (ORU)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, tzinfo
from typing import NamedTuple

from connectors.adt import observations
from connectors.adt.attributes import details, diagnoses, person
from connectors.adt.envelope import ALONE, Domains, domain
from connectors.adt.reader import RECORDED, Reader, needed, placed
from connectors.hl7.message import NOTHING, Message, Segment
from state.adt.attributes import Attribute, Details, Diagnoses, Person
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
    OF_PATIENTS,
    OF_VISITS,
    SWAPS,
    VISITS,
    Effect,
    effect,
)
from state.clock import MAX_TIME_NS
from state.errors import BadRecord, FromTheFuture, NoTime, OtherDomain, OutOfRange, WrongType
from state.metrics import RECORDS
from state.records import HEARTBEAT_HEADER, Messages
from state.rows import RowBlock

TELLS_ADMISSION = Effect.FROM_A_BED | Effect.CORRECTS | Effect.DISCHARGES
"""What tells by PV1-44 when the visit began."""
MOST_GROUPS = 1000
"""A message about more patients is refused: nobody sends one, and reading it would take long."""


def decode(
    messages: Messages,
    zone: tzinfo = UTC,
    max_ahead_ns: int = MAX_TIME_NS,
    domains: Domains = ALONE,
) -> RowBlock[Told]:
    """Return what the messages of a batch say, and a dead letter for what is no message.

    ``zone`` counts where a message names none. What was recorded more than ``max_ahead_ns`` after
    its Kafka timestamp is a dead letter: it would move the clock of all others. So is, in a topic
    of several partitions, what lies under the key of another domain: the rest of its own may be in
    another partition.
    """
    block: RowBlock[Told] = RowBlock.of(messages)
    for row in range(len(messages)):
        value = messages.value(row)
        if not value and HEARTBEAT_HEADER in dict(messages.headers.get(row, ())):
            continue
        try:
            said = parse(value, zone, domains)
            if said.recorded_ns > int(messages.timestamp_ns[row]) + max_ahead_ns:
                raise FromTheFuture("it was recorded too far ahead of the Kafka timestamp")
            if messages.partitions > 1 and said.statements:
                _check_key(messages.keys[row], value, said.domain, domains)
        except BadRecord as error:
            block.dead.append(messages.dead(row, error))
        else:
            if said.statements:
                block.rows.append(Told(messages.coordinates(row), *said))
    RECORDS.labels(messages.topic).inc(len(block))
    return block


def _check_key(key: bytes | None, value: bytes, of_message: str, domains: Domains) -> None:
    """Raise OtherDomain where a key is not that of the message's domain; none says nothing."""
    if key is None or key == of_message.encode():
        return
    if key != domain(Message(value).header, domains):  # as it was sent, it may be other bytes
        raise OtherDomain("its key is not the domain of its sender (adt.domains)")


class Parsed(NamedTuple):
    """The domain of a message, when it was recorded, and what it says: nothing if of another."""

    domain: str
    recorded_ns: int
    statements: tuple[Statement, ...]


def parse(raw: bytes, zone: tzinfo = UTC, domains: Domains = ALONE) -> Parsed:
    """Return what a message says; ``zone`` counts where it names none.

    Raises BadRecord, which repeats nothing of the message.
    """
    message = Message(raw)
    reader = Reader(message, zone, domains)
    if reader.event[0] == observations.RESULTS:
        told = observations.results(message, zone, domains)
        return Parsed(told.domain, told.recorded_ns, (*told.observations, *told.oddities))
    trigger = _trigger(message, reader)
    if not trigger:
        return Parsed("", 0, ())
    of_message = reader.digest()
    if trigger not in IN_GROUPS:
        teller = _Teller(message, trigger, [_only_group(message)], 0, reader, of_message)
        statements = [*teller.tell()]
    else:
        groups = _groups(message)
        if len(groups) > MOST_GROUPS:
            raise OutOfRange(f"the message is about more than {MOST_GROUPS} patients")
        tellers = [
            _Teller(message, trigger, groups, place, Reader(message, zone, domains), of_message)
            for place in range(len(groups))
        ]
        teller, statements = tellers[0], [each for teller in tellers for each in teller.tell()]
    if len(statements) > 1:
        statements = [*dict.fromkeys(statements)]
    return Parsed(reader.domain(), teller.recorded_ns, tuple(statements))


def _trigger(message: Message, reader: Reader) -> str:
    """Return MSH-9.2, else EVN-1; "" where the message is none of ADT."""
    kind, trigger = reader.event
    if kind not in ("ADT", ""):
        return ""
    return trigger or message.one("EVN").text(1)


class _Group(NamedTuple):
    """A patient, the number merged into it, and the visit; an empty segment for what is missing."""

    pid: Segment
    mrg: Segment
    pv1: Segment


def _only_group(message: Message) -> _Group:
    return _Group(message.one("PID"), NOTHING, message.one("PV1"))


def _groups(message: Message) -> list[_Group]:
    """Return the groups of a message: PID begins one, and so does a further MRG of a patient."""
    nothing = NOTHING
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


class _Teller:
    """Says what one group of a message tells; ``of_message`` is the message's digest."""

    def __init__(
        self,
        message: Message,
        trigger: str,
        groups: list[_Group],
        place: int,
        reader: Reader,
        of_message: str,
    ) -> None:
        self._message, self._trigger, self._reader = message, trigger, reader
        self._group = groups[place]
        swaps = trigger == SWAPS and len(groups) == 2
        self._other = groups[1 - place] if swaps else None
        self._digest = placed(of_message, place)
        self._evn, msh = message.one("EVN"), message.one("MSH")
        left = [(self._group.pv1, 45)] if effect(trigger) & Effect.DISCHARGES else []
        recorded = [(self._evn, 2), (msh, 7)]
        self._clinical_ns = reader.first_ns(*left, (self._evn, 6), *recorded)
        self.recorded_ns = reader.first_ns(*recorded, default=self._clinical_ns, within=RECORDED)
        if self.recorded_ns not in RECORDED:
            raise NoTime("no recorded time is between 1970 and 2116")
        self._patient = reader.patient(self._group.pid)

    def tell(self) -> Iterator[Statement]:
        """Yield what the group says; raises WrongType where what it is about is not named."""
        trigger = self._trigger
        visit = self._visit()
        mother = self._reader.kept("PID-21", self._reader.patient, self._group.pid, 21)
        if self._patient and mother:
            yield Mother(self._patient, mother)
        if trigger in OF_VISITS:
            yield from self._of_visit(visit)
        elif trigger == DELETES_PERSON:
            yield self._deletion()
        elif trigger in ALIASES:
            yield self._alias()
        elif trigger in ACCOUNTS | VISITS:
            yield from self._rekey()
        elif trigger == BED_STATUS:
            yield self._bed()
        if self._patient and trigger in OF_PATIENTS:
            yield from self._attributes(visit)
        yield from self._oddities(visit)

    def _visit(self) -> str:
        """Return the visit; where nothing is told of one, it need not be one that can be kept."""
        reader, (pid, _, pv1) = self._reader, self._group
        if self._trigger in OF_VISITS:
            return reader.visit(pid, pv1)
        return reader.kept("PV1-19", reader.visit, pid, pv1) or ""

    def _oddities(self, visit: str) -> Iterator[Oddity]:
        """Yield what is strange in the message itself."""
        if self._trigger not in KNOWN:
            yield self._oddity("trigger_unknown", visit)
        if self._message.decoded.mismatch:
            yield self._oddity("charset_mismatch", visit, "MSH-18")
        for kind, field in self._reader.doubts:
            yield self._oddity(kind, visit, field)

    def _attributes(self, visit: str) -> Iterator[Attribute]:
        """Yield what the group says of the person and the visit beside where and when."""
        pid, _, pv1 = self._group
        when = self.recorded_ns, self._clinical_ns, self._digest
        yield Person(*when, self._patient, person(pid, self._reader))
        if not visit or self._trigger in IN_GROUPS:
            return
        of_visit = details(pv1)
        if any(each is not None for each in of_visit):
            yield Details(*when, self._patient, visit, of_visit)
        if self._message.first("DG1"):
            segments = (segment for segment in self._message if segment.name == "DG1")
            for each in diagnoses(segments, self._reader):
                yield Diagnoses(*when, self._patient, visit, *each)

    def _of_visit(self, visit: str) -> Iterator[Statement]:
        """Yield a fact. A correction may come without a visit, for it tells of the person too."""
        trigger, pv1 = self._trigger, self._group.pv1
        does = effect(trigger)
        if not visit and does & Effect.CORRECTS:
            return
        number, reader = needed("PV1-19", visit), self._reader
        patient = needed("PID-3", self._patient)
        # Made at once: `_replace` takes four times as long as the fact itself.
        yield Fact(
            self._clinical_ns,
            self.recorded_ns,
            self._digest,
            trigger,
            patient,
            number,
            reader.location(pv1, 3),
            self._prior(),
            pv1.said(2),
            pv1.said(36),
            admitted_ns=reader.ns(pv1, 44) if does & TELLS_ADMISSION else None,
            discharged_ns=reader.ns(pv1, 45) if does & Effect.CORRECTS else None,
            occurred_ns=reader.ns(self._evn, 6) if trigger in CANCELS else None,
        )

    def _deletion(self) -> Fact:
        patient = needed("PID-3", self._patient)
        when = self._clinical_ns, self.recorded_ns, self._digest
        return Fact(*when, self._trigger, patient, "")

    def _alias(self) -> Statement:
        gone = needed("MRG-1", self._reader.patient(self._group.mrg, 1))
        survivor = needed("PID-3", self._patient)
        if gone == survivor:
            return self._oddity("merge_into_itself", self._visit())
        return Alias(self.recorded_ns, self._clinical_ns, self._digest, gone, survivor)

    def _rekey(self) -> Iterator[Statement]:
        """Yield that a visit or an account got another number, or another patient."""
        pid, mrg, pv1 = self._group
        patient = owner = needed("PID-3", self._patient)
        if self._trigger in ACCOUNTS:
            old, new = self._reader.number(mrg, 3), self._reader.number(pid, 18)
        else:
            old, new = self._reader.number(mrg, 5), self._reader.number(pv1, 19)
        moves = self._trigger in MOVES
        if moves:
            owner = needed("MRG-1", self._reader.patient(mrg, 1))
            old, new = old or new, new or old
        names = ("MRG-3", "PID-18") if self._trigger in ACCOUNTS else ("MRG-5", "PV1-19")
        source: VisitKey = owner, needed(names[0], old)
        target: VisitKey = patient, needed(names[1], new)
        yield Rekey(self.recorded_ns, self._clinical_ns, self._digest, source, target, moves=moves)

    def _bed(self) -> Statement:
        npu = self._message.one("NPU")
        location = needed("NPU-1", self._reader.location(npu, 1) or "")
        status = npu.said(2)
        if status is None:
            raise WrongType("NPU-2 is missing")
        return BedStatus(self._clinical_ns, self.recorded_ns, self._digest, location, status)

    def _oddity(self, kind: str, visit: str, field: str = "") -> Oddity:
        told = kind, self._patient, visit, field
        return Oddity(self._clinical_ns, *told, self.recorded_ns)

    def _prior(self) -> str | None:
        """Return the bed before: PV1-6; in a swap else the other's new bed."""
        told = self._reader.location(self._group.pv1, 6)
        if told is None and self._other is not None:
            return self._reader.location(self._other.pv1, 3)
        return told
