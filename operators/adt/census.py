"""The census: how many patients each ward had in each hour, and who came and left.

A row is of a ward and a window of time, and is told once the clock of the domain (its latest
recorded time) is behind the window. What a late message changes in it is told again, as long as the
window is not older than the settings' ``correct_census``. Nothing is kept of older windows.

A window is [start, end): who leaves at its end leaves in the next one. So a ward has at the end of
a window those of the end of the one before, and those who came, less those who left.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from operators.adt.visit import Row
from state.adt.facts import VisitKey

EMERGENCY, INPATIENT = "E", "I"
"""Classes (PV1-2)."""
Place = tuple[str, int]
"""A ward and the number of a window since 1970."""


class Presence(NamedTuple):
    """A time of a visit in a ward; ``end_ns`` is None while it lasts."""

    ward: str
    start_ns: int
    end_ns: int | None
    admitted: bool
    """Whether the visit began with it; else the patient came from elsewhere."""
    discharged: bool
    """Whether the visit ended with it."""
    boarding: tuple[tuple[int, int | None], ...]
    """When the patient, an inpatient by then, lay in an emergency bed."""


class Counts(NamedTuple):
    """What is counted of a ward in a window."""

    occupied: int = 0
    """Patients at its end."""
    boarding: int = 0
    """Inpatients in emergency beds at its end."""
    patient_ns: int = 0
    """How long patients were there, all together."""
    boarding_ns: int = 0
    admissions: int = 0
    discharges: int = 0
    transfers_in: int = 0
    transfers_out: int = 0

    def plus(self, other: Counts, sign: int = 1) -> Counts:
        """Return the sum, or the difference for a ``sign`` of -1."""
        return Counts(*(one + sign * two for one, two in zip(self, other, strict=True)))


NOBODY = Counts()
Contributions = dict[Place, Counts]
Where = tuple[VisitKey, tuple[Presence, ...], tuple[Presence, ...]]
"""A visit, where it was before a message, and where it is now."""


class Correction(NamedTuple):
    """What is told of a ward and a window, and what was told before."""

    ward: str
    window: int
    before: Counts | None
    after: Counts


def presences(rows: Sequence[Row], discharged_ns: int | None) -> tuple[Presence, ...]:
    """Return when a visit was in which ward; moves within a ward do not end it.

    ``discharged_ns``: when the patient left; who is only moved to no place has not left.
    """
    found: list[Presence] = []
    for before, row in zip([None, *rows], rows, strict=False):
        ward = ward_of(row.location)
        joins = before is not None and before.end_ns == row.start_ns
        boards = joins and before is not None and _boards(before, row)
        boarding = ((row.start_ns, row.end_ns),) if boards else ()
        if joins and found and found[-1].ward == ward:
            last = found[-1]
            found[-1] = last._replace(end_ns=row.end_ns, boarding=last.boarding + boarding)
        else:
            found.append(Presence(ward, row.start_ns, row.end_ns, not found, False, boarding))
    if found and discharged_ns is not None and found[-1].end_ns == discharged_ns:
        found[-1] = found[-1]._replace(discharged=True)
    return tuple(found)


def ward_of(location: str) -> str:
    """Return the ward of ward^room^bed, with the facility where it is another one."""
    ward, *rest = location.split("^")
    return f"{ward}^^^{rest[2]}" if len(rest) > 2 else ward


def _boards(before: Row, row: Row) -> bool:
    classes = before.patient_class, row.patient_class
    return before.location == row.location and classes == (EMERGENCY, INPATIENT)


class Census:
    """The windows of a domain that may still be corrected."""

    def __init__(self, window_ns: int, kept_ns: int) -> None:
        self._window_ns, self._kept = window_ns, max(1, kept_ns // window_ns)
        self.clock: int | None = None
        """The number of the window that is not over yet; None before the first message."""
        self._visits: dict[VisitKey, tuple[Presence, ...]] = {}
        """Those of which a window may still have to count."""
        self._counts: Contributions | None = None
        """What was told of each window; made anew of the visits after a start."""

    def take(self, key: VisitKey, where: tuple[Presence, ...]) -> None:
        """Add a visit that was kept."""
        self._visits[key] = where

    @property
    def oldest(self) -> int:
        """The number of the first window that may still be corrected."""
        return 0 if self.clock is None else self.clock - self._kept

    def follow(self, changes: Iterable[Where]) -> list[Correction]:
        """Take where visits are now; return what changes in windows that are over."""
        counts, delta = self._told(), defaultdict[Place, Counts](Counts)
        for key, before, after in changes:
            if before == after:
                continue
            since = _differ_ns(before, after) // self._window_ns
            for where, sign in ((before, -1), (after, 1)):
                for place, one in self._contributions(where, since).items():
                    delta[place] = delta[place].plus(one, sign)
            self._visits[key] = after
            if not after:
                del self._visits[key]
        corrections = []
        for place, change in sorted(delta.items()):
            if change != NOBODY:
                before_it = counts.get(place, NOBODY)
                corrections.append(_correction(place, before_it, before_it.plus(change)))
                _put(counts, place, before_it.plus(change))
        return corrections

    def advance(self, recorded_ns: int) -> list[Correction]:
        """Move the clock; return what is to be told of the windows that are over now."""
        now = recorded_ns // self._window_ns
        if self.clock is not None and now <= self.clock:
            return []
        first = now - self._kept if self.clock is None else max(self.clock, now - self._kept)
        counts, self.clock = self._told(), now
        found = defaultdict[Place, Counts](Counts)
        for where in self._visits.values():
            for place, one in self._within(where, first, now).items():
                found[place] = found[place].plus(one)
        self._forget()
        counts.update(found)
        return [
            _correction(place, NOBODY, one)
            for place, one in sorted(found.items(), key=lambda each: each[0][::-1])
        ]

    def _told(self) -> Contributions:
        if self._counts is None:
            self._counts = defaultdict[Place, Counts](Counts)
            for where in self._visits.values():
                for place, one in self._contributions(where).items():
                    self._counts[place] = self._counts[place].plus(one)
            self._counts = {place: one for place, one in self._counts.items() if one != NOBODY}
        return self._counts

    def _forget(self) -> None:
        """Forget what can no longer be corrected."""
        counts, since_ns = self._told(), self.oldest * self._window_ns
        for place in [place for place in counts if place[1] < self.oldest]:
            del counts[place]
        gone = [key for key, where in self._visits.items() if _is_over(where, since_ns)]
        for key in gone:
            del self._visits[key]

    def _contributions(self, where: Sequence[Presence], since: int | None = None) -> Contributions:
        """Return what a visit counts in the windows that are over, and may be corrected."""
        if self.clock is None:
            return {}
        first = self.oldest if since is None else max(self.oldest, since)
        return self._within(where, first, self.clock)

    def _within(self, where: Sequence[Presence], first: int, until: int) -> Contributions:
        found = defaultdict[Place, Counts](Counts)
        for window, one, presence in chain.from_iterable(
            self._of_presence(presence, first, until) for presence in where
        ):
            found[presence.ward, window] = found[presence.ward, window].plus(one)
        return found

    def _of_presence(
        self, presence: Presence, first: int, until: int
    ) -> Iterator[tuple[int, Counts, Presence]]:
        """Yield what a presence counts in each window from ``first`` to before ``until``."""
        length, end_ns = self._window_ns, presence.end_ns
        last = until - 1 if end_ns is None else min(until - 1, end_ns // length)
        for window in range(max(first, presence.start_ns // length), last + 1):
            start_ns, stop_ns = window * length, (window + 1) * length
            comes = presence.start_ns >= start_ns
            leaves = end_ns is not None and end_ns < stop_ns
            boarding = [_overlap_ns(each, start_ns, stop_ns) for each in presence.boarding]
            boards = any(_lasts(each, stop_ns) for each in presence.boarding)
            one = Counts(
                occupied=int(not leaves),
                boarding=int(boards),
                patient_ns=_overlap_ns((presence.start_ns, end_ns), start_ns, stop_ns),
                boarding_ns=sum(boarding),
                admissions=int(comes and presence.admitted),
                discharges=int(leaves and presence.discharged),
                transfers_in=int(comes and not presence.admitted),
                transfers_out=int(leaves and not presence.discharged),
            )
            yield window, one, presence


def _correction(place: Place, before: Counts, after: Counts) -> Correction:
    return Correction(*place, None if before == NOBODY else before, after)


def _put(counts: Contributions, place: Place, one: Counts) -> None:
    if one == NOBODY:
        counts.pop(place, None)
    else:
        counts[place] = one


def _differ_ns(before: Sequence[Presence], after: Sequence[Presence]) -> int:
    """Return since when two sequences, which differ, tell different things.

    Mostly a patient left, or moved on: then nothing before changes, and stays may last for months.
    """
    for one, two in zip(before, after, strict=False):
        if one == two:
            continue
        ends_ns = [end for end in (one.end_ns, two.end_ns) if end is not None]
        same = one._replace(end_ns=None, discharged=False) == two._replace(
            end_ns=None, discharged=False
        )
        return min(ends_ns) if same and ends_ns else min(one.start_ns, two.start_ns)
    longer = max(before, after, key=len)
    return longer[min(len(before), len(after))].start_ns


def _is_over(where: Sequence[Presence], time_ns: int) -> bool:
    end_ns = where[-1].end_ns
    return end_ns is not None and end_ns < time_ns


def _overlap_ns(span: tuple[int, int | None], start_ns: int, stop_ns: int) -> int:
    end_ns = stop_ns if span[1] is None else min(span[1], stop_ns)
    return max(0, end_ns - max(span[0], start_ns))


def _lasts(span: tuple[int, int | None], stop_ns: int) -> bool:
    """Return whether a span is not over at the end of a window that it began before."""
    return span[0] < stop_ns and (span[1] is None or span[1] >= stop_ns)
