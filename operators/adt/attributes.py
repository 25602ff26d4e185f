"""Who a patient is, what a visit is and its diagnoses: of each field what was recorded last.

A statement that other, newer ones outdo in all that it says is not kept: which ones are left is a
function of the set of statements, and so is what is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from state.adt.attributes import DETAILS, PERSON, Attribute, Details, Diagnoses, Diagnosis, Person
from state.adt.facts import VisitKey
from state.records import Coordinates

KINDS = {"person": Person, "details": Details, "diagnoses": Diagnoses}
Fields = tuple[str | None, ...]
"""One value of each field; None where nothing is known, or it is said that there is nothing."""
F = TypeVar("F", Person, Details)


class Condition(NamedTuple):
    """A diagnosis of a visit that stands; of the texts "" is for nothing."""

    kind: str
    system: str
    code: str
    text: str
    rank: str
    time_ns: int | None


class Patient(NamedTuple):
    """Who a patient is, and which numbers were merged into this one."""

    merged: tuple[str, ...]
    fields: Fields


class Attributes:
    """What some patients' messages told, by the numbers that the messages had."""

    def __init__(self) -> None:
        self._told: dict[VisitKey, dict[Attribute, Coordinates]] = {}
        """What was told of persons is under the visit ""."""

    @property
    def size(self) -> int:
        """The number of statements."""
        return sum(map(len, self._told.values()))

    def keys(self) -> Iterable[VisitKey]:
        """Return the patients, and visits, of which something was told."""
        return self._told.keys()

    def add(self, statement: Attribute, where: Coordinates) -> bool:
        """Take a statement; return whether it may change what is shown."""
        key = key_of(statement)
        told = self._told.get(key, {})
        if statement in told:
            return False
        outdone = _outdone(told, statement)
        if outdone is not None:
            del told[outdone]
            told[statement] = where
            return True
        left = _outstanding({**told, statement: where})
        self._told[key] = left
        return statement in left

    def forget(self, key: VisitKey) -> None:
        """Forget what was told under some numbers."""
        self._told.pop(key, None)

    def join(self, other: Attributes) -> None:
        """Take over all of another's."""
        for key, told in other._told.items():
            self._told[key] = _outstanding(self._told.get(key, {}) | told)

    def told(self, keys: Iterable[VisitKey], since_ns: int | None) -> dict[Attribute, Coordinates]:
        """Return the statements under some numbers that were recorded after a time."""
        return {
            statement: where
            for key in keys
            for statement, where in self._told.get(key, {}).items()
            if since_ns is None or statement.recorded_ns > since_ns
        }

    def pack(self) -> list[tuple[str, tuple[object, ...], tuple[object, ...]]]:
        """Return all of it in plain types, in an order of its content."""
        return sorted(
            (_name(each), tuple(each), tuple(where))
            for told in self._told.values()
            for each, where in told.items()
        )

    @classmethod
    def unpack(cls, plain: Iterable[Sequence[Sequence[object]]]) -> Attributes:
        """Return what `pack` gave."""
        made = cls()
        for name, said, where in plain:
            statement: Attribute = KINDS[str(name)](*said)
            if isinstance(statement, Diagnoses):
                listed = tuple(Diagnosis(*each) for each in statement.listed)
                statement = statement._replace(listed=listed)
            made._told.setdefault(key_of(statement), {})[statement] = Coordinates(*where)  # type: ignore[arg-type]
        return made


def key_of(statement: Attribute) -> VisitKey:
    """Return the numbers under which a statement was told."""
    return statement.patient, "" if isinstance(statement, Person) else statement.visit


def person(told: Iterable[Attribute]) -> Fields | None:
    """Return who a patient is, None where nothing was told."""
    of_person = [each for each in told if isinstance(each, Person)]
    return _values(of_person, len(PERSON)) if of_person else None


def details(told: Iterable[Attribute]) -> Fields:
    """Return what a visit is."""
    return _values([each for each in told if isinstance(each, Details)], len(DETAILS))


def conditions(told: Iterable[Attribute]) -> tuple[Condition, ...]:
    """Return the diagnoses of a visit that stand, in an order of their content.

    Of each type it is those of the newest message that names all, as changed by newer ones.
    """
    found: dict[tuple[str, str, str], Diagnosis] = {}
    of_visit = [each for each in told if isinstance(each, Diagnoses)]
    for each in sorted(of_visit, key=_order):
        if each.whole:
            found = {key: one for key, one in found.items() if key[0] != each.kind}
        for one in reversed(each.listed):  # of one code that is listed twice the first counts
            key = each.kind, one.system, one.code
            found[key] = one
    return tuple(
        Condition(*key, one.text, one.rank, one.time_ns)
        for key, one in sorted(found.items())
        if not one.is_gone
    )


def _outdone(told: Iterable[Attribute], statement: Attribute) -> Attribute | None:
    """Return the one statement of its kind, if a newer one says something of all that it does.

    So it is with nearly all messages about a patient. None where that is not so, or not known.
    """
    if isinstance(statement, Diagnoses):
        return None
    alike = [each for each in told if type(each) is type(statement)]
    if len(alike) != 1 or isinstance(known := alike[0], Diagnoses):
        return None
    if _order(known) >= _order(statement):
        return None
    both = zip(known.values, statement.values, strict=True)
    return None if any(now is None and then is not None for then, now in both) else known


def _outstanding(told: Mapping[Attribute, Coordinates]) -> dict[Attribute, Coordinates]:
    """Return the statements that no newer one outdoes."""
    if len(told) == 1:
        return dict(told)
    left = {
        *_newest([each for each in told if isinstance(each, Person)]),
        *_newest([each for each in told if isinstance(each, Details)]),
        *_newest_diagnoses([each for each in told if isinstance(each, Diagnoses)]),
    }
    return {each: where for each, where in told.items() if each in left}


def _newest(told: Sequence[F]) -> set[F]:
    """Return the newest statement, and the newest that says something of each field."""
    found: dict[int, F] = {}
    for each in sorted(told, key=_order):
        found[-1] = each
        found.update((at, each) for at, said in enumerate(each.values) if said is not None)
    return set(found.values())


def _newest_diagnoses(told: Sequence[Diagnoses]) -> set[Diagnoses]:
    """Return the newest that names all of a type, and the newest that changes each diagnosis."""
    whole: dict[str, Diagnoses] = {}
    changes: dict[tuple[str, str, str], Diagnoses] = {}
    for each in sorted(told, key=_order):
        if each.whole:
            whole[each.kind] = each
        else:
            changes.update(((each.kind, one.system, one.code), each) for one in each.listed)
    return {*whole.values(), *changes.values()}


def _values(told: Sequence[F], count: int) -> Fields:
    found: list[str | None] = [None] * count
    for each in sorted(told, key=_order):
        for at, said in enumerate(each.values):
            if said is not None:
                found[at] = said or None
    return tuple(found)


def _order(statement: Attribute) -> tuple[int, int, str]:
    return statement[:3]


def _name(statement: Attribute) -> str:
    return next(name for name, kind in KINDS.items() if isinstance(statement, kind))
