"""Patients who have to do with each other, by merges, moves and births; what is known of them.

A family is a function of the set of its statements. Most are one patient. Its statements are kept
as bytes while nobody asks, since the visits of a year are far more than those of a day.
"""

from __future__ import annotations

import pickle
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from operators.adt.beds import Span, spans
from operators.adt.cancels import by_time
from operators.adt.identity import Identity
from operators.adt.visit import Encounter, Row, visit
from state.adt.facts import (
    Alias,
    BedStatus,
    Fact,
    Mother,
    Oddity,
    Rekey,
    Statement,
    VisitKey,
)
from state.errors import SnapshotRefused
from state.records import Coordinates

FORM = 1
"""Of the bytes; a snapshot of another form is refused."""
NOT_REAL = ("cancelled", "entered-in-error")
KINDS = {"alias": Alias, "rekey": Rekey, "mother": Mother, "oddity": Oddity}


class Anomaly(NamedTuple):
    """What is strange; of the texts "" is for nothing."""

    kind: str
    patient: str
    visit: str = ""
    location: str = ""
    start_ns: int | None = None
    end_ns: int | None = None
    field: str = ""


class Shown(NamedTuple):
    """What the tables say of one visit."""

    rows: tuple[Row, ...]
    encounter: Encounter | None
    anomalies: frozenset[Anomaly]
    beds: dict[str, tuple[Span, ...]]
    """When the patient was in each bed."""

    @property
    def is_real(self) -> bool:
        """Return whether there was such a visit, and it was not taken back."""
        return self.encounter is not None and self.encounter.status not in NOT_REAL


class Change(NamedTuple):
    """A visit whose tables are no longer what they were."""

    key: VisitKey
    before: Shown
    after: Shown

    def beds(self) -> set[str]:
        """Return the beds in which the patient was at other times than was known."""
        then, now = self.before.beds, self.after.beds
        return {at for at in then.keys() | now.keys() if then.get(at) != now.get(at)}


class Changes(NamedTuple):
    """What has changed in a family: its visits, and what is strange about its patients."""

    visits: list[Change]
    gone: set[Anomaly]
    new: set[Anomaly]


class Summary(NamedTuple):
    """What others have to know of a family without reading its statements."""

    beds: dict[VisitKey, dict[str, tuple[Span, ...]]]
    visits: list[tuple[str, str, bool]]
    """Patient, number, and whether there was such a visit."""
    mothers: dict[str, frozenset[str]]


NOTHING = Shown((), None, frozenset(), {})


class Family:
    """The statements about some patients, each with the coordinates of the message that told it.

    What is asked of it is as of the last `refresh`.
    """

    def __init__(self) -> None:
        self.versions: dict[VisitKey, int] = {}
        """How often each visit has changed."""
        self.shown: dict[VisitKey, Shown] = {}
        """The tables as they were at the last `refresh`."""
        self.anomalies: set[Anomaly] = set()
        """Those of the patients, not of a visit; as they were at the last `refresh`."""
        self.mothers: dict[str, frozenset[str]] = {}
        self._facts: dict[VisitKey, dict[Fact, Coordinates]] = {}
        self._others: dict[Statement, Coordinates] = {}
        self._told: dict[VisitKey, list[VisitKey]] = {}
        """The keys under which messages told of each visit."""
        self._deletions: dict[str, dict[Fact, Coordinates]] = {}
        """What deletes all visits of a person."""
        self._identity: Identity | None = None
        self._stale: set[VisitKey] = set()
        self._fresh: list[Mother | Oddity] = []

    @property
    def size(self) -> int:
        """The number of statements."""
        return sum(map(len, self._facts.values())) + len(self._others)

    def add(self, statement: Statement, where: Coordinates) -> bool:
        """Take a statement, told by the message at ``where``; return whether it is a new one."""
        if isinstance(statement, Fact):
            told = statement.patient, statement.visit
            of_visit = self._facts.setdefault(told, {})
            if statement in of_visit:
                return False
            of_visit[statement] = where
            self._note(told, first=len(of_visit) == 1)
            return True
        assert not isinstance(statement, BedStatus), "beds belong to no patient"
        if statement in self._others:
            return False
        self._others[statement] = where
        if isinstance(statement, Alias | Rekey):
            self._identity = None
        else:  # it changes neither who stands for whom, nor a visit
            self._fresh.append(statement)
        return True

    def join(self, other: Family) -> None:
        """Take over all of another family; the next `refresh` works out everything anew."""
        for told, facts in other._facts.items():
            self._facts.setdefault(told, {}).update(facts)
        self._others.update(other._others)
        self.versions.update(other.versions)
        self.shown.update(other.shown)
        self.anomalies = self.anomalies | other.anomalies
        self.mothers = self.mothers | other.mothers
        self._identity = None

    def refresh(self) -> Changes:
        """Return what has changed since the last call; visits in the order of their keys."""
        before, new = self.anomalies, set[Anomaly]()
        if self._identity is None:
            self._stale = set(self.shown) | self._identify()
        else:
            new = self._take_fresh(self._identity)
        rebuilt = self.anomalies is not before
        visits = [each for key in sorted(self._stale) if (each := self._change(key)) is not None]
        self._stale, self._fresh = set(), []
        if rebuilt:
            return Changes(visits, before - self.anomalies, self.anomalies - before)
        self.anomalies |= new
        return Changes(visits, set(), new)

    def _take_fresh(self, identity: Identity) -> set[Anomaly]:
        """Take births and oddities, which change no visit; return what is strange now."""
        new = set()
        for each in self._fresh:
            if isinstance(each, Mother):
                child, mother = identity.survivor(each.child), identity.survivor(each.mother)
                known = self.mothers.get(child, frozenset())
                self.mothers = self.mothers | {child: known | {mother}}
            else:
                new.add(_strange(each, identity))
        return new - self.anomalies

    def because(self, key: VisitKey, most: int) -> list[Coordinates]:
        """Return where the messages lie that determine a visit, the last ones; all in order."""
        return sorted(set(self.behind(key).values()))[-most:]

    def behind(self, key: VisitKey) -> dict[Statement, Coordinates]:
        """Return the statements that determine a visit, and where they were told."""
        merges = {e: where for e, where in self._others.items() if isinstance(e, Alias | Rekey)}
        return dict(chain(self._facts_of(key).items(), merges.items()))

    def summary(self) -> Summary:
        """Return what others have to know of it, as of the last `refresh`."""
        return Summary(
            {key: shown.beds for key, shown in self.shown.items() if shown.beds},
            [(*key, s.is_real) for key, s in self.shown.items() if s.encounter is not None],
            self.mothers,
        )

    def pack(self) -> bytes:
        """Return all of it as bytes; `unpack` makes the same family of them."""
        facts = [
            (
                *told,
                [(*fact[:4], *fact[6:], tuple(facts[fact])) for fact in sorted(facts, key=by_time)],
            )
            for told, facts in sorted(self._facts.items())
        ]
        others = sorted(
            (name, tuple(each), tuple(where))
            for name, kind in KINDS.items()
            for each, where in self._others.items()
            if isinstance(each, kind)
        )
        return pickle.dumps((FORM, facts, others, sorted(self.versions.items())), protocol=5)

    @classmethod
    def unpack(cls, data: bytes) -> Family:
        """Return what `pack` gave, refreshed. Raises SnapshotRefused where its form is another."""
        form, facts, others, versions = pickle.loads(data)  # noqa: S301  # our own recovery store
        if form != FORM:
            raise SnapshotRefused("form of families", str(form), str(FORM))
        made = cls()
        for patient, number, told in facts:
            made._facts[patient, number] = {
                Fact(when, recorded, digest, trigger, patient, number, *rest): Coordinates(*where)
                for when, recorded, digest, trigger, *rest, where in told
            }
        made._others = {KINDS[name](*each): Coordinates(*where) for name, each, where in others}
        made.versions = dict(versions)
        made.refresh()
        return made

    def _note(self, told: VisitKey, *, first: bool) -> None:
        """Note which visit a new fact changes."""
        if self._identity is None:
            return
        if not told[1]:  # a person is deleted, with all visits
            self._identity = None
            return
        key = self._identity.key(*told)
        if first:
            self._told.setdefault(key, []).append(told)
        self._stale.add(key)

    def _identify(self) -> set[VisitKey]:
        """Work out anew who stands for whom; return the keys of all visits."""
        identity = Identity(
            [each for each in self._others if isinstance(each, Alias)],
            [each for each in self._others if isinstance(each, Rekey)],
        )
        told: dict[VisitKey, list[VisitKey]] = defaultdict(list)
        deletions: dict[str, dict[Fact, Coordinates]] = defaultdict(dict)
        for (patient, number), facts in self._facts.items():
            if number:
                told[identity.key(patient, number)].append((patient, number))
            else:
                for who in {patient, identity.survivor(patient)}:
                    deletions[who] |= facts
        mothers: dict[str, set[str]] = defaultdict(set)
        for each in self._others:
            if isinstance(each, Mother):
                mothers[identity.survivor(each.child)].add(identity.survivor(each.mother))
        self._identity, self._told = identity, dict(told)
        self._deletions = dict(deletions)
        self.mothers = {child: frozenset(of) for child, of in mothers.items()}
        self.anomalies = set(_of_patients(identity, self._others))
        return set(told)

    def _change(self, key: VisitKey) -> Change | None:
        before, after = self.shown.get(key, NOTHING), self._look(key)
        if before == after:
            return None
        self.shown[key] = after
        if after == NOTHING:
            del self.shown[key]
        return Change(key, before, after)

    def _facts_of(self, key: VisitKey) -> dict[Fact, Coordinates]:
        found: dict[Fact, Coordinates] = {}
        for told in self._told.get(key, ()):
            found |= self._facts[told]
        return found | self._deletions.get(key[0], {})

    def _look(self, key: VisitKey) -> Shown:
        """Work out the tables of a visit."""
        if key not in self._told:
            return NOTHING
        found = visit(self._facts_of(key))
        strange = [
            Anomaly("cancel_without_target", *key, start_ns=fact.clinical_ns)
            for fact in found.cancels_without_target
        ]
        strange += [
            Anomaly("moved_after_discharge", *key, row.location, row.start_ns)
            for row in found.moved_after_discharge
        ]
        return Shown(tuple(found.rows), found.encounter, frozenset(strange), spans(found.rows))


def _of_patients(identity: Identity, told: Iterable[Statement]) -> Iterator[Anomaly]:
    """Yield what is strange in messages themselves, and merges that would lead back."""
    for circle in identity.circles:
        patient = identity.survivor(circle.prior)
        yield Anomaly("merge_cycle", patient, start_ns=circle.clinical_ns)
    for each in told:
        if isinstance(each, Oddity):
            yield _strange(each, identity)


def _strange(oddity: Oddity, identity: Identity) -> Anomaly:
    """Return what an oddity is under the numbers that stand now."""
    patient, number = oddity.patient, oddity.visit
    if patient and number:
        patient, number = identity.key(patient, number)
    elif patient:
        patient = identity.survivor(patient)
    return Anomaly(oddity.kind, patient, number, "", oddity.clinical_ns, None, oddity.field)
