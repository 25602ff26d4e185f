"""The timeline of a hospital's visits: a function of the set of its messages, in whatever order.

A message changes the families of its patients (`operators.adt.family`), or the results of an order
(`operators.adt.results`). What changes with them in the tables is emitted. Source: adt.md, "The
timeline, defined".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from operators.adt.census import Census, Correction, Where
from operators.adt.domain import Births, Domain, Effects
from operators.adt.family import Family
from operators.adt.held import SEPARATOR, Clock, Entities, Entity, Held, Joined, Versions
from operators.adt.recent import Recent
from operators.adt.report import Report, document
from operators.adt.results import Results, order_name
from operators.adt.shown import Change
from operators.logic import Logic
from operators.outputs import Outbox
from state.adt.attributes import Attribute
from state.adt.facts import Alias, BedStatus, Fact, Mother, Oddity, Rekey, Statement, Told
from state.adt.observations import Observation
from state.adt.outputs import BEYOND_HORIZON
from state.clock import DAY_NS, HOUR_NS
from state.rows import RowBlock

PATIENT, BED, CLOCK, WARD = "patient", "bed", "clock", "ward"
MOST_OPEN = 50_000
"""Statements of families that stay open, 1.5 kB each, and so many of orders, 0.6 kB each."""
PARTS = 24
"""What may be forgotten is sought in one of so many parts of the pages for each hour: no message
waits for long."""


class Timeline(Logic):
    """Emits each visit whose timeline has changed, and what is strange about it."""

    def __init__(
        self,
        pages: int,
        window_ns: int = HOUR_NS,
        corrected_ns: int = 7 * DAY_NS,
        horizon_ns: int = 400 * DAY_NS,
    ) -> None:
        """``window_ns``: of the census, which is corrected for ``corrected_ns``.

        What was recorded ``horizon_ns`` before the clock of its domain is late.
        """
        self.entities = Entities(pages, self._loaded)
        self.families, self.orders = Recent(MOST_OPEN), Recent(MOST_OPEN)
        self.window_ns = window_ns
        self._horizon_ns = horizon_ns
        self._corrected_ns = corrected_ns
        self._domains: dict[str, Domain] = {}
        self._censuses: dict[str, Census] = {}

    def process(self, item: RowBlock[Told], outbox: Outbox) -> Iterable[Any]:
        """Take the messages of a block. All of one domain come from one partition."""
        for told in item.rows:
            Work(self, told).work(outbox)
        return ()

    def describe(self, key: str) -> dict[str, Any]:
        """Return the visits of a number, with or without its authority, and their messages."""
        found = [
            document(name, family, (patient, number))
            for name, domain in sorted(self._domains.items())
            for patient, number in domain.visits(key)
            for family in [self.family(name, patient)[1].read()]
        ]
        return {"visits": found} if found else {}

    def snapshot(self) -> dict[str, Any]:
        """Return what is not in pages: nothing."""
        return {}

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""

    def domain(self, name: str) -> Domain:
        """Return a domain, a new one where nothing was told of it."""
        return self._domains.setdefault(name, Domain())

    def census(self, name: str) -> Census:
        """Return the census of a domain, a new one where nothing was told of it."""
        if name not in self._censuses:
            self._censuses[name] = Census(self.window_ns, self._corrected_ns)
        return self._censuses[name]

    def oldest_ns(self, domain: str) -> int:
        """Return the recorded time before which messages of a domain are late.

        The clock of a domain moves by windows of the census.
        """
        clock = self.census(domain).clock
        return -(2**63) if clock is None else clock * self.window_ns - self._horizon_ns

    def forget(self, domain: str, clock: int) -> None:
        """Forget the visits that are over in a part of the pages, another one for each clock.

        They are kept for twice the horizon: what is not late may still correct them. What is
        strange in messages is forgotten so, too: a merge may still move it.
        """
        limit_ns = self.oldest_ns(domain) - self._horizon_ns
        filled = self.entities.filled()
        for page in range(clock % PARTS, self.entities.count, PARTS):
            if page not in filled:
                continue
            for name, entity in self.entities.within(page).items():
                if not isinstance(entity, Held) or not name.startswith(domain + SEPARATOR):
                    continue
                over_ns = entity.over_ns()
                if over_ns is not None and over_ns < limit_ns:
                    self._forget(domain, name, entity, limit_ns)

    def _forget(self, domain: str, name: str, held: Held, limit_ns: int) -> None:
        family = held.open()
        beds = {key: list(shown.beds) for key, shown in family.shown.items()}
        for key in family.forget(limit_ns):
            self.domain(domain).forget(key, beds.get(key, ()))
            for told, orders in family.forget_orders(key).items():
                for order in orders:
                    self.entities.drop(order_name(domain, told, order))
        if family.is_empty:
            self.entities.drop(name)
            return
        self.entities.put(name, held)
        held.pack()

    def family(self, domain: str, patient: str) -> tuple[str, Held]:
        """Return the family of a patient and its name, a new one where nothing was told of it."""
        name = _name(domain, PATIENT, patient)
        while isinstance(entity := self.entities.get(name), Joined):
            name = str(entity)
        if entity is None:
            return name, Held(Family())
        assert isinstance(entity, Held), "names of beds are others"
        return name, entity

    def _loaded(self, name: str, entity: Entity) -> None:
        of = name.partition(SEPARATOR)[0]
        if isinstance(entity, Held):
            summary = entity.summary()
            self.domain(of).take(summary)
            for key, where in summary.wards.items():
                self.census(of).take(key, where)
        elif isinstance(entity, BedStatus):
            self.domain(of).status(entity)
        elif isinstance(entity, Clock):
            self.census(of).clock = int(entity)


class Work:
    """What one message changes."""

    def __init__(self, timeline: Timeline, told: Told) -> None:
        self._timeline, self._told = timeline, told
        self._domain = timeline.domain(told.domain)
        self._held: dict[str, Held] = {}
        """The families that it is about, by name."""
        self._statuses: list[BedStatus] = []
        self._mothers: dict[str, frozenset[str]] = {}
        """Those of its families, as they were before it."""
        self._results = Results(timeline.entities, told)
        self._wards: list[Where] = []
        """Where each visit that has changed was, and is now."""

    def work(self, outbox: Outbox) -> None:
        """Take all that it says, and emit what has changed."""
        report = Report(outbox, self._told)
        if self._told.recorded_ns < self._timeline.oldest_ns(self._told.domain):
            report.late(BEYOND_HORIZON)
            return
        new = [each for each in self._told.statements if self._take(each)]
        if new:
            self._tell(report)
        self._count(report)
        for held in self._held.values():
            self._timeline.families.use(held)
        for order in self._results.opened():
            if order.size:
                self._timeline.orders.use(order)

    def _take(self, statement: Statement) -> bool:
        """Add a statement to what it is about; return whether it is a new one."""
        if isinstance(statement, BedStatus):
            latest = self._domain.is_latest(statement)
            self._statuses += [statement] * latest
            return latest
        name = self._joined(_patients(statement))
        held = self._held[name]
        if isinstance(statement, Observation):
            return self._results.take(statement, name, held)
        if not held.read().add(statement, self._told.coordinates):
            return False
        held.open()
        self._timeline.entities.put(name, held)
        return True

    def _joined(self, patients: Iterable[str]) -> str:
        """Return the name of the family of some patients, joined where they were several."""
        names = sorted({self._known(patient) for patient in patients})
        if len(names) == 1:
            return names[0]
        largest = max(names, key=lambda name: self._held[name].read().size)
        for name in names:
            if name != largest:
                self._held[largest].open().join(self._held.pop(name).read())
                self._timeline.entities.put(name, Joined(largest))
        return largest

    def _known(self, patient: str) -> str:
        """Return the name of the family of a patient, and note how it was before."""
        name, held = self._timeline.family(self._told.domain, patient)
        if name not in self._held:
            self._held[name] = held
            self._mothers |= held.read().mothers
        return name

    def _tell(self, report: Report) -> None:
        families = [held.read() for held in self._held.values()]
        changed = [(family, family.refresh()) for family in families]
        visits = [(family, each) for family, changes in changed for each in changes.visits]
        visits.sort(key=lambda each: each[1].key)
        effects = self._effects(families, [each for _, each in visits])
        self._wards = [(each.key, each.before.wards, each.after.wards) for _, each in visits]
        for family, each in visits:
            report.visit(family, each)
            effects.gone |= each.before.anomalies - each.after.anomalies
            effects.new |= each.after.anomalies - each.before.anomalies
        for family, changes in changed:
            effects.gone |= changes.gone
            effects.new |= changes.new
            for patient in changes.patients:
                report.patient(family, patient)
            self._results.move(family, changes.moved)
        self._results.tell(report)
        report.anomalies(effects.gone - effects.new, effects.new - effects.gone)
        for location, bed in effects.beds.items():
            report.bed(location, bed)

    def _count(self, report: Report) -> None:
        """Emit what changes in the census, and what is over of it now."""
        census = self._timeline.census(self._told.domain)
        corrections = census.follow(self._wards)
        before = census.clock
        corrections += census.advance(self._told.recorded_ns)
        if census.clock != before and census.clock is not None:
            name = _name(self._told.domain, CLOCK)
            self._timeline.entities.put(name, Clock(census.clock))
            first = census.clock if before is None else max(before + 1, census.clock - PARTS + 1)
            for clock in range(first, census.clock + 1):
                self._timeline.forget(self._told.domain, clock)
        for each in corrections:
            report.census(each, self._version(each), self._timeline.window_ns)

    def _version(self, correction: Correction) -> int:
        """Return how often a window of a ward is told, with this time."""
        entities = self._timeline.entities
        name = _name(self._told.domain, WARD, correction.ward)
        versions = entities.get(name)
        if versions is None and correction.before is None:
            return 1
        assert versions is None or isinstance(versions, Versions), "names of others are others"
        oldest = self._timeline.census(self._told.domain).oldest
        kept = {window: n for window, n in (versions or {}).items() if window >= oldest}
        version = kept.get(correction.window, int(correction.before is not None)) + 1
        if version > 1:
            kept[correction.window] = version
        entities.put(name, Versions(kept))
        return version

    def _effects(self, families: Iterable[Family], changes: list[Change]) -> Effects:
        """Let the domain follow; return what that changes."""
        mothers = {child: of for family in families for child, of in family.mothers.items()}
        births = Births(self._mothers, mothers, {})
        if mothers != self._mothers:
            children = mothers.keys() | self._mothers.keys()
            other = {each for each in children if mothers.get(each) != self._mothers.get(each)}
            births.visits.update(
                (key, shown)
                for family in families
                for key, shown in family.shown.items()
                if key[0] in other
            )
        effects = self._domain.follow(changes, births, self._statuses)
        for status in self._statuses:
            name = _name(self._told.domain, BED, status.location)
            self._timeline.entities.put(name, status)
        return effects


def _patients(
    statement: Fact | Alias | Rekey | Mother | Oddity | Attribute | Observation,
) -> list[str]:
    """Return the patients who have to do with each other by a statement.

    What is strange about nobody has to do with nothing else: it is kept by itself.
    """
    if isinstance(statement, Alias):
        return [statement.prior, statement.survivor]
    if isinstance(statement, Rekey):
        return [statement.old[0], statement.new[0]]
    if isinstance(statement, Mother):
        return list(statement)
    return [statement.patient or f"{SEPARATOR}{statement.clinical_ns}"]


def _name(domain: str, *parts: str) -> str:
    return SEPARATOR.join((domain, *parts))
