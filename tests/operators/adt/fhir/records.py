"""Records of patient care's outputs, as the flow `fhir` reads them, and what is told of them."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from connectors.fhir.bundle import transaction
from operators.adt.fhir.resources import Resources
from operators.outputs import Outputs
from state.adt.changes import Change
from state.clock import NS
from state.records import Coordinates
from state.rows import RowBlock

DOMAIN, PATIENT, VISIT = "GH", "1001^^^GH", "V1^^^GH"
RECORDED_NS = 1_709_625_600 * NS
"""2024-03-05T08:00:00Z"""
KEYS = {
    "patients": ("patient", "domain"),
    "encounters": ("visit", "patient", "domain"),
    "location_visits": ("visit", "patient", "domain"),
    "conditions": ("condition",),
    "observations": ("observation",),
}
BASE: dict[str, dict[str, Any]] = {
    "patients": {
        "merged": [], "family": None, "given": None, "birth_date": None, "sex": None,
        "address": None, "phone": None, "died": None, "deceased": None,
    },
    "encounters": {
        "visit": VISIT, "version": 1, "status": "in-progress", "class": "I",
        "admitted": "2024-03-05T08:00:00Z", "discharged": None, "disposition": None,
        "stay_s": None, "transfers": 0, "boarding_s": 0, "admission_type": None,
        "attending": None, "service": None, "source": None, "vip": None, "wards": [],
    },
    "location_visits": {"visit": VISIT, "version": 1, "wards": [], "stays": []},
    "conditions": {
        "visit": VISIT, "condition": f"{VISIT}|{PATIENT}|F|I10C|I50.9|{DOMAIN}", "code": "I50.9",
        "system": "I10C", "text": "Heart failure", "type": "F", "rank": "1",
        "time": "2024-03-05T09:00:00Z",
    },
    "observations": {
        "visit": VISIT, "observation": f"{VISIT}|{PATIENT}||718-7|{DOMAIN}", "code": "718-7",
        "system": "LN", "text": "Hemoglobin", "value": "118", "comparator": None, "unit": "g/L",
        "value_ucum": 11.8, "unit_ucum": "g/dL", "reason": None, "status": "final",
        "time": "2024-03-05T09:00:00Z", "filler": None, "sub_id": None, "nth": 0,
    },
}  # fmt: skip


def record(output: str, **fields: Any) -> dict[str, Any]:
    """A record of an output, with these fields."""
    found = {
        "id": "x", "domain": DOMAIN, "patient": PATIENT, "ts_ns": RECORDED_NS,
        "because": ["adt.raw:0:7"],
    }  # fmt: skip
    return found | BASE[output] | fields


def change(output: str, **fields: Any) -> Change:
    """The change that a record is."""
    found = record(output, **fields)
    return _change(output, "|".join(found[name] for name in KEYS[output]), found)


def retracted(output: str, key: str) -> Change:
    """The change that takes a key away."""
    return _change(output, key, None)


def stay(location: str, start: str, end: str | None = None, patient_class: str = "I") -> Any:
    """A row of a timeline, on 5 March 2024 from and to these hours."""
    times = [each and f"2024-03-05T{each}:00Z" for each in (start, end)]
    return {
        "location": location, "class": patient_class, "start": times[0], "end": times[1],
        "inferred": False,
    }  # fmt: skip


def hashed(purpose: str, data: bytes) -> bytes:
    """What stands for a key where a test has no keys."""
    return sha256(purpose.encode() + b"|" + data).digest()[:16]


def told(*changes: Change, logic: Resources | None = None) -> list[dict[str, Any]]:
    """The bundle of each change that tells something."""
    logic = logic or Resources(8, hashed)
    return [transaction(each.entries) for each in logic.process(_block(changes), Outputs())]


def block(*changes: Change) -> RowBlock[Change]:
    """A block of changes."""
    return _block(changes)


def resources(bundle: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """The resources of a kind in a bundle."""
    found = [entry["resource"] for entry in bundle["entry"]]
    return [each for each in found if each["resourceType"] == kind]


def the(bundle: dict[str, Any], kind: str) -> dict[str, Any]:
    """The one resource of a kind in a bundle."""
    [found] = resources(bundle, kind)
    return found


def _block(changes: Iterable[Change]) -> RowBlock[Change]:
    return RowBlock("adt.encounters", 1, list(changes))


def _change(output: str, key: str, found: dict[str, Any] | None) -> Change:
    return Change(output, key, found, Coordinates(f"adt.{output}", 0, 3), 5, b"key", b"sealed")
