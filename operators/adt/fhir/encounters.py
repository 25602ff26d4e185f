"""Visits: an Encounter is made of its row in `encounters` and its timeline."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from operators.adt.fhir.codes import (
    RESTRICTED,
    SERVICES,
    TERMINOLOGY,
    UCUM,
    UNKNOWN_CLASS,
    by_table,
    coding,
    concept,
    disposition,
    encounter_class,
    plain,
)
from operators.adt.fhir.names import Entry, Names, Resource, number
from operators.adt.fhir.people import Record, patient_key, patient_stub, place, practitioner

WRONG = "entered-in-error"
OVER = frozenset({"finished", "cancelled", WRONG})
NOBODY_IN = "planned"


def encounter_key(visit: str, patient: str, domain: str) -> str:
    """Return the key of a visit, as the output `encounters` has it."""
    return f"{visit}|{patient}|{domain}"


def encounter(names: Names, record: Record, stays: list[Record]) -> list[Entry]:
    """Return the Encounter first, then what it refers to."""
    domain, patient, status = record["domain"], record["patient"], record["status"]
    places = {stay["location"]: place(names, stay["location"], domain) for stay in stays}
    attending = plain(record["attending"])
    doctors = [practitioner(names, attending, domain)] if attending else []
    vip = plain(record["vip"])
    resource: Resource = {
        "resourceType": "Encounter",
        "meta": {"security": [RESTRICTED]} if vip else {},
        "identifier": [number(record["visit"], domain, "VN")],
        "status": status,
        "class": encounter_class(record["class"]),
        "classHistory": _classes(stays),
        "type": _concepts("0007", record["admission_type"]),
        "serviceType": _service(plain(record["service"])),
        "subject": {"reference": names.url("Patient", patient_key(patient, domain))},
        "participant": [
            {
                "type": [concept(f"{TERMINOLOGY}v3-ParticipationType", "ATND", "attender")],
                "individual": {"reference": each["fullUrl"]},
            }
            for each in doctors
        ],
        **_times(record),
        "hospitalization": _hospitalization(record, vip),
        "location": [
            {
                "location": {"reference": places[stay["location"]]["fullUrl"]},
                "status": _status(stay, status),
                "period": _period(stay["start"], stay["end"]),
            }
            for stay in stays
        ],
    }
    whole = names.put(encounter_key(record["visit"], patient, domain), resource)
    return [whole, patient_stub(names, patient, domain), *places.values(), *doctors]


def no_encounter(names: Names, key: str) -> list[Entry]:
    """Return a visit of which nothing is known any more, as one that was entered in error.

    It is not deleted, for other resources may name it. Its number may now be another's.
    """
    _, patient, domain = key.split("|")
    subject = {"reference": names.url("Patient", patient_key(patient, domain))}
    resource = {
        "resourceType": "Encounter",
        "status": WRONG,
        "class": UNKNOWN_CLASS,
        "subject": subject,
    }
    return [names.put(key, resource), patient_stub(names, patient, domain)]


def encounter_stub(names: Names, visit: str, patient: str, domain: str) -> Entry:
    """Return a visit of which its number alone is known; added where the server has none."""
    resource = {
        "resourceType": "Encounter",
        "identifier": [number(visit, domain, "VN")],
        "status": "unknown",
        "class": UNKNOWN_CLASS,
        "subject": {"reference": names.url("Patient", patient_key(patient, domain))},
    }
    return names.make(encounter_key(visit, patient, domain), resource)


def _times(record: Record) -> dict[str, Any]:
    start, end, stay_s = record["admitted"], record["discharged"], record["stay_s"]
    if start and end and stay_s is not None and stay_s < 0:
        # A period may not end before it starts (per-1), and the discharge was told later.
        return {"period": _period(None, end)}
    length = {"value": stay_s, "unit": "s", "system": UCUM, "code": "s"}
    return {"period": _period(start, end), "length": {} if stay_s is None else length}


def _period(start: str | None, end: str | None) -> dict[str, str]:
    return ({"start": start} if start else {}) | ({"end": end} if end else {})


def _status(stay: Record, status: str) -> str:
    if status == NOBODY_IN:
        return NOBODY_IN
    return "completed" if stay["end"] or status in OVER else "active"


def _classes(stays: list[Record]) -> list[dict[str, Any]]:
    """Return the classes in order, each with when it was so; [] where there was but one."""
    found = []
    for sent, group in groupby(stays, key=lambda stay: stay["class"]):
        rows = list(group)
        period = _period(rows[0]["start"], rows[-1]["end"])
        found.append({"class": encounter_class(sent), "period": period})
    return found if len(found) > 1 else []


def _concepts(table: str, sent: str | None) -> list[dict[str, Any]]:
    code = plain(sent)
    return [concept(f"{TERMINOLOGY}v2-{table}", code)] if code else []


def _service(code: str) -> dict[str, Any]:
    return {"coding": [by_table("0069", code, SERVICES, "service-type")]} if code else {}


def _hospitalization(record: Record, vip: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if source := plain(record["source"]):
        found["admitSource"] = concept(f"{TERMINOLOGY}v2-0023", source)
    if sent := plain(record["disposition"]):
        found["dischargeDisposition"] = disposition(sent)
    if vip:
        found["specialCourtesy"] = [{"coding": [coding(f"{TERMINOLOGY}v2-0099", vip)]}]
    return found
