"""What a domain's messages say of persons, diagnoses and results: worked out from all of them.

The slow reference of `operators.adt.attributes` and `operators.adt.results`: it keeps every
statement, prunes nothing, and looks at all of them at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from connectors.adt.messages import parse
from operators.adt.identity import Identity
from operators.adt.observed import observed
from state.adt.attributes import DETAILS, PERSON, Details, Diagnoses, Person
from state.adt.facts import Alias, Fact, Rekey, VisitKey
from state.adt.observations import Observation
from state.adt.triggers import Effect, effect
from state.clock import iso_time
from tests.operators.adt.tables import Rows


class Told:
    """All that some messages say, under the numbers that stand at the end."""

    def __init__(self, raws: Iterable[bytes]) -> None:
        said = {each for raw in raws for each in parse(raw).statements}
        self._said = sorted(said, key=repr)
        self._identity = Identity(self._of(Alias), self._of(Rekey))

    def patients(self) -> Rows:
        rows = []
        for patient in sorted({self._identity.survivor(e.patient) for e in self._of(Person)}):
            told = [e for e in self._of(Person) if self._identity.survivor(e.patient) == patient]
            since_ns = self._deleted_ns(patient, None)
            told = [each for each in told if each.recorded_ns > since_ns]
            priors = {e.prior for e in self._of(Alias)}
            merged = {e for e in priors if self._identity.survivor(e) == patient} - {patient}
            # A number under which only the person was told is one of the patient's, too.
            numbers = {e.patient for e in self._of(Person, Fact) if not _visit(e)}
            merged |= {e for e in numbers if self._identity.survivor(e) == patient} - {patient}
            if told:
                rows.append({"patient": patient, "merged": sorted(merged), **_newest(told, PERSON)})
        return rows

    def details(self) -> dict[VisitKey, dict[str, str | None]]:
        found = {}
        for key in {self._key(each) for each in self._of(Details)}:
            told = [e for e in self._of(Details) if self._key(e) == key]
            since_ns = self._deleted_ns(*key)
            told = [each for each in told if each.recorded_ns > since_ns]
            found[key] = _newest(told, DETAILS)
        return found

    def conditions(self) -> Rows:
        rows = []
        for key in {self._key(each) for each in self._of(Diagnoses)}:
            told = [e for e in self._of(Diagnoses) if self._key(e) == key]
            since_ns = self._deleted_ns(*key)
            stands: dict[tuple[str, str, str], Any] = {}
            for each in sorted(told, key=lambda each: each[:3]):
                if each.recorded_ns <= since_ns:
                    continue
                for known in list(stands):
                    if each.whole and known[0] == each.kind:
                        del stands[known]
                seen = set()
                for one in each.listed:
                    if (one.system, one.code) not in seen:
                        stands[each.kind, one.system, one.code] = one
                    seen.add((one.system, one.code))
            rows += [
                {
                    "patient": key[0],
                    "visit": key[1],
                    "code": code,
                    "system": system or None,
                    "type": kind or None,
                    "text": one.text or None,
                    "rank": one.rank or None,
                    "time": one.time_ns and iso_time(one.time_ns),
                }
                for (kind, system, code), one in stands.items()
                if not one.is_gone
            ]
        return rows

    def observations(self) -> Rows:
        by_key: dict[VisitKey, list[Observation]] = {}
        for each in self._of(Observation):
            by_key.setdefault(self._key(each), []).append(each)
        return [
            {**row._asdict(), "visit": row.visit or None}
            for key, told in by_key.items()
            for row in observed(key, told, self._person_deleted_ns(key[0]))
        ]

    def _of(self, *kinds: type) -> list[Any]:
        return [each for each in self._said if isinstance(each, kinds)]

    def _key(self, statement: Any) -> VisitKey:
        patient, number = statement.patient, statement.visit
        return (
            self._identity.key(patient, number)
            if number
            else (self._identity.survivor(patient), "")
        )

    def _person_deleted_ns(self, patient: str) -> int | None:
        found = self._deleted_ns(patient, None)
        return int(found) if found > float("-inf") else None

    def _deleted_ns(self, patient: str, number: str | None) -> float:
        """Return when the last deletion of a person, or of a visit, was recorded."""
        found = [float("-inf")]
        for fact in self._of(Fact):
            who = {fact.patient, self._identity.survivor(fact.patient)}
            of_person = not fact.visit and patient in who
            of_visit = number is not None and fact.visit and self._key(fact) == (patient, number)
            if effect(fact.trigger) & Effect.DELETES and (of_person or of_visit):
                found.append(fact.recorded_ns)
        return max(found)


def _newest(told: Iterable[Any], names: Iterable[str]) -> dict[str, str | None]:
    found: dict[str, str | None] = dict.fromkeys(names)
    for each in sorted(told, key=lambda each: each[:3]):
        for name, said in zip(found, each.values, strict=True):
            found[name] = found[name] if said is None else said or None
    return found


def _visit(statement: Any) -> str:
    return getattr(statement, "visit", "")
