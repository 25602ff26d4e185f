"""HL7 v2 ADT messages into facts: the few fields that the seed of patient care needs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, tzinfo

from connectors.hl7.message import Message
from connectors.hl7.times import instant, zone_of
from state.adt.facts import Fact, Told
from state.errors import BadRecord, OutOfRange, WrongType
from state.metrics import RECORDS
from state.records import HEARTBEAT_HEADER, Messages
from state.rows import RowBlock

TRIGGERS = ("A01", "A02", "A11")
"""Admitted, transferred, admission cancelled; other messages are of no concern here."""


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


def parse(raw: bytes) -> Fact:
    """Return what a message says. Raises BadRecord, which repeats nothing of it."""
    message = Message(raw)
    location = "^".join(message.text("PV1", 3, part) for part in (1, 2, 3)).rstrip("^")
    times = [message.text("EVN", 6), message.text("EVN", 2), message.text("MSH", 7)]
    zone = zone_of(times[-1]) or UTC
    return Fact(
        clinical_ns=_time_ns(times, zone),
        recorded_ns=_time_ns(times[1:], zone),
        trigger=message.text("MSH", 9, 2) or message.text("EVN", 1),
        patient=_needed("PID-3", message.text("PID", 3)),
        visit=_needed("PV1-19", message.text("PV1", 19)),
        location=location,
    )


def _needed(name: str, value: str) -> str:
    if not value:
        raise WrongType(f"{name} is missing")
    return value


def _time_ns(texts: Iterable[str], zone: tzinfo) -> int:
    """Return the first of these times that is one, ns since 1970."""
    for text in texts:
        try:
            return instant(text, zone).ns
        except OutOfRange:
            continue
    raise OutOfRange("neither EVN nor MSH-7 has a time")
