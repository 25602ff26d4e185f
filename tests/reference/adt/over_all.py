"""What only several visits together show."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from tests.reference.adt.rows import Row, Stay, anomaly
from tests.reference.adt.terms import Id
from tests.reference.adt.visit import Visit, joined


def double_bookings(stays: list[Stay], mothers: set[tuple[Id, Id]]) -> Iterator[Row]:
    """Yield for each two patients in one bed, and each of them, when both were there."""
    in_beds = in_bed([stay for stay in stays if has_bed(stay.location)])
    for one, two in combinations(in_beds, 2):
        start = max(one.start, two.start)
        ends = [stay.end for stay in (one, two) if stay.end is not None]
        until = min(ends, default=None)
        overlap = one.location == two.location and (until is None or start < until)
        if overlap and one.patient != two.patient and not family(one, two, mothers):
            for stay in (one, two):
                yield anomaly("double_booked", *stay[:3], start, until)


def has_bed(location: str) -> bool:
    """Return whether a location names a bed, and no mere room or ward."""
    return bool("".join(location.split("^")[2:3]))


def in_bed(stays: list[Stay]) -> list[Stay]:
    """Return the rows without their classes."""
    found: list[Stay] = []
    for key in {stay[:2] for stay in stays}:
        of_visit: list[Stay] = []
        for stay in stays:
            if stay[:2] == key:
                of_visit = joined(of_visit, stay._replace(patient_class=None))
        found += of_visit
    return found


def family(one: Stay, two: Stay, mothers: set[tuple[Id, Id]]) -> bool:
    """Return whether these are a mother and her newborn, or newborns of one mother."""
    first, second = one.patient, two.patient
    mothers_of_both = [
        {mother for child, mother in mothers if child == who} for who in (first, second)
    ]
    return bool(
        {(first, second), (second, first)} & mothers or mothers_of_both[0] & mothers_of_both[1]
    )


def reused(visits: list[Visit]) -> Iterator[Row]:
    """Yield each visit whose number another patient has as well."""
    nothing = ("cancelled", "entered-in-error")
    real = [visit for visit in visits if visit.told and visit.status() not in nothing]
    for one in real:
        patient, number = one.key
        others = [other for other in real if other.key[1] == number and other.key[0] != patient]
        if others and not number.by_time:
            yield anomaly("visit_reused", patient, number)
