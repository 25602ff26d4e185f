"""Which observations of a visit stand, from the set of all that messages told of it.

What is told of one observation shares the order (filler), the code, OBX-4 and the time at which it
was made (case d44: "same filler number, code and time"). Of these the newest recorded message
counts, but a result wins over one that is not yet final, whenever that was recorded. D and W stand
as entered in error, so that nothing uses the value.

Source: HL7 v2.9, table 0085; adt.md, 6.1. The order of arrival does not enter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from operators.adt.units import Ucum, ucum
from state.adt.facts import VisitKey
from state.adt.observations import FINAL, LOINC, NUMBER, PRELIMINARY, TEXT, WRONG, Observation
from state.clock import iso_time

NOT_YET = {"registered": 0, PRELIMINARY: 1}
RESULT = 2
"""How far an observation has come; all others are this far."""
RESULTS = frozenset({FINAL, "amended", "corrected"})
CHANGES = frozenset({"amended", "corrected", "cancelled", WRONG})
"""Statuses that say something about what was told before."""
ALIKE = {"LOINC": "LN"}
"""Systems under another name."""


class Observed(NamedTuple):
    """An observation that stands: a row of the output ``observations``, and why it has no number.

    Null stands for what nobody told.
    """

    patient: str
    visit: str
    code: str
    system: str | None
    text: str | None
    value: str | None
    comparator: str | None
    unit: str | None
    value_ucum: float | None
    """The nearest to the decimal, which it shows where it is written."""
    unit_ucum: str | None
    status: str
    time: str
    """When it was made: UTC, YYYY-MM-DDTHH:MM:SS[.ffffff]Z."""
    filler: str | None
    sub_id: str | None
    reason: str | None
    """Why a number has none in UCUM, such as ``718-7: unit frob``."""
    nth: int = 0
    """Which one of those that order, code, sub id and time do not tell apart; the output's key."""

    @property
    def name(self) -> Name:
        """Return what messages about it share."""
        return _name(self.filler or "", self.code, self.system or "", self.sub_id or "")

    @property
    def is_result(self) -> bool:
        """Return whether scores may use it: it is neither pending, cancelled nor wrong."""
        return self.status in RESULTS


class Name(NamedTuple):
    """What messages about one observation share."""

    filler: str
    code: str
    system: str
    sub_id: str


def observed(
    key: VisitKey, told: Collection[Observation], deleted_ns: int | None = None
) -> list[Observed]:
    """Return what stands of one patient's visit, in an order of its content.

    ``key`` is the number under which both are known now. The observations may have others. What was
    recorded until the person was deleted (``deleted_ns``) is entered in error, unless newer is told
    of the same.
    """
    gone = [each for each in told if is_gone(each, deleted_ns)]
    if not gone:
        return _observed(key, told)
    rows = _observed(key, [each for each in told if not is_gone(each, deleted_ns)])
    told_again = {(row.name, row.time) for row in rows}
    rows += [
        row._replace(status=WRONG)
        for row in _observed(key, gone)
        if (row.name, row.time) not in told_again
    ]
    return sorted(rows, key=_order)


def is_gone(observation: Observation, deleted_ns: int | None) -> bool:
    """Return whether the deletion of its person takes an observation back."""
    return deleted_ns is not None and observation.recorded_ns <= deleted_ns


def _observed(key: VisitKey, told: Iterable[Observation]) -> list[Observed]:
    by_name: dict[Name, set[Observation]] = defaultdict(set)
    for each in told:
        by_name[name_of(each)].add(each)
    rows = (
        row
        for of_name in by_name.values()
        for time_ns, of_one in _by_time(of_name)
        for row in _rows(key, time_ns, standing(of_one))
    )
    return sorted(rows, key=_order)


def name_of(observation: Observation) -> Name:
    """Return what messages about the same observation share, its time aside."""
    return _name(observation.filler, observation.code, observation.system, observation.sub_id)


def standing(told: Collection[Observation]) -> list[Observation]:
    """Return what counts of the observations of one name and time, in the order of its message.

    It is the last one of the newest message, with all others of it that have the same status: some
    senders tell nothing by which lines of a report, or several germs, could be told apart.
    """
    with_values = [each for each in told if not each.confirms] or told
    newest = max(with_values, key=_rank)
    found = sorted((each for each in with_values if _is_beside(each, newest)), key=_rank)
    if newest.status == PRELIMINARY and any(each.confirms for each in told):
        return [each._replace(status=FINAL) for each in found]
    return found


def _name(filler: str, code: str, system: str, sub_id: str) -> Name:
    return Name(filler, code, ALIKE.get(system, system), sub_id)


def _by_time(of_name: set[Observation]) -> Iterator[tuple[int, set[Observation]]]:
    """Yield each time, and what was told of the observation made then.

    Those of an order that name no time are of one time, which is that of the sending. If they
    correct or take back, they are about each time of the order. Without an order each one is an
    observation of its own.
    """
    untimed = {each for each in of_name if not each.timed and each.filler}
    about_all = {each for each in untimed if each.confirms or each.status in CHANGES}
    by_time: dict[int, set[Observation]] = defaultdict(set)
    for each in of_name - untimed:
        by_time[each.clinical_ns].add(each)
    if untimed - about_all or not by_time:
        by_time[standing(untimed)[0].clinical_ns] |= untimed
    for time_ns, of_time in by_time.items():
        yield time_ns, of_time | about_all


def _rank(observation: Observation) -> tuple[int, int, int, str]:
    stage = NOT_YET.get(observation.status, RESULT)
    return stage, observation.recorded_ns, observation.clinical_ns, observation.digest


def _is_beside(one: Observation, other: Observation) -> bool:
    """Return whether one message tells both, with the same status."""
    return _message(one) == _message(other) and one.status == other.status


def _message(observation: Observation) -> tuple[int, str]:
    return observation.recorded_ns, observation.digest.split(" ", 1)[0]


def _rows(key: VisitKey, time_ns: int, of_message: Iterable[Observation]) -> list[Observed]:
    """Return the rows of what stands; what a message tells twice is told once."""
    rows = dict.fromkeys(_row(key, time_ns, each) for each in _joined(of_message))
    return [row._replace(nth=nth) for nth, row in enumerate(rows)]


def _joined(of_message: Iterable[Observation]) -> Iterator[Observation]:
    """Yield the observations; lines of text that follow each other are one text."""
    for kind, group in groupby(of_message, key=attrgetter("kind")):
        lines = list(group)
        if kind == TEXT:
            yield lines[0]._replace(value="\n".join(each.value or "" for each in lines))
        else:
            yield from lines


def _row(key: VisitKey, time_ns: int, of: Observation) -> Observed:
    number = _ucum(of)
    return Observed(
        *key,
        of.code,
        of.system or None,
        of.text or None,
        of.value,
        of.comparator,
        of.unit,
        None if number.value is None else float(number.value),
        number.unit,
        of.status,
        iso_time(time_ns),
        of.filler or None,
        of.sub_id or None,
        number.reason or None,
    )


def _ucum(of: Observation) -> Ucum:
    """Return the number in UCUM. A code of another system is not LOINC's, whatever it looks like.

    Many senders name no system.
    """
    if of.kind != NUMBER or of.value is None:
        return Ucum(None, None)
    return ucum(of.value, of.unit, of.code if of.system in LOINC or not of.system else "")


def _order(row: Observed) -> tuple[str, ...]:
    return (
        row.time,
        *(text or "" for text in (row.filler, row.code, row.system, row.sub_id)),
        f"{row.nth:06}",
    )
