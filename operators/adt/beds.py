"""Who is in which bed of a domain, and which of them cannot be: two patients in one bed.

It is made of the timelines of visits, and forgets a visit's bed where the timeline does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from operators.adt.visit import Row
from state.adt.facts import VisitKey

Mothers = Mapping[str, frozenset[str]]
"""The mothers of each newborn."""


class Span(NamedTuple):
    """A time in a bed; ``end_ns`` is None while it lasts."""

    start_ns: int
    end_ns: int | None


ALWAYS = Span(-(2**63), None)
NEVER = Span(0, 0)


class DoubleBooking(NamedTuple):
    """A visit whose patient shares a bed with another patient for some time."""

    key: VisitKey
    location: str
    start_ns: int
    end_ns: int | None


def spans(rows: Sequence[Row]) -> dict[str, tuple[Span, ...]]:
    """Return when a visit was in each bed; a change of class does not end it."""
    found: dict[str, list[Span]] = defaultdict(list)
    before: Row | None = None
    for row in rows:
        if _is_bed(row.location):
            of_bed = found[row.location]
            stays = before is not None and before.location == row.location
            if stays and before is not None and before.end_ns == row.start_ns:
                of_bed[-1] = of_bed[-1]._replace(end_ns=row.end_ns)
            else:
                of_bed.append(Span(row.start_ns, row.end_ns))
        before = row
    return {location: tuple(of_bed) for location, of_bed in found.items()}


def _is_bed(location: str) -> bool:
    """Return whether a location names a bed, and no mere room or ward."""
    return bool("".join(location.split("^")[2:3]))


def hull(when: Iterable[Span]) -> Span:
    """Return the time from the first beginning to the last end; NEVER of none."""
    found = list(when)
    if not found:
        return NEVER
    ends = [span.end_ns for span in found]
    known = [end for end in ends if end is not None]
    return Span(
        min(span.start_ns for span in found), max(known) if len(known) == len(ends) else None
    )


class Beds:
    """The visits in each bed of one domain."""

    def __init__(self) -> None:
        self._visits: dict[str, dict[VisitKey, tuple[Span, ...]]] = {}
        self._there: dict[str, dict[VisitKey, Span]] = {}
        """Those who are in it now. A bed has hundreds of visits in a year."""

    def put(self, location: str, key: VisitKey, when: tuple[Span, ...]) -> None:
        """Set when a visit was in a bed: () for never."""
        _put(self._visits, location, key, when)
        last = when[-1] if when and when[-1].end_ns is None else None
        _put(self._there, location, key, last)

    def last(self, location: str) -> tuple[VisitKey, Span] | None:
        """Return the visit that is in a bed, the last one to come; None where it is empty."""
        there = self._there.get(location, {}).items()
        return max(there, key=lambda each: (each[1].start_ns, each[0]), default=None)

    def double_bookings(self, location: str, within: Span, mothers: Mothers) -> set[DoubleBooking]:
        """Return the double bookings of a bed by visits that were there at some time ``within``.

        A mother and her newborns may share one.
        """
        stays = [
            (span, key)
            for key, when in self._visits.get(location, {}).items()
            for span in when
            if _meet(span, within)
        ]
        stays.sort(key=lambda stay: (stay[0].start_ns, stay[1]))
        return {
            DoubleBooking(key, location, start_ns, end_ns)
            for one, two, start_ns, end_ns in _overlaps(stays)
            if one[0] != two[0] and not _may_share(one[0], two[0], mothers)
            for key in (one, two)
        }


V = TypeVar("V")


def _put(
    places: dict[str, dict[VisitKey, V]], location: str, key: VisitKey, value: V | None
) -> None:
    """Set what a place has under a key; nothing is no entry."""
    if value:
        places.setdefault(location, {})[key] = value
        return
    of_place = places.get(location, {})
    of_place.pop(key, None)
    if not of_place:
        places.pop(location, None)


def _meet(one: Span, two: Span) -> bool:
    return _ends_after(one, two.start_ns) and _ends_after(two, one.start_ns)


def _overlaps(
    stays: Iterable[tuple[Span, VisitKey]],
) -> Iterator[tuple[VisitKey, VisitKey, int, int | None]]:
    """Yield each two visits that were there together, and when; ``stays`` are by their start."""
    there: list[tuple[Span, VisitKey]] = []
    for span, key in stays:
        there = [each for each in there if _ends_after(each[0], span.start_ns)]
        for other, other_key in there:
            ends = [end for end in (span.end_ns, other.end_ns) if end is not None]
            yield key, other_key, span.start_ns, min(ends, default=None)
        there.append((span, key))


def _ends_after(span: Span, time_ns: int) -> bool:
    return span.end_ns is None or span.end_ns > time_ns


def _may_share(one: str, two: str, mothers: Mothers) -> bool:
    """Return whether these are a mother and her newborn, or newborns of one mother."""
    of_one, of_two = (mothers.get(each, frozenset()) for each in (one, two))
    return two in of_one or one in of_two or bool(of_one & of_two)
