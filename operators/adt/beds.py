"""Who is in which bed of a domain, and which of them cannot be: two patients in one bed.

It is made of the rows of all visits, and follows each change of them.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from operators.adt.visit import Row
from state.adt.facts import VisitKey

Mothers = Mapping[str, frozenset[str]]
"""The mothers of each newborn."""
NOBODY: frozenset[str] = frozenset()


class Span(NamedTuple):
    """A time in a bed; ``end_ns`` is None while it lasts."""

    start_ns: int
    end_ns: int | None


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


@lru_cache(maxsize=1 << 12)
def _is_bed(location: str) -> bool:
    """Return whether a location names a bed, and no mere room or ward."""
    return bool("".join(location.split("^")[2:3]))


class _Bed:
    """The visits in one bed. There are hundreds in a year, of which few are at any one time."""

    __slots__ = ("_ended", "_longest_ns", "there", "visits")

    def __init__(self) -> None:
        self.visits: dict[VisitKey, tuple[Span, ...]] = {}
        self.there: dict[VisitKey, Span] = {}
        """Those who are in it now."""
        self._ended: list[tuple[int, int, VisitKey]] = []
        """The stays of all others, by their begin: begin, end, whose."""
        self._longest_ns = 0
        """Of these stays, of those that are known no more, too."""

    def put(self, key: VisitKey, when: tuple[Span, ...]) -> None:
        for span in self.visits.pop(key, ()):
            if span.end_ns is not None:
                del self._ended[bisect_left(self._ended, (*span, key))]
        self.there.pop(key, None)
        if not when:
            return
        self.visits[key] = when
        for start_ns, end_ns in when:
            if end_ns is None:
                self.there[key] = Span(start_ns, None)
            else:
                insort(self._ended, (start_ns, end_ns, key))
                self._longest_ns = max(self._longest_ns, end_ns - start_ns)

    def beside(self, mine: Iterable[Span]) -> set[VisitKey]:
        """Return the visits of which a stay overlaps one of some, or meets it."""
        found: set[VisitKey] = set()
        for start_ns, end_ns in mine:
            first = bisect_left(self._ended, (start_ns - self._longest_ns,))
            last = len(self._ended) if end_ns is None else bisect_left(self._ended, (end_ns + 1,))
            found.update(key for _, end, key in self._ended[first:last] if end >= start_ns)
            found.update(
                key for key, span in self.there.items() if end_ns is None or span[0] <= end_ns
            )
        return found


NO_BED = _Bed()
"""Stands for a bed in which nobody ever was."""


class Beds:
    """The visits in each bed of one domain."""

    def __init__(self) -> None:
        self._beds: dict[str, _Bed] = {}

    def put(self, location: str, key: VisitKey, when: tuple[Span, ...]) -> None:
        """Set when a visit was in a bed: () for never."""
        bed = self._beds.get(location)
        if bed is None:
            if not when:
                return
            bed = self._beds[location] = _Bed()
        bed.put(key, when)
        if not bed.visits:
            del self._beds[location]

    def last(self, location: str) -> tuple[VisitKey, Span] | None:
        """Return the visit that is in a bed, the last one to come; None where it is empty."""
        there = self._beds.get(location, NO_BED).there
        if not there:
            return None
        return max(there.items(), key=lambda each: (each[1].start_ns, each[0]))

    def double_bookings(
        self, location: str, keys: Collection[VisitKey], mothers: Mothers
    ) -> set[DoubleBooking]:
        """Return the double bookings of a bed in which one of some visits has a part.

        Visits of all others with each other are not looked at: in a place that is called a bed,
        and is a hall, there may be hundreds. A mother and her newborns may share a bed.
        """
        bed = self._beds.get(location, NO_BED)
        found: set[DoubleBooking] = set()
        for one in keys:
            mine = bed.visits.get(one, ())
            for two in bed.beside(mine):
                if two[0] == one[0] or _may_share(one[0], two[0], mothers):
                    continue
                for start_ns, end_ns in _overlaps(mine, bed.visits[two]):
                    found.add(DoubleBooking(one, location, start_ns, end_ns))
                    found.add(DoubleBooking(two, location, start_ns, end_ns))
        return found

    def booked(
        self, bookings: Collection[DoubleBooking], but: Collection[VisitKey], mothers: Mothers
    ) -> set[DoubleBooking]:
        """Return those of one bed's double bookings that hold without some visits, too."""
        if not bookings:
            return set()
        of_bed = self._beds.get(next(iter(bookings)).location, NO_BED).visits
        others = {key: when for key, when in of_bed.items() if key not in but}
        # It begins with one of the two: seldom with another than those that were left out.
        starts = {span.start_ns for when in others.values() for span in when}
        return {
            each
            for each in bookings
            if each.start_ns in starts and _is_booked(each, others, mothers)
        }


def _is_booked(
    booking: DoubleBooking, others: Mapping[VisitKey, tuple[Span, ...]], mothers: Mothers
) -> bool:
    key, _, *when = booking
    return any(
        tuple(when) in _overlaps(others.get(key, ()), spans)
        for other, spans in others.items()
        if other[0] != key[0] and not _may_share(key[0], other[0], mothers)
    )


def _overlaps(some: Iterable[Span], others: Iterable[Span]) -> list[tuple[int, int | None]]:
    """Return the times that are in one of some spans and one of others."""
    return [
        (max(one.start_ns, two.start_ns), _earlier(one.end_ns, two.end_ns))
        for one in some
        for two in others
        if _ends_after(one, two.start_ns) and _ends_after(two, one.start_ns)
    ]


def _earlier(one_ns: int | None, two_ns: int | None) -> int | None:
    ends = [end for end in (one_ns, two_ns) if end is not None]
    return min(ends, default=None)


def _ends_after(span: Span, time_ns: int) -> bool:
    return span.end_ns is None or span.end_ns > time_ns


def _may_share(one: str, two: str, mothers: Mothers) -> bool:
    """Return whether these are a mother and her newborn, or newborns of one mother."""
    if not mothers:
        return False
    of_one, of_two = mothers.get(one, NOBODY), mothers.get(two, NOBODY)
    return two in of_one or one in of_two or bool(of_one & of_two)
