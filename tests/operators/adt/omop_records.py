"""Records of one patient, of the outputs that OMOP's rows are made of."""

from __future__ import annotations

from typing import Any

WHO = {"domain": "GH", "patient": "7^^^GH", "ts_ns": 1_709_632_800_000_000_000}
VISIT = {**WHO, "visit": "V1^^^GH"}
Record = dict[str, Any]


def patient(**fields: Any) -> Record:
    return {**WHO, "birth_date": "1965-02-04", "sex": "F", "died": None, "merged": []} | fields


def encounter(**fields: Any) -> Record:
    times = {"admitted": "2024-03-05T08:00:00Z", "discharged": "2024-03-06T07:00:00Z"}
    rest = {"status": "finished", "class": "I", "disposition": "01", "source": "7"}
    return {**VISIT, **rest, **times} | fields


def stay(hour: int, patient_class: str | None, location: str = "4W^1^A") -> Record:
    start, end = (f"2024-03-05T{each:02}:00:00Z" for each in (hour, hour + 1))
    return {"location": location, "class": patient_class, "start": start, "end": end}


def condition(**fields: Any) -> Record:
    told = {"code": "I50.9", "system": "I10C", "type": "F", "time": "2024-03-05T09:00:00Z"}
    return {**VISIT, "condition": "V1|7|F|I10C|I50.9|GH", **told} | fields


def observation(**fields: Any) -> Record:
    value = {"value": "118", "unit": "g/L", "value_ucum": 11.8, "unit_ucum": "g/dL"}
    told = {"code": "718-7", "system": "LN", "status": "final", "time": "2024-03-05T09:30:00Z"}
    return {**VISIT, "observation": "F1|718-7", "comparator": None, **value, **told} | fields


def whole(stays: list[Record] | None = None, **records: list[Record]) -> dict[str, list[Record]]:
    """Return one record of each output, but for those that are given."""
    told = [stay(8, "I")] if stays is None else stays
    return {
        "patients": [patient()],
        "encounters": [encounter()],
        "location_visits": [{**VISIT, "stays": told}],
        "conditions": [condition()],
        "observations": [observation()],
    } | records
