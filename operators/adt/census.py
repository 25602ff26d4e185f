"""The census: how many patients each ward had in each hour, and who came and left.

A row is of a ward and a window of time, and is told once the clock of the domain (its latest
recorded time) is behind the window. What a late message changes in it is told again, as long as the
window is not older than the settings' ``correct_census``. Nothing is kept of older windows.

A window is [start, end): who leaves at its end leaves in the next one. So a ward has at the end of
a window those of the end of the one before, and those who came, less those who left.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from operator import add
from typing import NamedTuple, TypeVar

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

    def plus(self, other: Counts) -> Counts:
        """Return the sum."""
        return Counts(*map(add, self, other))


NOBODY = Counts()
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
        self._ended: dict[int, set[VisitKey]] = defaultdict(set)
        """Those that ended in each window, by what was known once."""
        self._moving: dict[VisitKey, tuple[Presence, ...]] = {}
        """Those of them of which windows that are not over yet have more to count than a stay."""
        self._staying: dict[str, set[VisitKey]] = defaultdict(set)
        """Those of which each such window has to count the whole of it, by ward: most of them."""
        self._counts: dict[int, dict[str, Counts]] | None = None
        """What was told of each window, by ward; made anew of the visits after a start."""

    def take(self, key: VisitKey, where: tuple[Presence, ...]) -> None:
        """Add a visit that was kept."""
        self._put(key, where)

    @property
    def oldest(self) -> int:
        """The number of the first window that may still be corrected."""
        return 0 if self.clock is None else self.clock - self._kept

    def follow(self, changes: Iterable[Where]) -> list[Correction]:
        """Take where visits are now; return what changes in windows that are over."""
        told, delta = self._told(), Tally(self._window_ns)  # what was told, before it changes
        for key, before, after in changes:
            if before == after:
                continue
            if self.clock is not None:
                since = max(self.oldest, _differ_ns(before, after) // self._window_ns)
                delta.add(before, since, self.clock, -1)
                delta.add(after, since, self.clock)
            if before:
                _take_out(self._staying, before[-1].ward, key)
            self._put(key, after)
        corrections = []
        for (ward, window), change in sorted(delta.counts().items()):
            before_it = told.get(window, {}).get(ward, NOBODY)
            after_it = before_it.plus(change)
            corrections.append(_correction(ward, window, before_it, after_it))
            _put(told, ward, window, after_it)
        return corrections

    def advance(self, recorded_ns: int) -> list[Correction]:
        """Move the clock; return what is to be told of the windows that are over now."""
        now = recorded_ns // self._window_ns
        if self.clock is not None and now <= self.clock:
            return []
        first = now - self._kept if self.clock is None else max(self.clock, now - self._kept)
        told, self.clock = self._told(), now
        found = Tally(self._window_ns)
        for where in self._moving.values():
            found.add(where, first, now)
        for ward, keys in self._staying.items():
            found.add_stays(ward, len(keys), first, now)
        self._forget()
        self._settle()
        corrections = []
        for (ward, window), one in sorted(found.counts().items(), key=lambda each: each[0][::-1]):
            corrections.append(_correction(ward, window, NOBODY, one))
            _put(told, ward, window, one)
        return corrections

    def _put(self, key: VisitKey, where: tuple[Presence, ...]) -> None:
        known = self._visits.get(key)
        if known and (left_ns := known[-1].end_ns) is not None:
            _take_out(self._ended, left_ns // self._window_ns, key)
        if not where:
            self._visits.pop(key, None)
            self._moving.pop(key, None)
            return
        self._visits[key] = self._moving[key] = where
        if (end_ns := where[-1].end_ns) is not None:
            self._ended[end_ns // self._window_ns].add(key)

    def _told(self) -> dict[int, dict[str, Counts]]:
        if self._counts is None:
            self._counts, found = {}, Tally(self._window_ns)
            if self.clock is not None:
                for where in self._visits.values():
                    found.add(where, self.oldest, self.clock)
            for (ward, window), one in found.counts().items():
                _put(self._counts, ward, window, one)
        return self._counts

    def _forget(self) -> None:
        """Forget what can no longer be corrected."""
        assert self.clock is not None, "the clock has moved"
        told = self._told()
        for window in [window for window in told if window < self.oldest]:
            del told[window]
        since_ns = self.oldest * self._window_ns
        for window in [window for window in self._ended if window < self.oldest]:
            for key in self._ended.pop(window):
                where = self._visits.get(key)
                if where is not None and _is_over(where, since_ns):
                    del self._visits[key]

    def _settle(self) -> None:
        """Find the visits that only stay where they are, until a message says otherwise."""
        assert self.clock is not None, "the clock has moved"
        since_ns = self.clock * self._window_ns
        for key, where in [*self._moving.items()]:
            if _stays(where[-1], since_ns):
                self._staying[where[-1].ward].add(key)
                del self._moving[key]
            elif _is_over(where, since_ns):
                del self._moving[key]


class Tally:
    """Adds up what presences count in windows. Lists, for most of the work is to add to them."""

    def __init__(self, window_ns: int) -> None:
        self._window_ns = window_ns
        self._found: dict[Place, list[int]] = defaultdict(lambda: [0] * len(NOBODY))

    def add(self, where: Iterable[Presence], first: int, until: int, sign: int = 1) -> None:
        """Add what a visit counts in each window from ``first`` to before ``until``."""
        length, found = self._window_ns, self._found
        for presence in where:
            ward, begin_ns, end_ns, *_ = presence
            last = until - 1 if end_ns is None else min(until - 1, end_ns // length)
            for window in range(max(first, begin_ns // length), last + 1):
                start_ns = window * length
                of_place = found[ward, window]
                if (
                    begin_ns < start_ns
                    and (end_ns is None or end_ns >= start_ns + length)
                    and not presence.boarding
                ):
                    of_place[0] += sign
                    of_place[2] += sign * length
                    continue
                for at, count in enumerate(_counted(presence, start_ns, start_ns + length)):
                    of_place[at] += sign * count

    def add_stays(self, ward: str, patients: int, first: int, until: int) -> None:
        """Add patients who were in a ward for the whole of each window."""
        for window in range(first, until):
            of_place = self._found[ward, window]
            of_place[0] += patients
            of_place[2] += patients * self._window_ns

    def counts(self) -> dict[Place, Counts]:
        """Return what is counted; of a window in which that is nothing there is none."""
        return {place: Counts(*each) for place, each in self._found.items() if any(each)}


def _counted(presence: Presence, start_ns: int, stop_ns: int) -> Counts:
    """Return what a presence, not over before a window and begun in it or before, counts in it."""
    comes = presence.start_ns >= start_ns
    leaves = presence.end_ns is not None and presence.end_ns < stop_ns
    span = presence.start_ns, presence.end_ns
    return Counts(
        occupied=int(not leaves),
        boarding=int(any(_lasts(each, stop_ns) for each in presence.boarding)),
        patient_ns=_overlap_ns(span, start_ns, stop_ns),
        boarding_ns=sum(_overlap_ns(each, start_ns, stop_ns) for each in presence.boarding),
        admissions=int(comes and presence.admitted),
        discharges=int(leaves and presence.discharged),
        transfers_in=int(comes and not presence.admitted),
        transfers_out=int(leaves and not presence.discharged),
    )


def _correction(ward: str, window: int, before: Counts, after: Counts) -> Correction:
    return Correction(ward, window, None if before == NOBODY else before, after)


def _put(told: dict[int, dict[str, Counts]], ward: str, window: int, one: Counts) -> None:
    of_window = told.setdefault(window, {})
    if one == NOBODY:
        of_window.pop(ward, None)
    else:
        of_window[ward] = one


N = TypeVar("N")


def _take_out(visits: dict[N, set[VisitKey]], name: N, key: VisitKey) -> None:
    """Take a visit out of the set of a name. A ward is any text: of no visit there is no set."""
    named = visits.get(name)
    if named is not None:
        named.discard(key)
        if not named:
            del visits[name]


def _is_over(where: Sequence[Presence], time_ns: int) -> bool:
    end_ns = where[-1].end_ns
    return end_ns is not None and end_ns < time_ns


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


def _stays(presence: Presence, since_ns: int) -> bool:
    """Return whether a presence lasts, and nothing of it begins or ends after a time."""
    boarding = presence.boarding and presence.boarding[-1]
    return (
        presence.end_ns is None
        and presence.start_ns < since_ns
        and (not boarding or (boarding[1] is not None and boarding[1] < since_ns))
    )


def _overlap_ns(span: tuple[int, int | None], start_ns: int, stop_ns: int) -> int:
    end_ns = stop_ns if span[1] is None else min(span[1], stop_ns)
    return max(0, end_ns - max(span[0], start_ns))


def _lasts(span: tuple[int, int | None], stop_ns: int) -> bool:
    """Return whether a span is not over at the end of a window that it began before."""
    return span[0] < stop_ns and (span[1] is None or span[1] >= stop_ns)
