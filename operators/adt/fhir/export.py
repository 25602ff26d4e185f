"""All resources of patient care as of one moment, for a bulk export.

They are those of `resources`, made of tables instead of changes: of each key the last record. They
have ids, and refer to each other by them, as a server's resources do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import Any, Protocol

from operators.adt.fhir.clinical import diagnosed, no_condition, no_observation, observed
from operators.adt.fhir.encounters import encounter, encounter_stub, no_encounter
from operators.adt.fhir.names import KNOWN, Entry, Hashed, Names, Resource
from operators.adt.fhir.people import Record, merged_patient, patient, patient_key, patient_stub
from state.clock import iso_time

TYPES = (
    "Patient",
    "Encounter",
    "Condition",
    "Observation",
    "Location",
    "Practitioner",
    "Provenance",
)
"""What can be exported."""
OUTPUTS = ("patients", "encounters", "location_visits", "conditions", "observations")
"""The tables that are read."""
REFERS = {
    "subject": "Patient",
    "other": "Patient",
    "encounter": "Encounter",
    "individual": "Practitioner",
    "location": "Location",
}
"""The element with a reference -> the type that it refers to."""
_MADE = {"conditions": diagnosed, "observations": observed}
_TAKEN = {"conditions": no_condition, "observations": no_observation}
_TYPE = {"conditions": "Condition", "observations": "Observation"}
_URN = len("urn:uuid:")
FEW = 100
"""Persons that an export names; of more it only tells that they are more."""


class Tables(Protocol):
    """The last record of each key, and which of them count for this export."""

    def records(self, output: str) -> Iterator[tuple[str, Record]]:
        """Yield key and record of an output."""

    def record(self, output: str, key: str) -> Record | None:
        """Return the record of a key."""

    def has(self, output: str, key: str) -> bool:
        """Return whether a key has a record."""

    def counts(self, key: str, *outputs: str) -> bool:
        """Return whether what a key has in these outputs changed when it is asked for."""

    def gone(self, output: str) -> Iterator[str]:
        """Yield the keys that were taken back when it is asked for, and are not there again."""


class Export:
    """Yields resources, each once; those of a type that nobody wants are not made."""

    def __init__(
        self,
        tables: Tables,
        hashed: Hashed,
        types: Collection[str],
        group: str = "",
    ) -> None:
        """``group``: the ward whose patients are wanted, who are or were there; '' for all."""
        self.persons: set[str] = set()
        """Numbers of the patients that resources are about; one more than `FEW` for any more."""
        self._tables, self._types = tables, frozenset(types)
        self._names = Names(hashed)
        self._has = lru_cache(KNOWN)(tables.has)
        self._group = group
        self._members: set[str] = set()
        self._seen: set[str] = set()

    def resources(self) -> Iterator[Resource]:
        """Yield them: patients, visits with what they name, then what was found."""
        if self._group:
            self._members = {
                patient_key(record["patient"], record["domain"])
                for _, record in self._tables.records("encounters")
                if self._group in record["wards"]
            }
        if "Patient" in self._types or "Provenance" in self._types:
            yield from self._patients()
        if self._types & {"Encounter", "Location", "Practitioner", "Provenance"}:
            yield from self._encounters()
        for output, kind in _TYPE.items():
            if self._types & {kind, "Patient", "Encounter", "Provenance"}:
                yield from self._clinical(output)

    def _patients(self) -> Iterator[Resource]:
        """Yield who there are, and the numbers that were merged into another."""
        claims: dict[str, tuple[int, str]] = {}
        for _, record in self._tables.records("patients"):
            for number in record["merged"]:
                merged = patient_key(number, record["domain"])
                newest = claims.get(merged, (-1, ""))
                claims[merged] = max(newest, (record["ts_ns"], record["patient"]))
        for key, record in self._tables.records("patients"):
            if key in claims or not self._wanted(key, "patients"):
                continue
            entry = self._names.put(key, patient(self._names, record))
            yield from self._with_source(entry, record)
        for key, (recorded_ns, survivor) in claims.items():
            number, domain = key.split("|")
            if self._wanted(patient_key(survivor, domain), "patients"):
                made = merged_patient(self._names, number, survivor, domain)
                yield from self._told(self._names.put(key, made), recorded_ns)
        for key in self._tables.gone("patients"):
            number, domain = key.split("|")
            if key not in claims and self._member(key):
                made = merged_patient(self._names, number, None, domain)
                yield from self._told(self._names.put(key, made), None)

    def _encounters(self) -> Iterator[Resource]:
        for key, record in self._tables.records("encounters"):
            person = patient_key(record["patient"], record["domain"])
            if not self._member(person):
                continue
            if not self._tables.counts(key, "encounters", "location_visits"):
                continue
            stays = self._tables.record("location_visits", key)
            whole, who, *named = encounter(self._names, record, stays["stays"] if stays else [])
            newest = max(record["ts_ns"], stays["ts_ns"] if stays else 0)
            yield from self._with_source(whole, record | {"ts_ns": newest})
            if self._missing("Patient", "patients", person):
                yield from self._once(who)
            for entry in named:
                yield from self._once(entry)
        for key in self._tables.gone("encounters"):
            _, number, domain = key.split("|")
            if self._member(patient_key(number, domain)):
                yield from self._told(no_encounter(self._names, key)[0], None)

    def _clinical(self, output: str) -> Iterator[Resource]:
        """Yield diagnoses or observations, and whom they are about where nothing else tells."""
        make, take_back = _MADE[output], _TAKEN[output]
        for key, record in self._tables.records(output):
            domain, visit = record["domain"], record["visit"]
            person = patient_key(record["patient"], domain)
            if not self._member(person) or not self._tables.counts(key, output):
                continue
            yield from self._with_source(make(self._names, record), record)
            if self._missing("Patient", "patients", person):
                yield from self._once(patient_stub(self._names, record["patient"], domain))
            if visit and self._missing("Encounter", "encounters", f"{visit}|{person}"):
                stub = encounter_stub(self._names, visit, record["patient"], domain)
                yield from self._once(stub)
        for key in self._tables.gone(output):
            _, number, *_, domain = key.split("|")
            if self._member(patient_key(number, domain)):
                yield from self._told(take_back(self._names, key)[0], None)

    def _wanted(self, key: str, output: str) -> bool:
        return self._member(key) and self._tables.counts(key, output)

    def _member(self, person: str) -> bool:
        return not self._group or person in self._members

    def _with_source(self, entry: Entry, record: Record) -> Iterator[Resource]:
        """Yield a resource and of which messages it was made."""
        if len(self.persons) <= FEW:
            self.persons.add(record["patient"])
        yield from self._told(entry, record["ts_ns"])
        if "Provenance" in self._types:
            source = self._names.provenance(entry, record, iso_time(record["ts_ns"]))
            yield from self._told(source, record["ts_ns"], entry["resource"]["resourceType"])

    def _missing(self, kind: str, output: str, key: str) -> bool:
        """Return whether something wanted is referred to and no table has it."""
        return kind in self._types and not self._has(output, key)

    def _once(self, entry: Entry) -> Iterator[Resource]:
        if entry["fullUrl"] not in self._seen:
            self._seen.add(entry["fullUrl"])
            yield from self._told(entry, None)

    def _told(self, entry: Entry, recorded_ns: int | None, target: str = "") -> Iterator[Resource]:
        resource = entry["resource"]
        if resource["resourceType"] in self._types:
            yield _served(entry["fullUrl"], resource, recorded_ns, target)


def _served(url: str, resource: Resource, recorded_ns: int | None, target: str) -> Resource:
    """Return a resource of a bundle as a server has it: with an id, referring to others by ids."""
    found = resource | {"id": url[_URN:]}
    for name in resource.keys() & _REFERRING:
        found[name] = _by_id(name, resource[name], target)
    if recorded_ns is not None:
        found["meta"] = found.get("meta", {}) | {"lastUpdated": iso_time(recorded_ns)}
    return found


def _by_id(name: str, value: Any, target: str) -> Any:
    """Return an element with the references in it by ids."""
    if type(value) is list:
        return [_by_id(name, each, target) for each in value]
    if type(value) is not dict:
        return value
    reference = value.get("reference")
    if reference is None:
        return {inner: _by_id(inner, each, target) for inner, each in value.items()}
    return value | {"reference": f"{REFERS.get(name) or target}/{reference[_URN:]}"}


_REFERRING = frozenset({"subject", "encounter", "participant", "location", "link", "target"})
"""Elements of resources with references in them."""
