"""Patients who have to do with each other, by merges, moves and births; what is known of them.

A family is a function of the set of its statements. Most are one patient. Its statements are kept
as bytes while nobody asks, since the visits of a year are far more than those of a day.
"""

from __future__ import annotations

import pickle
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain

from operators.adt.attributes import (
    Attributes,
    Patient,
    conditions,
    details,
    key_of,
    person,
)
from operators.adt.beds import spans
from operators.adt.cancels import by_time, having
from operators.adt.census import presences
from operators.adt.identity import Identity
from operators.adt.orders import Deletion
from operators.adt.shown import (
    NOTHING,
    Anomaly,
    Change,
    Changes,
    Moved,
    PatientChange,
    Shown,
    Summary,
)
from operators.adt.visit import visit
from state.adt.attributes import Attribute, Details, Diagnoses, Person
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
from state.adt.observations import Observation
from state.adt.triggers import Effect
from state.clock import DAY_NS
from state.errors import SnapshotRefused
from state.records import Coordinates

FORM = 3
"""Of the bytes; a snapshot of another form is refused."""
LASTING = ("in-progress", "onleave")
"""The statuses of visits that are not over."""
KINDS = {"alias": Alias, "rekey": Rekey, "mother": Mother, "oddity": Oddity}


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
        self.patients: dict[str, Patient] = {}
        """Who its patients are, as of the last `refresh`."""
        self.ordered: dict[VisitKey, list[VisitKey]] = {}
        """The numbers under which messages told of the orders of each visit (none: "")."""
        self.deleted: dict[str, Deletion] = {}
        """The last deletion of each person, as of the last `refresh`."""
        self._attributes = Attributes()
        self._orders: dict[VisitKey, dict[str, int]] = {}
        """The orders of each number, and on which day each was recorded last."""
        self._facts: dict[VisitKey, dict[Fact, Coordinates]] = {}
        self._others: dict[Statement, Coordinates] = {}
        self._told: dict[VisitKey, list[VisitKey]] = {}
        """The keys under which messages told of each visit."""
        self._deletions: dict[str, dict[Fact, Coordinates]] = {}
        """What deletes all visits of a person."""
        self._numbers: dict[str, set[str]] = {}
        """The numbers under which messages told of each patient, or that were merged into it."""
        self._identity: Identity | None = Identity()
        """None where it is to be worked out anew."""
        self._stale: set[VisitKey] = set()
        self._stale_patients: set[str] = set()
        self._fresh: list[Mother | Oddity] = []

    @property
    def size(self) -> int:
        """The number of statements."""
        return sum(map(len, self._facts.values())) + len(self._others) + self._attributes.size

    def add(self, statement: Statement, where: Coordinates) -> bool:
        """Take a statement, told by the message at ``where``; return whether it is a new one."""
        if isinstance(statement, Fact):
            told = statement.patient, statement.visit
            of_visit = self._facts.setdefault(told, {})
            if statement in of_visit:
                return False
            of_visit[statement] = where
            self._note(told)
            return True
        if isinstance(statement, Person | Details | Diagnoses):
            if not self._attributes.add(statement, where):
                return False
            self._note_attribute(*key_of(statement))
            return True
        assert not isinstance(statement, BedStatus | Observation), "they are not kept in a family"
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
        self._attributes.join(other._attributes)
        for told, orders in other._orders.items():
            known = self._orders.setdefault(told, {})
            known.update((each, max(day, known.get(each, day))) for each, day in orders.items())
        self.patients.update(other.patients)
        self.ordered.update(other.ordered)
        self.deleted.update(other.deleted)
        self.versions.update(other.versions)
        self.shown.update(other.shown)
        self.anomalies = self.anomalies | other.anomalies
        self.mothers = self.mothers | other.mothers
        self._identity = None

    def add_order(self, told: VisitKey, order: str, recorded_ns: int) -> bool:
        """Note that a message told of an order; return whether it is the first one of a day."""
        of_key, day = self._orders.setdefault(told, {}), recorded_ns // DAY_NS
        if of_key.get(order, day - 1) >= day:
            return False
        of_key[order] = day
        known = self.ordered.setdefault(self.order_key(told), [])
        if told not in known:
            known.append(told)
        return True

    def order_key(self, told: VisitKey) -> VisitKey:
        """Return the numbers under which the orders are known that a message tells of."""
        assert self._identity is not None, "results come after a refresh"
        return self._identity.key(*told) if told[1] else (self._identity.survivor(told[0]), "")

    def orders(self, told: VisitKey) -> Iterable[str]:
        """Return the orders that messages told of under some numbers."""
        return self._orders.get(told, {})

    def refresh(self) -> Changes:
        """Return what has changed since the last call; visits in the order of their keys."""
        before, new, moved = self.anomalies, set[Anomaly](), list[Moved]()
        if self._identity is None:
            self._stale = set(self.shown) | self._identify()
            self._stale_patients = self.patients.keys() | self._numbers.keys()
            moved = self._reorder()
        else:
            new = self._take_fresh(self._identity)
        rebuilt = self.anomalies is not before
        visits = [each for key in sorted(self._stale) if (each := self._change(key)) is not None]
        patients = list(filter(None, map(self._change_patient, sorted(self._stale_patients))))
        self._stale, self._stale_patients, self._fresh = set(), set(), []
        if rebuilt:
            gone, new = before - self.anomalies, self.anomalies - before
        else:
            gone = set()
            self.anomalies |= new
        return Changes(visits, patients, moved, gone, new)

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

    @property
    def is_empty(self) -> bool:
        """Return whether nothing is known of it, not even how often a visit has changed."""
        return not (self.size or self.versions or self._orders)

    def over_ns(self) -> int | None:
        """Return when the first of what may be forgotten was told of last; None without any.

        That is visits that are over, and what is strange in messages.
        """
        of_visits = (ns for _, ns in self._over())
        return min((*of_visits, *(_told_ns(each) for each in self.strange())), default=None)

    def strange(self) -> list[Oddity]:
        """Return what is strange in messages, as they told it."""
        return [each for each in self._others if isinstance(each, Oddity)]

    def forget(self, before_ns: int) -> dict[VisitKey, list[VisitKey]]:
        """Forget the visits that are over and of which nothing was told since a time.

        So is what was strange in messages by then. Return the visits, with the numbers under which
        messages told of each. Who the patients are, and what was merged, stays: a message may come
        under a former number at any time.
        """
        over = [key for key, ns in self._over() if ns < before_ns]
        gone = {key: self._told.pop(key, []) for key in over}
        for key, numbers in gone.items():
            for told in numbers:
                self._facts.pop(told, None)
                self._attributes.forget(told)
            self.shown.pop(key, None)
        self._forget_strange(before_ns)
        return gone

    def _forget_strange(self, before_ns: int) -> None:
        """Forget what was strange in messages: its anomalies stay, as do rows of visits."""
        old = [each for each in self.strange() if _told_ns(each) < before_ns]
        for each in old:
            del self._others[each]
        if old and self._identity is not None:
            self.anomalies = set(_of_patients(self._identity, self._others))

    def forget_orders(self, key: VisitKey) -> dict[VisitKey, Iterable[str]]:
        """Forget the orders of a visit; return them by the numbers that messages told."""
        return {told: self._orders.pop(told) for told in self.ordered.pop(key, [])}

    def _over(self) -> Iterator[tuple[VisitKey, int]]:
        """Yield the visits that are over, and when each was told of last."""
        for key in self._told.keys() | self.ordered.keys():
            numbers = self._told.get(key, [])
            encounter = self.shown[key].encounter if key in self.shown else None
            if encounter is None or encounter.status not in LASTING:
                facts = (fact for told in numbers for fact in self._facts.get(told, ()))
                told_of = chain(facts, self._attributes.told(numbers, None))
                yield key, max((*map(_last_ns, told_of), self._last_order_ns(key)))

    def _last_order_ns(self, key: VisitKey) -> int:
        """Return the end of the last day on which an order of a visit was recorded; else 0."""
        days = (day for told in self.ordered.get(key, ()) for day in self._orders[told].values())
        return (max(days, default=-1) + 1) * DAY_NS

    def because(self, key: VisitKey, most: int) -> list[Coordinates]:
        """Return where the messages lie that determine a visit, the last ones; all in order."""
        return sorted(set(self.behind(key).values()))[-most:]

    def behind(self, key: VisitKey) -> dict[Statement, Coordinates]:
        """Return the statements that determine a visit, and where they were told."""
        merges = {e: where for e, where in self._others.items() if isinstance(e, Alias | Rekey)}
        facts = self._facts_of(key)
        attributes = self._attributes.told(self._told.get(key, ()), _deleted_ns(facts))
        return dict(chain(facts.items(), attributes.items(), merges.items()))

    def because_of(self, patient: str, most: int) -> list[Coordinates]:
        """Return where the messages lie that tell who a patient is, the last ones; in order."""
        of_merges = (
            where
            for each, where in self._others.items()
            if isinstance(each, Alias) and each.prior in self._numbers.get(patient, ())
        )
        return sorted({*self._of_person(patient).values(), *of_merges})[-most:]

    def summary(self) -> Summary:
        """Return what others have to know of it, as of the last `refresh`."""
        return Summary(
            {key: shown.beds for key, shown in self.shown.items() if shown.beds},
            {key: shown.wards for key, shown in self.shown.items() if shown.wards},
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
        orders = sorted((told, sorted(of_key.items())) for told, of_key in self._orders.items())
        versions = sorted(self.versions.items())
        rest = others, self._attributes.pack(), orders, versions
        return pickle.dumps((FORM, facts, *rest), protocol=5)

    @classmethod
    def unpack(cls, data: bytes) -> Family:
        """Return what `pack` gave, refreshed. Raises SnapshotRefused where its form is another."""
        form, *rest = pickle.loads(data)  # noqa: S301  # our own recovery store
        if form != FORM:
            raise SnapshotRefused("form of families", str(form), str(FORM))
        facts, others, attributes, orders, versions = rest
        made = cls()
        for patient, number, told in facts:
            made._facts[patient, number] = {
                Fact(when, recorded, digest, trigger, patient, number, *rest): Coordinates(*where)
                for when, recorded, digest, trigger, *rest, where in told
            }
        made._others = {KINDS[name](*each): Coordinates(*where) for name, each, where in others}
        made._attributes = Attributes.unpack(attributes)
        made._orders = {told: dict(of_key) for told, of_key in orders}
        made.versions = dict(versions)
        made._identity = None
        made.refresh()
        return made

    def _note(self, told: VisitKey) -> None:
        """Note which visit is to be looked at anew, of which a message told."""
        if self._identity is None:
            return
        if not told[1]:  # a person is deleted, with all visits
            self._identity = None
            return
        key = self._identity.key(*told)
        known = self._told.setdefault(key, [])
        if told not in known:
            known.append(told)
        self._stale.add(key)

    def _note_attribute(self, patient: str, number: str) -> None:
        if number:
            self._note((patient, number))
        elif self._identity is not None:
            survivor = self._identity.survivor(patient)
            self._numbers.setdefault(survivor, set()).add(patient)
            self._stale_patients.add(survivor)

    def _identify(self) -> set[VisitKey]:
        """Work out anew who stands for whom; return the keys of all visits."""
        identity = Identity(
            [each for each in self._others if isinstance(each, Alias)],
            [each for each in self._others if isinstance(each, Rekey)],
        )
        told: dict[VisitKey, list[VisitKey]] = defaultdict(list)
        deletions: dict[str, dict[Fact, Coordinates]] = defaultdict(dict)
        numbers: dict[str, set[str]] = defaultdict(set)
        for patient, number in {*self._facts, *self._attributes.keys()}:
            if number:
                told[identity.key(patient, number)].append((patient, number))
            else:
                numbers[identity.survivor(patient)].add(patient)
        for (patient, number), facts in self._facts.items():
            if not number:
                for who in {patient, identity.survivor(patient)}:
                    deletions[who] |= facts
        mothers: dict[str, set[str]] = defaultdict(set)
        for each in self._others:
            if isinstance(each, Mother):
                mothers[identity.survivor(each.child)].add(identity.survivor(each.mother))
            elif isinstance(each, Alias):
                numbers[identity.survivor(each.prior)].add(each.prior)
        self._numbers = dict(numbers)
        self._identity, self._told = identity, dict(told)
        self._deletions = dict(deletions)
        self.mothers = {child: frozenset(of) for child, of in mothers.items()}
        self.anomalies = set(_of_patients(identity, self._others))
        return set(told)

    def _reorder(self) -> list[Moved]:
        """Work out anew under which numbers messages told of the orders of each visit.

        Return those of which that has changed, and those of persons who were deleted since.
        """
        before, after = self.ordered, defaultdict[VisitKey, list[VisitKey]](list)
        deleted, self.deleted = (
            self.deleted,
            {
                patient: max(Deletion(fact.recorded_ns, where) for fact, where in facts.items())
                for patient, facts in self._deletions.items()
            },
        )
        for told in sorted(self._orders):
            after[self.order_key(told)].append(told)
        self.ordered = dict(after)
        return [
            Moved(key, before.get(key, []), after.get(key, []), deleted.get(key[0]))
            for key in sorted(before.keys() | after.keys())
            if sorted(before.get(key, [])) != after.get(key, [])
            or deleted.get(key[0]) != self.deleted.get(key[0])
        ]

    def _change(self, key: VisitKey) -> Change | None:
        before, after = self.shown.get(key, NOTHING), self._look(key)
        if before == after:
            return None
        self.shown[key] = after
        if after == NOTHING:
            del self.shown[key]
        return Change(key, before, after)

    def _change_patient(self, patient: str) -> PatientChange | None:
        fields = person(self._of_person(patient))
        merged = tuple(sorted(self._numbers.get(patient, set()) - {patient}))
        before = self.patients.pop(patient, None)
        after = None if fields is None else Patient(merged, fields)
        if after is not None:
            self.patients[patient] = after
        return None if before == after else PatientChange(patient, before, after)

    def _of_person(self, patient: str) -> dict[Attribute, Coordinates]:
        """Return what tells who a patient is."""
        keys = [(number, "") for number in self._numbers.get(patient, ())]
        return self._attributes.told(keys, _deleted_ns(self._deletions.get(patient, ())))

    def _facts_of(self, key: VisitKey) -> dict[Fact, Coordinates]:
        found: dict[Fact, Coordinates] = {}
        for told in self._told.get(key, ()):
            found |= self._facts.get(told, {})
        return found | self._deletions.get(key[0], {})

    def _look(self, key: VisitKey) -> Shown:
        """Work out the tables of a visit."""
        if key not in self._told:
            return NOTHING
        facts = self._facts_of(key)
        found = visit(facts)
        attributes = self._attributes.told(self._told[key], _deleted_ns(facts))
        strange = [
            Anomaly("cancel_without_target", *key, start_ns=fact.clinical_ns)
            for fact in found.cancels_without_target
        ]
        strange += [
            Anomaly("moved_after_discharge", *key, row.location, row.start_ns)
            for row in found.moved_after_discharge
        ]
        return Shown(
            tuple(found.rows),
            found.encounter,
            frozenset(strange),
            spans(found.rows),
            presences(found.rows, found.encounter.discharged_ns if found.encounter else None),
            details(attributes),
            conditions(attributes),
        )


def _told_ns(oddity: Oddity) -> int:
    """Return when a message told something strange; snapshots of before do not know it."""
    return oddity.recorded_ns or oddity.clinical_ns


def _last_ns(statement: Fact | Attribute) -> int:
    """Return the last time that a statement names."""
    left_ns = statement.discharged_ns if isinstance(statement, Fact) else None
    return max(statement.recorded_ns, statement.clinical_ns, left_ns or 0)


def _deleted_ns(facts: Iterable[Fact]) -> int | None:
    """Return when the last deletion among some facts was recorded, None without one."""
    return max((fact.recorded_ns for fact in having(facts, Effect.DELETES)), default=None)


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
