"""Follows the outputs of patient care, and tells what a FHIR server has to be told.

A resource is a function of the last records of its keys, in whatever order the topics come: an
Encounter of its status and its timeline, a Patient of its own row and of whose row names it as
merged. So these are kept; diagnoses and observations are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from operators.adt.fhir.clinical import condition, no_condition, no_observation, observation
from operators.adt.fhir.encounters import encounter, no_encounter
from operators.adt.fhir.names import Entry, Hashed, Names
from operators.adt.fhir.people import Record, merged_patient, patient, patient_key, patient_stub
from operators.logic import Logic
from operators.outputs import Outbox
from operators.pages import Pages
from state.adt.changes import Change
from state.clock import iso_time
from state.errors import BadRecord
from state.records import DeadLetter
from state.rows import RowBlock

Held = dict[str, Any]
"""What is kept of a key: the last record of each output. Of a patient's number also ``claims``:
whose rows name it as merged, and since when (recorded time, ns); the newest is right."""
PATIENT, ENCOUNTER = "Patient", "Encounter"


class Told(NamedTuple):
    """What one record tells a server: entries of a transaction, the first of what it is about."""

    entries: list[Entry]
    change: Change

    def dead(self, error: BadRecord) -> DeadLetter:
        """Return the record's message as a dead letter."""
        return self.change.dead(error)


class Resources(Logic):
    """Hands on what each record tells; one that tells nothing yet hands nothing on."""

    def __init__(self, pages: int, hashed: Hashed) -> None:
        self.entities: Pages[Held] = Pages(pages, dict, dict)
        self._names = Names(hashed)

    def process(self, item: RowBlock[Change], outbox: Outbox) -> Iterable[Told]:
        """Take the records of a block."""
        for change in item.rows:
            entries = list(_TOLD[change.output](self, change))
            if entries:
                yield Told(entries, change)

    def snapshot(self) -> dict[str, Any]:
        """Return what is not in pages: nothing."""
        return {}

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""

    def encounter(self, change: Change) -> list[Entry]:
        """Return a visit as its status and its timeline tell it."""
        held = self._keep(ENCOUNTER, change)
        record, stays = held.get("encounters"), held.get("location_visits")
        if record is None:
            return no_encounter(self._names, change.key) if change.output == "encounters" else []
        entries = encounter(self._names, record, stays["stays"] if stays else [])
        return self._because(entries, change)

    def patient(self, change: Change) -> Iterator[Entry]:
        """Yield a patient, and whose numbers became theirs, or are theirs no more."""
        held = self._held(PATIENT, change.key)
        before = held["patients"]["merged"] if "patients" in held else []
        self._keep(PATIENT, change)
        yield from self._because(self._patient(change.key), change)
        after = change.record["merged"] if change.record else []
        survivor, domain = change.key.split("|")
        for number in sorted({*before, *after}):
            key = patient_key(number, domain)
            self._claim(key, survivor, change.record if number in after else None)
            yield from self._patient(key)

    def condition(self, change: Change) -> list[Entry]:
        """Return a diagnosis."""
        if change.record is None:
            return no_condition(self._names, change.key)
        return self._because(condition(self._names, change.record), change)

    def observation(self, change: Change) -> list[Entry]:
        """Return an observation."""
        if change.record is None:
            return no_observation(self._names, change.key)
        return self._because(observation(self._names, change.record), change)

    def _patient(self, key: str) -> list[Entry]:
        held, (number, domain) = self._held(PATIENT, key), key.split("|")
        claims = held.get("claims", {})
        if not claims and "patients" in held:
            return [self._names.put(key, patient(self._names, held["patients"]))]
        survivor = max(claims, key=lambda each: (claims[each], each), default=None)
        found = self._names.put(key, merged_patient(self._names, number, survivor, domain))
        known = [] if survivor is None else [patient_stub(self._names, survivor, domain)]
        return [found, *known]

    def _claim(self, key: str, survivor: str, record: Record | None) -> None:
        """Note that a survivor's row names a number, or does so no more."""
        held = self._held(PATIENT, key)
        claims = {name: ns for name, ns in held.pop("claims", {}).items() if name != survivor}
        if record is not None:
            claims[survivor] = record["ts_ns"]
        self._put(PATIENT, key, held | ({"claims": claims} if claims else {}))

    def _keep(self, kind: str, change: Change) -> Held:
        """Keep the last record of a key; return all that is kept of it."""
        held = self._held(kind, change.key)
        held.pop(change.output, None)
        if change.record is not None:
            held[change.output] = change.record
        self._put(kind, change.key, held)
        return held

    def _held(self, kind: str, key: str) -> Held:
        return dict(self.entities.get(f"{kind}|{key}") or {})

    def _put(self, kind: str, key: str, held: Held) -> None:
        if held:
            self.entities.put(f"{kind}|{key}", held)
        else:
            self.entities.drop(f"{kind}|{key}")

    def _because(self, entries: list[Entry], change: Change) -> list[Entry]:
        """Add of which messages the first entry was made."""
        record = change.record
        if record is None:
            return entries
        recorded = iso_time(record["ts_ns"])
        return [*entries, self._names.provenance(entries[0], record, recorded)]


_TOLD = {
    "patients": Resources.patient,
    "encounters": Resources.encounter,
    "location_visits": Resources.encounter,
    "conditions": Resources.condition,
    "observations": Resources.observation,
}
OUTPUTS = tuple(_TOLD)
"""The outputs that it follows."""
