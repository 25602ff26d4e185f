"""What is wrong with a message's content as far as a listener looks: at ids alone.

Source: HL7 v2.9, 2.14.9 (MSH-10 is required), 3.4.2 (PID-3 is), 3.4.9 (MRG-1 is).
"""

from __future__ import annotations

from connectors.hl7.message import Message, Segment
from connectors.mllp.answers import DUPLICATE, FIELD_MISSING, Condition
from state.errors import BadRecord, OutOfRange, WrongType

Fault = tuple[Condition, BadRecord]


def fault_of(raw: bytes) -> Fault | None:
    """Return the first fault of a message whose MSH can be read; None where it has none."""
    message = Message(raw)
    if not message.text("MSH", 10):
        return _missing("MSH-10")
    patient: Segment | None = None
    for segment in message:
        if segment.name == "PID":
            patient = segment
            if not _number(segment, 3)[0]:
                return _missing("PID-3")
        elif segment.name == "MRG":
            if not _number(segment, 1)[0]:
                return _missing("MRG-1")
            if patient is not None and _number(segment, 1) == _number(patient, 3):
                return DUPLICATE, OutOfRange("MRG-1 is PID-3: nobody is merged into himself")
    return None


def _number(segment: Segment, field: int) -> tuple[str, str]:
    """Return the first id of a field and the authority that gave it."""
    return segment.text(field, 1), segment.text(field, 4)


def _missing(field: str) -> Fault:
    return FIELD_MISSING, WrongType(f"{field} is missing")
