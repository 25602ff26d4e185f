"""HL7 v2 ADT messages into facts of visits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, tzinfo

from connectors.hl7.message import NULL, Message, Segment
from connectors.hl7.times import instant, zone_of
from state.adt.facts import Fact, Told
from state.adt.triggers import USED, Effect, effect
from state.errors import BadRecord, OutOfRange, WrongType
from state.metrics import RECORDS
from state.records import HEARTBEAT_HEADER, Messages
from state.rows import RowBlock

RECORD_TYPES = {"MR", "MRN"}
MOST_NUMBERS = 100
"""Nobody has more; each one is sought from the beginning of its field."""


def decode(messages: Messages) -> RowBlock[Told]:
    """Return the facts of a batch in order, and a dead letter for what is no ADT message."""
    block: RowBlock[Told] = RowBlock.of(messages)
    for row in range(len(messages)):
        value = messages.value(row)
        if not value and HEARTBEAT_HEADER in dict(messages.headers.get(row, ())):
            continue
        try:
            facts = list(parse(value))
        except BadRecord as error:
            block.dead.append(messages.dead(row, error))
        else:
            block.rows += [Told(messages.coordinates(row), fact) for fact in facts]
    RECORDS.labels(messages.topic).inc(len(block))
    return block


def parse(raw: bytes) -> Iterator[Fact]:
    """Yield what a message says of visits: one fact, or two where patients swap their beds (A17).

    Raises BadRecord, which repeats nothing of the message.
    """
    message = Message(raw)
    trigger = message.text("MSH", 9, 2) or message.text("EVN", 1)
    if message.text("MSH", 9) != "ADT" or trigger not in USED:
        return
    visits = _visits(message, trigger)
    for place, (pid, pv1) in enumerate(visits):
        # A correction may come without a visit, for it tells of the person too.
        visit = pv1.text(19) or pid.text(18)
        if visit or Effect.CORRECTS not in effect(trigger):
            fact = _fact(message, trigger, pid, pv1, _needed("PV1-19", visit))
            # Two facts of one message must not be one to the order of facts.
            fact = fact._replace(digest=f"{fact.digest} {place:06}")
            if fact.prior is None and len(visits) == 2:  # in a swap it is the other's new bed
                fact = fact._replace(prior=_location(message, visits[1 - place][1], 3))
            yield fact


def _visits(message: Message, trigger: str) -> list[tuple[Segment, Segment]]:
    """Return PID and PV1, or each pair of a swap (A17); an empty segment where one is missing."""
    nothing = Segment("", message)
    if trigger != "A17":
        return [(message.first("PID") or nothing, message.first("PV1") or nothing)]
    found: list[tuple[Segment, Segment]] = []
    for segment in message:
        if segment.name == "PID":
            found.append((segment, nothing))
        elif segment.name == "PV1" and found and found[-1][1] is nothing:
            found[-1] = (found[-1][0], segment)
    return found


def _fact(message: Message, trigger: str, pid: Segment, pv1: Segment, visit: str) -> Fact:
    evn = message.first("EVN") or Segment("", message)
    zone = zone_of(message.text("MSH", 7)) or UTC
    occurred_ns, discharged_ns = _time_ns(evn.text(6), zone), _time_ns(pv1.text(45), zone)
    recorded = (_time_ns(evn.text(2), zone), _time_ns(message.text("MSH", 7), zone))
    left = (discharged_ns,) if Effect.DISCHARGES in effect(trigger) else ()
    clinical_ns = _first((*left, occurred_ns, *recorded))
    return Fact(
        clinical_ns=clinical_ns,
        recorded_ns=_first((*recorded, clinical_ns)),
        digest=message.digest(),
        trigger=trigger,
        patient=_needed("PID-3", _number(pid, 3)),
        visit=visit,
        location=_location(message, pv1, 3),
        prior=_location(message, pv1, 6),
        patient_class=pv1.said(2),
        disposition=pv1.said(36),
        occurred_ns=occurred_ns,
        admitted_ns=_time_ns(pv1.text(44), zone),
        discharged_ns=discharged_ns,
    )


def _number(pid: Segment, field: int) -> str:
    """Return the first usable number of a list: of the type MR or MRN, else of any."""
    numbers = [
        (pid.text(field, 5, repetition=each) in RECORD_TYPES, pid.text(field, repetition=each))
        for each in range(1, min(pid.repetitions(field), MOST_NUMBERS) + 1)
    ]
    usable = [(of_record, number) for of_record, number in numbers if number]
    return max(usable, key=lambda each: each[0], default=(False, ""))[1]


def _location(message: Message, pv1: Segment, field: int) -> str | None:
    """Return ward^room^bed, and the facility where it is not the sender's.

    None where nothing is said, "" where it is said to be nowhere.
    """
    parts = [pv1.text(field, part) for part in (1, 2, 3)]
    if any(parts) and pv1.text(field, 4) != message.text("MSH", 4):
        parts.append(pv1.text(field, 4))
    return "^".join(parts).rstrip("^") or ("" if NULL in pv1.raw(field) else None)


def _needed(name: str, value: str) -> str:
    if not value:
        raise WrongType(f"{name} is missing")
    return value


def _time_ns(text: str, zone: tzinfo) -> int | None:
    """Return a time in ns since 1970, None where there is none, or it does not exist."""
    try:
        return instant(text, zone).ns
    except OutOfRange:
        return None


def _first(times: Iterable[int | None]) -> int:
    for time_ns in times:
        if time_ns is not None:
            return time_ns
    raise OutOfRange("neither EVN nor MSH-7 has a time")
