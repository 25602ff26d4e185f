"""Patients, and who and what else a visit names: practitioners and places."""

from __future__ import annotations

from typing import Any

from operators.adt.fhir.codes import GENDERS, TERMINOLOGY, concept, own, plain
from operators.adt.fhir.names import Entry, Names, Resource, number, unescaped

Record = dict[str, Any]
PLACES = (("wa", "Ward"), ("ro", "Room"), ("bd", "Bed"))
"""location-physical-type of a place by how far it is told."""


def patient_key(patient: str, domain: str) -> str:
    """Return the key of a patient, as the output `patients` has it."""
    return f"{patient}|{domain}"


def patient_stub(names: Names, patient: str, domain: str) -> Entry:
    """Return a patient with nothing but the number, who is added where the server has none."""
    return names.make(patient_key(patient, domain), _bare(patient, domain))


def patient(names: Names, record: Record) -> Resource:
    """Return a patient, who replaces those that were merged into them."""
    domain = record["domain"]
    family, given = plain(record["family"]), plain(record["given"]).split()
    name = ({"family": family} if family else {}) | ({"given": given} if given else {})
    phone = plain(record["phone"])
    return _bare(record["patient"], domain) | {
        "active": True,
        "name": [name] if name else [],
        "gender": GENDERS.get(plain(record["sex"]).upper()),
        "birthDate": record["birth_date"],
        "address": _addresses(record["address"] or {}),
        "telecom": [{"system": "phone", "value": phone, "use": "home"}] if phone else [],
        **_death(record),
        "link": [
            _link(names.url("Patient", patient_key(each, domain)), "replaces")
            for each in record["merged"]
        ],
    }


def merged_patient(names: Names, patient: str, survivor: str | None, domain: str) -> Resource:
    """Return a patient's number that stands for another now, or for nobody (None)."""
    found = _bare(patient, domain) | {"active": False}
    if survivor is not None:
        url = names.url("Patient", patient_key(survivor, domain))
        found["link"] = [_link(url, "replaced-by")]
    return found


def place(names: Names, location: str, domain: str) -> Entry:
    """Return a place, which is added where the server has none.

    Its name is that of ward, room and bed; a facility after them only tells it from others.
    """
    parts = [unescaped(each) for each in location.split("^")[: len(PLACES)]]
    code, display = PLACES[max(sum(map(bool, parts)), 1) - 1]
    resource = {
        "resourceType": "Location",
        "identifier": [{"system": own("places", unescaped(domain)), "value": location}],
        "name": plain(" ".join(parts)),
        "mode": "instance",
        "physicalType": concept(f"{TERMINOLOGY}location-physical-type", code, display),
    }
    return names.make(f"{location}|{domain}", resource)


def practitioner(names: Names, told: str, domain: str) -> Entry:
    """Return who is named as ``id^family^given``; added where the server has none."""
    identifier, family, given, *_ = (*map(plain, told.split("^")), "", "", "")
    name = ({"family": family} if family else {}) | ({"given": given.split()} if given else {})
    resource: Resource = {"resourceType": "Practitioner", "name": [name] if name else []}
    if identifier:
        system = own("practitioners", unescaped(domain))
        resource["identifier"] = [{"system": system, "value": unescaped(identifier)}]
    return names.make(f"{identifier or told}|{domain}", resource)


def _bare(patient: str, domain: str) -> Resource:
    return {"resourceType": "Patient", "identifier": [number(patient, domain, "MR")]}


def _link(url: str, kind: str) -> dict[str, Any]:
    return {"other": {"reference": url}, "type": kind}


def _addresses(sent: dict[str, str]) -> list[dict[str, Any]]:
    found: dict[str, Any] = {
        name: plain(sent.get(part))
        for part, name in (
            ("city", "city"),
            ("state", "state"),
            ("zip", "postalCode"),
            ("country", "country"),
        )
        if plain(sent.get(part))
    }
    if line := plain(sent.get("line")):
        found["line"] = [line]
    return [found] if found else []


def _death(record: Record) -> dict[str, Any]:
    if record["died"] is not None:
        return {"deceasedDateTime": record["died"]}
    return {} if record["deceased"] is None else {"deceasedBoolean": record["deceased"]}
