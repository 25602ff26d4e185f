"""Rows of the tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from tests.reference.adt.terms import Bed, Id

Row = dict[str, object]
"""A record of a table."""


class Stay(NamedTuple):
    """A row of the location table, in ns."""

    patient: Id
    visit: Id
    location: str
    patient_class: str | None
    start: int
    end: int | None
    inferred: bool


def bed_rows(beds: set[Bed]) -> Iterator[Row]:
    """Yield the last status of each bed."""
    last = {bed.location: bed.status for bed in sorted(beds)}
    for location, status in last.items():
        yield {"location": location, "status": status or None}


def location_row(stay: Stay) -> Row:
    """Return a row of the location table."""
    return {
        "patient": str(stay.patient),
        "visit": str(stay.visit),
        "location": stay.location,
        "class": stay.patient_class,
        "start": iso(stay.start),
        "end": iso_or_none(stay.end),
        "inferred": stay.inferred,
    }


def anomaly(
    kind: str,
    patient: Id | None,
    visit: Id | None = None,
    location: str | None = None,
    start: int | None = None,
    until: int | None = None,
    place: str | None = None,
) -> Row:
    """Return a row of the anomaly table."""
    return {
        "kind": kind,
        "patient": str(patient) if patient else None,
        "visit": str(visit) if visit else None,
        "location": location,
        "start": iso_or_none(start),
        "end": iso_or_none(until),
        "field": place,
    }


def table(rows: Iterable[Row]) -> list[Row]:
    """Return the different rows, in an order of their content."""
    different = {tuple(row.items()): row for row in rows}
    return [different[key] for key in sorted(different, key=str)]


def iso(ns: int) -> str:
    """Return a time of ns since 1970 as text."""
    when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ns // 1000)
    return when.isoformat().replace("+00:00", "Z")


def iso_or_none(ns: int | None) -> str | None:
    """Return a time as text, where there is one."""
    return None if ns is None else iso(ns)
