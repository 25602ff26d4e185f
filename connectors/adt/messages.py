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
    for pid, pv1 in _visits(message, every=trigger == "A17"):
        # A correction may come without a visit, for it tells of the person too.
        visit = pv1.text(19) or pid.text(18) or pv1.text(44)
        if visit or Effect.CORRECTS not in effect(trigger):
            yield _fact(message, trigger, pid, pv1, _needed("PV1-19", visit))


def _visits(message: Message, *, every: bool) -> Iterator[tuple[Segment, Segment]]:
    """Yield the first pair of PID and PV1, or each; an empty segment where one is missing."""
    nothing = Segment("", message)
    pid = pv1 = nothing
    for segment in message:
        if segment.name == "PID":
            if pid is not nothing:
                yield pid, pv1
                if not every:
                    return
            pid, pv1 = segment, nothing
        elif segment.name == "PV1" and pv1 is nothing:
            pv1 = segment
    yield pid, pv1


def _fact(message: Message, trigger: str, pid: Segment, pv1: Segment, visit: str) -> Fact:
    evn = message.first("EVN") or Segment("", message)
    zone = zone_of(message.text("MSH", 7)) or UTC
    occurred_ns, discharged_ns = _time_ns(evn.text(6), zone), _time_ns(pv1.text(45), zone)
    recorded = (_time_ns(evn.text(2), zone), _time_ns(message.text("MSH", 7), zone))
    clinical_ns = _first((discharged_ns if trigger == "A03" else None, occurred_ns, *recorded))
    return Fact(
        clinical_ns=clinical_ns,
        recorded_ns=_first((*recorded, clinical_ns)),
        digest=message.digest(),
        trigger=trigger,
        patient=_needed("PID-3", pid.text(3)),
        visit=visit,
        location=_location(message, pv1, 3),
        prior=_location(message, pv1, 6),
        patient_class=pv1.said(2),
        disposition=pv1.said(36),
        occurred_ns=occurred_ns,
        admitted_ns=_time_ns(pv1.text(44), zone),
        discharged_ns=discharged_ns,
    )


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
