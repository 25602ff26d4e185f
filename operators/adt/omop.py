"""Patient care as rows of OMOP's Common Data Model 5.4: a function of what is known of a person.

Rows are columns by name. An id is 63 bits of a hash of its table and its key, so that a replay
gives the same ones. A concept that nobody told is 0, and the value as sent stands beside it.

Source: OMOP CDM v5.4, the conventions of each table; adt.md, 7.9.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import orjson

from state.adt.omop import (
    CLASSES,
    EHR,
    GENDERS,
    NO_VISIT,
    NOT_MADE,
    OPERATORS,
    TABLES,
    THROUGH_EMERGENCY,
    UCUM,
    VOCABULARIES,
    Concepts,
    Mapped,
    Record,
    Rows,
)
from state.clock import iso_time

_LETTERS = 50
"""Of a source value; CDM 5.4 has varchar(50)."""
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)")


def no_vocabulary(_: str, __: str) -> Mapped:
    """Return what is known of a code without a vocabulary: nothing."""
    return Mapped()


def identity(table: str, *key: str) -> int:
    """Return the id of a row, from 0 on and below 2^63."""
    return int.from_bytes(sha256(orjson.dumps((table, *key))).digest()[:8]) >> 1


def person_id(record: Mapping[str, Any]) -> int:
    """Return the id of the person that a record of any output is about."""
    return identity("person", record["domain"], record["patient"])


def rows(records: Mapping[str, Iterable[Record]], concepts: Concepts = no_vocabulary) -> Rows:
    """Return all rows of one person, given the last record of each key of `OUTPUTS` about him.

    None at all where no year of birth is known: a person has one in the CDM.
    """
    made: Rows = {table: [] for table in ("care_site", *TABLES)}
    person = next(_persons(records.get("patients", ())), None)
    if person is None:
        return made
    made["person"].append(person)
    last_ns = max(each["ts_ns"] for found in records.values() for each in found)
    history = _History(concepts, person["person_id"], _moment(iso_time(last_ns)))
    stays = {each["visit"]: each["stays"] for each in records.get("location_visits", ())}
    visits = [each for each in records.get("encounters", ()) if _is_visit(each)]
    for each in sorted(visits, key=lambda visit: (visit["admitted"], visit["visit"])):
        found = stays.get(each["visit"], [])
        row = history.visit(each, found, made["visit_occurrence"][-1:])
        history.visits[each["visit"]] = row
        made["visit_occurrence"].append(row)
        made["visit_detail"] += history.details(each, found)
        made["care_site"] += (_site(each["domain"], stay["location"]) for stay in found)
    for condition in records.get("conditions", ()):
        made["condition_occurrence"] += history.condition(condition)
    for seen in records.get("observations", ()):
        if seen["status"] not in NOT_MADE:
            table, row = history.observed(seen)
            made[table].append(row)
    made["death"] += _deaths(records["patients"], person["person_id"])
    made["observation_period"] += _period(made, person["person_id"])
    return made


class _History:
    """The rows about one person."""

    def __init__(self, concepts: Concepts, person: int, last: datetime) -> None:
        self._concepts = concepts
        self._person = person
        self._last = last
        """The newest time at which anything was recorded: until then an open visit is known."""
        self.visits: dict[str | None, Record] = {}

    def visit(self, encounter: Record, stays: list[Record], before: list[Record]) -> Record:
        """Return one visit; emergency and inpatient in one number are one."""
        classes = {each["class"] for each in stays} | {encounter["class"]}
        both = {"E", "I"} <= classes
        return {
            "visit_occurrence_id": _visit_id(encounter),
            "person_id": self._person,
            "visit_concept_id": THROUGH_EMERGENCY if both else _class(encounter["class"]),
            **self._span("visit", encounter["admitted"], encounter["discharged"]),
            "visit_type_concept_id": EHR,
            "visit_source_value": _text(encounter["visit"]),
            "visit_source_concept_id": 0,
            "admitted_from_concept_id": 0,
            "admitted_from_source_value": _text(encounter.get("source")),
            "discharged_to_concept_id": 0,
            "discharged_to_source_value": _text(encounter["disposition"]),
            "preceding_visit_occurrence_id": before[0]["visit_occurrence_id"] if before else None,
        }

    def details(self, encounter: Record, stays: list[Record]) -> Iterator[Record]:
        """Yield a row for each time in one bed, each with the one before it."""
        ids = [identity("visit_detail", *_visit_key(encounter), stay["start"]) for stay in stays]
        places = [stay["location"] for stay in stays]
        whence = [encounter.get("source"), *places]
        whither = [*places[1:], encounter["disposition"]]
        for place, stay in enumerate(stays):
            yield {
                "visit_detail_id": ids[place],
                "person_id": self._person,
                "visit_detail_concept_id": _class(stay["class"]),
                **self._span("visit_detail", stay["start"], stay["end"]),
                "visit_detail_type_concept_id": EHR,
                "care_site_id": _site(encounter["domain"], stay["location"])["care_site_id"],
                "visit_detail_source_value": _text(stay["location"]),
                "visit_detail_source_concept_id": 0,
                "admitted_from_concept_id": 0,
                "admitted_from_source_value": _text(whence[place]),
                "discharged_to_concept_id": 0,
                "discharged_to_source_value": _text(whither[place]),
                "preceding_visit_detail_id": ids[place - 1] if place else None,
                "visit_occurrence_id": _visit_id(encounter),
            }

    def condition(self, record: Record) -> Iterator[Record]:
        """Yield the row of a diagnosis; none where neither it nor its visit has a time."""
        visit = self.visits.get(record["visit"])
        when = (
            _moment(record["time"]) if record["time"] else visit and visit["visit_start_datetime"]
        )
        if not when:
            return
        mapped = self._mapped(record["system"], record["code"])
        yield {
            "condition_occurrence_id": identity("condition_occurrence", record["condition"]),
            "person_id": self._person,
            "condition_concept_id": mapped.standard,
            "condition_start_date": when.date(),
            "condition_start_datetime": when,
            "condition_type_concept_id": EHR,
            "condition_status_concept_id": 0,
            "condition_status_source_value": _text(record["type"]),
            "visit_occurrence_id": visit and visit["visit_occurrence_id"],
            "condition_source_value": _text(record["code"]),
            "condition_source_concept_id": mapped.source,
        }

    def observed(self, record: Record) -> tuple[str, Record]:
        """Return a number as a measurement, and anything else as an observation."""
        number = _number(record)
        table = "observation" if number is None else "measurement"
        visit = self.visits.get(record["visit"])
        when = _moment(record["time"])
        mapped = self._mapped(record["system"], record["code"])
        unit = self._concepts(UCUM, record["unit_ucum"]).standard if record["unit_ucum"] else 0
        row = {
            f"{table}_id": identity(table, record["observation"]),
            "person_id": self._person,
            f"{table}_concept_id": mapped.standard,
            f"{table}_date": when.date(),
            f"{table}_datetime": when,
            f"{table}_type_concept_id": EHR,
            "value_as_number": number,
            "unit_concept_id": unit,
            "unit_source_value": _text(record["unit"]),
            "visit_occurrence_id": visit and visit["visit_occurrence_id"],
            f"{table}_source_value": _text(record["code"]),
            f"{table}_source_concept_id": mapped.source,
            "value_source_value": _text(record["value"]),
        }
        if number is None:
            return table, row | {"value_as_string": _text(record["value"], 60)}
        return table, row | {"operator_concept_id": OPERATORS.get(record["comparator"] or "")}

    def _span(self, table: str, start: str, end: str | None) -> Record:
        """Return start and end; what is open ends, as a date, where it was last told of."""
        begin = _moment(start)
        if end and _moment(end) < begin:
            begin = _moment(end)  # the discharge was told later, and counts, as for FHIR
        return {
            f"{table}_start_date": begin.date(),
            f"{table}_start_datetime": begin,
            f"{table}_end_date": (_moment(end) if end else max(begin, self._last)).date(),
            f"{table}_end_datetime": _moment(end) if end else None,
        }

    def _mapped(self, system: str | None, code: str) -> Mapped:
        vocabulary = VOCABULARIES.get((system or "").upper())
        return self._concepts(vocabulary, code) if vocabulary else Mapped()


def _persons(patients: Iterable[Record]) -> Iterator[Record]:
    for each in patients:
        if each["birth_date"]:
            year, month, day = (*map(int, each["birth_date"].split("-")), None, None)[:3]
            yield {
                "person_id": person_id(each),
                "gender_concept_id": GENDERS.get(each["sex"] or "", 0),
                "year_of_birth": year,
                "month_of_birth": month,
                "day_of_birth": day,
                "race_concept_id": 0,
                "ethnicity_concept_id": 0,
                "person_source_value": _text(each["patient"]),
                "gender_source_value": _text(each["sex"]),
                "gender_source_concept_id": 0,
            }


def _deaths(patients: Iterable[Record], person: int) -> Iterator[Record]:
    for each in patients:
        if each["died"]:
            when = _moment(each["died"])
            yield {
                "person_id": person,
                "death_date": when.date(),
                "death_datetime": when,
                "death_type_concept_id": EHR,
            }


def _period(made: Rows, person: int) -> Iterator[Record]:
    """Yield the time from the first to the last that is known of a person."""
    days = [
        value
        for table in made
        if table not in ("person", "care_site")
        for row in made[table]
        for name, value in row.items()
        if name.endswith("_date")
    ]
    if days:
        yield {
            "observation_period_id": identity("observation_period", str(person)),
            "person_id": person,
            "observation_period_start_date": min(days),
            "observation_period_end_date": max(days),
            "period_type_concept_id": EHR,
        }


def _is_visit(encounter: Record) -> bool:
    return bool(encounter["admitted"]) and encounter["status"] not in NO_VISIT


def _visit_key(record: Record) -> tuple[str, str, str]:
    return record["domain"], record["patient"], record["visit"]


def _visit_id(record: Record) -> int:
    return identity("visit_occurrence", *_visit_key(record))


def _site(domain: str, location: str) -> Record:
    return {
        "care_site_id": identity("care_site", domain, location),
        "care_site_name": _text(f"{domain} {location}", 255),
        "place_of_service_concept_id": 0,
        "care_site_source_value": _text(location),
    }


def _class(patient_class: str | None) -> int:
    return CLASSES.get(patient_class or "", 0)


def _number(record: Record) -> float | None:
    """Return a number in its unit of UCUM, else as sent; None for what is none."""
    if record["value_ucum"] is not None:
        return float(record["value_ucum"])
    return float(record["value"]) if _NUMBER.fullmatch(record["value"] or "") else None


def _text(value: str | None, letters: int = _LETTERS) -> str | None:
    # PostgreSQL has no text with a NUL.
    return value.replace("\0", "")[:letters] if value else None


def _moment(text: str) -> datetime:
    """Return a time as the CDM has it: without a zone. It is of UTC."""
    return datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None)
