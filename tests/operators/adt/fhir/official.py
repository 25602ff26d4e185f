"""The official v2-to-FHIR maps of an Encounter, read from their tables, message by message.

Of a message it is what the maps say of its MSH and PV1 alone.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from datetime import UTC
from functools import cache
from pathlib import Path
from typing import Any

from connectors.hl7.message import NULL, Message, Segment
from connectors.hl7.times import instant
from state.clock import iso_time
from state.errors import OutOfRange

MAPS = Path(__file__).parents[5] / "shared/data/adt/v2_to_fhir_mappings"
IDENTIFIER, ATTRIBUTE = 1, 9
"""Columns of the tables of segments."""
HERE = {
    "PV1-2": {"class", "status"},
    "PV1-3": {"location[1].location(Location)", "location[1].status"},
    "PV1-4": {"type"},
    "PV1-7": {
        "participant[1].individual(Practitioner)",
        "participant[1].type.coding.code",
        "participant[1].type.coding.system",
        "participant[1].type.coding.display",
    },
    "PV1-10": {"serviceType"},
    "PV1-14": {"hospitalization.admitSource"},
    "PV1-16": {"hospitalization.specialCourtesy"},
    "PV1-19": {
        "identifier[1]",
        "identifier[1].type.coding.code",
        "identifier[1].type.coding.system",
        "identifier[1].type.text",
    },
    "PV1-36": {"hospitalization.dischargeDisposition"},
    "PV1-44": {"period.start"},
    "PV1-45": {"period.end", 'status="finished"'},
}
"""What is compared. docs/fhir.md names the other fields of PV1, and why they are not sent."""


def fields() -> Iterator[tuple[str, str]]:
    """Yield each field of PV1 that the map of Encounter knows, and the element."""
    for row in _rows("segments", "PV1[Encounter]"):
        if row[IDENTIFIER].startswith("PV1-") and row[ATTRIBUTE]:
            yield row[IDENTIFIER], row[ATTRIBUTE]


@cache
def codes(name: str) -> dict[str, tuple[str, str]]:
    """Return a map of codes: that of v2 -> (system, code) of FHIR; those without one left out."""
    return {
        row[0]: (row[9].strip(), row[6].strip())
        for row in _rows("codesystems", name)
        if row[0] and row[6] and row[9].startswith("http")
    }


def encounter(message: Message) -> dict[str, Any]:
    """Return the elements that the maps define for a message, {} without PV1 or a class."""
    pv1 = message.first("PV1")
    if pv1 is None:
        return {}
    found = {name: read(pv1, message) for name, read in _READ.items()}
    return {name: value for name, value in found.items() if value not in (None, "")}


def by_event(message: Message) -> str | None:
    """Return the status by the trigger."""
    found = codes("Event[EncounterStatus]").get(message.text("MSH", 9, 2))
    return found and found[1]


def _status(pv1: Segment, _: Message) -> str | None:
    if _text(pv1, 45):
        return "finished"
    found = codes("PatientClass[EncounterStatus]").get(_text(pv1, 2))
    return found and found[1]


def _coded(field: int, name: str) -> Callable[[Segment, Message], tuple[str, str] | None]:
    return lambda pv1, _: codes(name).get(_text(pv1, field))


def _sent(field: int) -> Callable[[Segment, Message], str]:
    return lambda pv1, _: _text(pv1, field)


def _time(field: int) -> Callable[[Segment, Message], str | None]:
    def read(pv1: Segment, _: Message) -> str | None:
        try:
            return iso_time(instant(_text(pv1, field), UTC).ns) if _text(pv1, field) else None
        except OutOfRange:
            return None

    return read


def _place(pv1: Segment, _: Message) -> str:
    parts = [*pv1.components(3), "", "", ""][:3]
    return " ".join(part for part in parts if part not in ("", NULL))


def _place_status(pv1: Segment, message: Message) -> str | None:
    if not _place(pv1, message):
        return None
    return "planned" if _text(pv1, 2) == "P" else "active"


_READ: dict[str, Callable[[Segment, Message], Any]] = {
    "class": _coded(2, "PatientClass[EncounterClass]"),
    "status": _status,
    "place": _place,
    "place status": _place_status,
    "type": _coded(4, "AdmissionType"),
    "attending": _sent(7),
    "service": _coded(10, "HospitalService"),
    "source": _sent(14),
    "vip": _sent(16),
    "visit": _sent(19),
    "disposition": _sent(36),
    "start": _time(44),
    "end": _time(45),
}


def _text(segment: Segment, field: int) -> str:
    found = segment.text(field)
    return "" if found == NULL else " ".join(found.split())


@cache
def _rows(folder: str, name: str) -> list[list[str]]:
    [path] = [each for each in (MAPS / folder).iterdir() if f"_ {name} - " in each.name]
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))
