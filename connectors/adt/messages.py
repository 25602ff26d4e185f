"""HL7 v2 ADT messages into facts: the few fields that the seed of patient care needs."""

from __future__ import annotations

from datetime import UTC, datetime

from state.adt.facts import Fact, Told
from state.clock import NS
from state.errors import BadRecord, Malformed, OutOfRange, WrongType
from state.metrics import RECORDS
from state.records import HEARTBEAT_HEADER, Messages
from state.rows import RowBlock

TRIGGERS = ("A01", "A02", "A11")
"""Admitted, transferred, admission cancelled; other messages are of no concern here."""

Segments = dict[str, list[str]]


def decode(messages: Messages) -> RowBlock[Told]:
    """Return the facts of a batch in order, and a dead letter for what is no ADT message."""
    block: RowBlock[Told] = RowBlock.of(messages)
    for row in range(len(messages)):
        value = messages.value(row)
        if not value and HEARTBEAT_HEADER in dict(messages.headers.get(row, ())):
            continue
        try:
            fact = parse(value)
        except BadRecord as error:
            block.dead.append(messages.dead(row, error))
        else:
            if fact.trigger in TRIGGERS:
                block.rows.append(Told(messages.coordinates(row), fact))
    RECORDS.labels(messages.topic).inc(len(block))
    return block


def parse(message: bytes) -> Fact:
    """Return what a message says. Raises BadRecord, which repeats nothing of it."""
    try:
        lines = message.decode().replace("\n", "\r").split("\r")
    except UnicodeDecodeError:
        raise Malformed("the message is no UTF-8") from None
    if not lines[0].startswith("MSH") or len(lines[0]) < 8:
        raise Malformed("the message does not begin with MSH")
    separator, component = lines[0][3], lines[0][4]
    segments: Segments = {}
    for line in lines:
        name, *fields = line.split(separator)
        segments.setdefault(name, fields)

    def field(segment: str, number: int, part: int = 1) -> str:
        fields = segments.get(segment, [])
        # MSH-1 is the separator itself, so that MSH's fields count from 2.
        place = number - 2 if segment == "MSH" else number - 1
        parts = fields[place].split(component) if place < len(fields) else []
        return parts[part - 1] if part <= len(parts) else ""

    recorded = field("EVN", 2) or field("MSH", 7)
    location = component.join(field("PV1", 3, part) for part in (1, 2, 3)).strip(component)
    return Fact(
        clinical_ns=_time_ns(field("EVN", 6) or recorded),
        recorded_ns=_time_ns(recorded),
        trigger=field("MSH", 9, 2),
        patient=_needed("PID-3", field("PID", 3)),
        visit=_needed("PV1-19", field("PV1", 19)),
        location=location.replace(component, "^"),
    )


def _needed(name: str, value: str) -> str:
    if not value:
        raise WrongType(f"{name} is missing")
    return value


def _time_ns(text: str) -> int:
    """Return YYYYMMDDHHMMSS, taken as UTC, as ns since 1970."""
    try:
        when = datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        raise OutOfRange("a time is no YYYYMMDDHHMMSS") from None
    return int(when.timestamp()) * NS
