"""A merge domain: what can be merged, moved or swapped, or share a bed, is in it together.

It holds what is to be known of all its families at once: who is in which bed, whose visits have
which number. That is made of the families, and of nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from operators.adt.beds import Beds, Span
from operators.adt.family import Anomaly, Change, Summary
from state.adt.facts import BedStatus, VisitKey

BY_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{6})?Z")
"""The number of a visit that has none, and is named by its admission."""


class Bed(NamedTuple):
    """A bed as it is now; of the texts "" is for nothing."""

    status: str
    key: VisitKey | None
    """The visit that is in it, the last one to come."""
    since_ns: int | None


EMPTY = Bed("", None, None)


class Seen(NamedTuple):
    """What several families together show about some beds and numbers of visits."""

    anomalies: frozenset[Anomaly]
    beds: dict[str, Bed]


class Domain:
    """What is known of a domain beyond its families."""

    def __init__(self) -> None:
        self._beds = Beds()
        self._statuses: dict[str, BedStatus] = {}
        self._patients: dict[str, set[str]] = {}
        """Those with a real visit of a number."""
        self._mothers: dict[str, frozenset[str]] = {}

    def take(self, summary: Summary) -> None:
        """Add a family that was kept."""
        for key, beds in summary.beds.items():
            for location, when in beds.items():
                self._beds.put(location, key, when)
        for patient, number in summary.real:
            self._patients.setdefault(number, set()).add(patient)
        self._mothers.update(summary.mothers)

    def is_latest(self, told: BedStatus) -> bool:
        """Return whether the status of a bed is later than the one that is known."""
        known = self._statuses.get(told.location)
        return known is None or known < told

    def status(self, told: BedStatus) -> None:
        """Take the status of a bed, unless a later one is known."""
        if self.is_latest(told):
            self._statuses[told.location] = told

    def change(self, changes: Iterable[Change]) -> None:
        """Follow the changes of visits."""
        for change in changes:
            key, before, after = change
            for location in change.beds():
                self._beds.put(location, key, after.beds.get(location, ()))
            patient, number = key
            if after.is_real:
                self._patients.setdefault(number, set()).add(patient)
            elif before.is_real:
                self._patients[number].discard(patient)
                if not self._patients[number]:
                    del self._patients[number]

    def born(self, before: dict[str, frozenset[str]], after: dict[str, frozenset[str]]) -> None:
        """Follow a change of who is whose mother."""
        for child in before:
            self._mothers.pop(child, None)
        self._mothers.update(after)

    def see(self, locations: Mapping[str, Span], numbers: Iterable[str]) -> Seen:
        """Return the beds of some places, and the anomalies there at some times and of numbers."""
        found: set[Anomaly] = set()
        beds: dict[str, Bed] = {}
        for location, when in locations.items():
            booked = self._beds.double_bookings(location, when, self._mothers)
            for key, _, start_ns, end_ns in booked:
                found.add(Anomaly("double_booked", *key, location, start_ns, end_ns))
            beds[location] = self._bed(location)
        for number in numbers:
            patients = self._patients.get(number, set())
            if len(patients) > 1 and not BY_TIME.match(number):
                found.update(Anomaly("visit_reused", patient, number) for patient in patients)
        return Seen(frozenset(found), beds)

    def patients(self, number: str) -> list[str]:
        """Return the patients with a real visit of a number, with or without its authority."""
        return sorted(
            patient
            for each, patients in self._patients.items()
            if number in (each, each.partition("^")[0])
            for patient in patients
        )

    def _bed(self, location: str) -> Bed:
        told = self._statuses.get(location)
        last = self._beds.last(location)
        key, span = last if last is not None else (None, Span(0, None))
        since_ns = told.clinical_ns if told is not None and last is None else None
        return Bed(
            told.status if told is not None else "",
            key,
            span.start_ns if last is not None else since_ns,
        )
