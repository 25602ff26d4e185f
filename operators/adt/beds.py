"""Who is in which bed of a domain, and which of them cannot be: two patients in one bed.

It is made of the rows of all visits, and follows each change of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeVar

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
        there = self._there.get(location)
        if there is None:
            return None
        return max(there.items(), key=lambda each: (each[1].start_ns, each[0]))

    def double_bookings(
        self, location: str, keys: Collection[VisitKey], mothers: Mothers
    ) -> set[DoubleBooking]:
        """Return the double bookings of a bed in which one of some visits has a part.

        Visits of all others with each other are not looked at: in a place that is called a bed,
        and is a hall, there may be hundreds. A mother and her newborns may share a bed.
        """
        of_bed = self._visits.get(location, {})
        found: set[DoubleBooking] = set()
        for one in keys:
            mine = of_bed.get(one, ())
            for two in _beside(mine, of_bed):
                if two[0] == one[0] or _may_share(one[0], two[0], mothers):
                    continue
                for start_ns, end_ns in _overlaps(mine, of_bed[two]):
                    found.add(DoubleBooking(one, location, start_ns, end_ns))
                    found.add(DoubleBooking(two, location, start_ns, end_ns))
        return found

    def booked(
        self, bookings: Collection[DoubleBooking], but: Collection[VisitKey], mothers: Mothers
    ) -> set[DoubleBooking]:
        """Return those of one bed's double bookings that hold without some visits, too."""
        if not bookings:
            return set()
        of_bed = self._visits.get(next(iter(bookings)).location, {})
        others = {key: when for key, when in of_bed.items() if key not in but}
        # It begins with one of the two: seldom with another than those that were left out.
        starts = {span.start_ns for when in others.values() for span in when}
        return {
            each
            for each in bookings
            if each.start_ns in starts and _is_booked(each, others, mothers)
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


def _is_booked(
    booking: DoubleBooking, others: Mapping[VisitKey, tuple[Span, ...]], mothers: Mothers
) -> bool:
    key, _, *when = booking
    return any(
        tuple(when) in _overlaps(others.get(key, ()), spans)
        for other, spans in others.items()
        if other[0] != key[0] and not _may_share(key[0], other[0], mothers)
    )


def _beside(mine: Sequence[Span], of_bed: Mapping[VisitKey, Sequence[Span]]) -> list[VisitKey]:
    """Return the visits of a bed that are not all before some spans, nor all behind them.

    Most of a bed's visits are, and to see that must cost little: it was a fifth of all work.
    """
    if not mine:
        return []
    begin_ns, end_ns = mine[0].start_ns, mine[-1].end_ns
    return [
        key
        for key, spans in of_bed.items()
        if ((last_ns := spans[-1][1]) is None or last_ns >= begin_ns)
        and (end_ns is None or spans[0][0] <= end_ns)
    ]


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
