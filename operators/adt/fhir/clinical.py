"""Diagnoses and observations: Condition and Observation."""

from __future__ import annotations

from math import isfinite
from typing import Any

from operators.adt.fhir.codes import TERMINOLOGY, UCUM, VERIFIED, coded, concept, plain
from operators.adt.fhir.encounters import WRONG, encounter_key, encounter_stub
from operators.adt.fhir.names import Entry, Names, Resource
from operators.adt.fhir.people import Record, patient_key, patient_stub

ABSENT = f"{TERMINOLOGY}data-absent-reason"


def condition(names: Names, record: Record) -> list[Entry]:
    """Return the diagnosis first, then the patient and the visit that it refers to."""
    return [diagnosed(names, record), *_those(names, record)]


def diagnosed(names: Names, record: Record) -> Entry:
    """Return the diagnosis alone."""
    domain = record["domain"]
    verified = VERIFIED.get(plain(record["type"]), "unconfirmed")
    resource: Resource = {
        "resourceType": "Condition",
        "clinicalStatus": concept(f"{TERMINOLOGY}condition-clinical", "active"),
        "verificationStatus": concept(f"{TERMINOLOGY}condition-ver-status", verified),
        "category": [concept(f"{TERMINOLOGY}condition-category", "encounter-diagnosis")],
        "code": coded(record["code"], record["system"], record["text"], domain),
        "recordedDate": record["time"],
        **_about(names, record),
    }
    return names.put(record["condition"], resource)


def no_condition(names: Names, key: str) -> list[Entry]:
    """Return a diagnosis that no message names any more; con-5 lets it have no clinical status."""
    _, patient, *_, domain = key.split("|")
    resource = {
        "resourceType": "Condition",
        "verificationStatus": concept(f"{TERMINOLOGY}condition-ver-status", WRONG),
        "subject": {"reference": names.url("Patient", patient_key(patient, domain))},
    }
    return [names.put(key, resource), patient_stub(names, patient, domain)]


def observation(names: Names, record: Record) -> list[Entry]:
    """Return the observation first, then the patient and the visit that it refers to."""
    return [observed(names, record), *_those(names, record)]


def observed(names: Names, record: Record) -> Entry:
    """Return the observation alone."""
    resource: Resource = {
        "resourceType": "Observation",
        "status": record["status"],
        "code": coded(record["code"], record["system"], record["text"], record["domain"]),
        "effectiveDateTime": record["time"],
        **_value(record),
        **_about(names, record),
    }
    return names.put(record["observation"], resource)


def no_observation(names: Names, key: str) -> list[Entry]:
    """Return an observation that no message names any more; FHIR insists on some code."""
    _, patient, *_, domain = key.split("|")
    resource = {
        "resourceType": "Observation",
        "status": WRONG,
        "code": concept(ABSENT, "unknown"),
        "subject": {"reference": names.url("Patient", patient_key(patient, domain))},
    }
    return [names.put(key, resource), patient_stub(names, patient, domain)]


def _about(names: Names, record: Record) -> dict[str, Any]:
    domain, patient, visit = record["domain"], record["patient"], record["visit"]
    found = {"subject": {"reference": names.url("Patient", patient_key(patient, domain))}}
    if visit:
        url = names.url("Encounter", encounter_key(visit, patient, domain))
        found["encounter"] = {"reference": url}
    return found


def _those(names: Names, record: Record) -> list[Entry]:
    domain, patient, visit = record["domain"], record["patient"], record["visit"]
    found = [patient_stub(names, patient, domain)]
    return [*found, encounter_stub(names, visit, patient, domain)] if visit else found


def _value(record: Record) -> dict[str, Any]:
    """Return the value, or why there is none (obs-6: never both)."""
    sent, unit = plain(record["value"]), plain(record["unit"])
    if record["value_ucum"] is not None:
        code = record["unit_ucum"]
        ucum = {"value": record["value_ucum"], "unit": code, "system": UCUM, "code": code}
        as_sent = plain(f"As sent: {record['comparator'] or ''}{sent} {unit}")
        return {"valueQuantity": _bound(record, ucum), "note": [{"text": as_sent}]}
    if not sent:
        return {"dataAbsentReason": concept(ABSENT, "unknown")}
    number = _number(sent) if record["reason"] else None
    if number is None:
        return {"valueString": record["value"].strip()}
    return {"valueQuantity": _bound(record, {"value": number} | ({"unit": unit} if unit else {}))}


def _bound(record: Record, quantity: dict[str, Any]) -> dict[str, Any]:
    return quantity | ({"comparator": record["comparator"]} if record["comparator"] else {})


def _number(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if isfinite(found) else None
