"""A merge domain: what can be merged, moved or swapped, or share a bed, is in it together.

It holds what is to be known of all its families at once: who is in which bed, whose visits have
which number. That is made of the families, and of nothing else.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from operators.adt.beds import Beds, DoubleBooking, Mothers
from operators.adt.shown import Anomaly, Change, Shown, Summary
from state.adt.facts import BedStatus, VisitKey

BY_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{6})?Z")
"""The number of a visit that has none, and is named by its admission."""


class Bed(NamedTuple):
    """A bed as it is now; of the texts "" is for nothing."""

    status: str
    key: VisitKey | None
    """The visit that is in it, the last one to come."""
    since_ns: int | None
    """Since when that is so; of an empty bed since when the status holds."""


EMPTY = Bed("", None, None)


class Births(NamedTuple):
    """Who is whose mother in some families, before and after a message."""

    before: Mothers
    after: Mothers
    visits: dict[VisitKey, Shown]
    """The visits of children with other mothers now: others may share their beds."""


@dataclass
class Effects:
    """What a message changes beyond its families."""

    gone: set[Anomaly] = field(default_factory=set)
    new: set[Anomaly] = field(default_factory=set)
    beds: dict[str, Bed] = field(default_factory=dict)


class Domain:
    """What is known of a domain beyond its families."""

    def __init__(self) -> None:
        self._beds = Beds()
        self._statuses: dict[str, BedStatus] = {}
        self._visits: dict[str, dict[str, bool]] = {}
        """The patients with a visit of each number, and whether there was such a visit."""
        self._mothers: dict[str, frozenset[str]] = {}

    def take(self, summary: Summary) -> None:
        """Add a family that was kept."""
        for key, beds in summary.beds.items():
            for location, when in beds.items():
                self._beds.put(location, key, when)
        for patient, number, is_real in summary.visits:
            self._visits.setdefault(number, {})[patient] = is_real
        self._mothers.update(summary.mothers)

    def forget(self, key: VisitKey, beds: Iterable[str]) -> None:
        """Forget a visit, which was in some beds."""
        for location in beds:
            self._beds.put(location, key, ())
        patient, number = key
        of_number = self._visits.get(number, {})
        of_number.pop(patient, None)
        if not of_number:
            self._visits.pop(number, None)

    def is_latest(self, told: BedStatus) -> bool:
        """Return whether the status of a bed is later than the one that is known."""
        known = self._statuses.get(told.location)
        return known is None or known < told

    def status(self, told: BedStatus) -> None:
        """Take the status of a bed, unless a later one is known."""
        if self.is_latest(told):
            self._statuses[told.location] = told

    def follow(
        self, changes: Collection[Change], births: Births, statuses: Collection[BedStatus]
    ) -> Effects:
        """Take what a message changes, and return what follows from it."""
        moved = _moved(changes, births)
        numbers = {key[1] for key, then, now in changes if then.is_real != now.is_real}
        locations = {*moved, *(status.location for status in statuses)}
        bookings, reused = self._bookings(moved), self._reused(numbers)
        beds = {location: self._bed(location) for location in locations}
        self._apply(changes, births, statuses)
        effects = self._compared(moved, bookings, self._bookings(moved))
        reused_now = self._reused(numbers)
        effects.gone |= reused - reused_now
        effects.new |= reused_now - reused
        now = {location: self._bed(location) for location in sorted(locations)}
        effects.beds = {at: bed for at, bed in now.items() if bed != beds[at]}
        return effects

    def visits(self, number: str) -> list[VisitKey]:
        """Return the visits of a number, with or without its authority, cancelled ones too."""
        return sorted(
            (patient, each)
            for each, patients in self._visits.items()
            if number in (each, each.partition("^")[0])
            for patient in patients
        )

    def _apply(
        self, changes: Iterable[Change], births: Births, statuses: Iterable[BedStatus]
    ) -> None:
        for change in changes:
            key, _, after = change
            for location in change.beds():
                self._beds.put(location, key, after.beds.get(location, ()))
            patient, number = key
            of_number = self._visits.setdefault(number, {})
            if after.encounter is None:
                of_number.pop(patient, None)
            else:
                of_number[patient] = after.is_real
            if not of_number:
                del self._visits[number]
        for child in births.before:
            self._mothers.pop(child, None)
        self._mothers.update(births.after)
        for status in statuses:
            self.status(status)

    def _bookings(self, moved: Mapping[str, Collection[VisitKey]]) -> set[DoubleBooking]:
        return {
            booking
            for location, keys in moved.items()
            for booking in self._beds.double_bookings(location, keys, self._mothers)
        }

    def _compared(
        self,
        moved: Mapping[str, Collection[VisitKey]],
        before: set[DoubleBooking],
        after: set[DoubleBooking],
    ) -> Effects:
        """Return the double bookings that begin and end; not those that others are a part of."""
        changed = before ^ after
        if not changed:
            return Effects()
        for location, keys in moved.items():
            of_others = {e for e in changed if e.location == location and e.key not in keys}
            changed -= self._beds.booked(of_others, keys, self._mothers)
        return Effects(
            {_double(booking) for booking in changed & before},
            {_double(booking) for booking in changed & after},
        )

    def _reused(self, numbers: Iterable[str]) -> set[Anomaly]:
        found = set()
        for number in numbers:
            real = [who for who, is_real in self._visits.get(number, {}).items() if is_real]
            if len(real) > 1 and not BY_TIME.fullmatch(number.partition("^")[0]):
                found |= {Anomaly("visit_reused", patient, number) for patient in real}
        return found

    def _bed(self, location: str) -> Bed:
        told = self._statuses.get(location)
        status, since_ns = (told.status, told.clinical_ns) if told is not None else ("", None)
        last = self._beds.last(location)
        if last is None:
            return Bed(status, None, since_ns)
        key, span = last
        return Bed(status, key, span.start_ns)


def _moved(changes: Iterable[Change], births: Births) -> dict[str, set[VisitKey]]:
    """Return by bed the visits of which it is to be seen anew who shares the bed."""
    found: dict[str, set[VisitKey]] = defaultdict(set)
    for change in changes:
        for location in change.beds():
            found[location].add(change.key)
    if births.before != births.after:
        for key, shown in births.visits.items():
            for location in shown.beds:
                found[location].add(key)
    return found


def _double(booking: DoubleBooking) -> Anomaly:
    key, location, start_ns, end_ns = booking
    return Anomaly("double_booked", *key, location, start_ns, end_ns)
