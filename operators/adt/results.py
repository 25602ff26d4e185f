"""The results that one message changes: those that it tells, and those that a merge moves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from operators.adt.family import Family
from operators.adt.held import SEPARATOR, Entities, Held
from operators.adt.orders import Observations, Order, Standing, order_of, standing
from operators.adt.report import Report
from operators.adt.shown import Moved
from state.adt.facts import Told, VisitKey
from state.adt.observations import Observation

ORDER = "order"
Part = tuple[VisitKey, str, int | None]
"""A visit, an order of it, and the time of what may have changed: None for all of the order."""


class Results:
    """The orders that a message is about, with what stood of them before it."""

    def __init__(self, entities: Entities, told: Told) -> None:
        self._entities, self._told = entities, told
        self._open: dict[str, Order] = {}
        self._before: dict[Part, Standing] = {}
        self._families: dict[VisitKey, Family] = {}

    def take(self, observation: Observation, name: str, held: Held) -> bool:
        """Take an observation about a patient of a family; return whether it is a new one."""
        told, order = (observation.patient, observation.visit), order_of(observation)
        family = held.read()
        key = family.order_key(told)
        part = key, order, None if observation.filler else observation.clinical_ns
        if part not in self._before:
            self._before[part] = self._standing(family, part)
            self._families[key] = family
        place, entity = self._order(told, order)
        if not entity.add(observation, self._told.coordinates):
            return False
        self._entities.put(place, entity)
        if family.add_order(told, order, observation.recorded_ns):
            held.open()
            self._entities.put(name, held)
        return True

    def move(self, family: Family, moved: Iterable[Moved]) -> None:
        """Note the orders that a merge or a deletion changes."""
        for key, before, after, deletion in moved:
            for order in {each for told in (*before, *after) for each in family.orders(told)}:
                part = key, order, None
                self._before[part] = standing(key, self._read(before, part), deletion)
            self._families[key] = family

    def tell(self, report: Report) -> None:
        """Emit what stands otherwise than before."""
        for part, before in sorted(self._before.items(), key=lambda each: each[0]):
            report.observations(before, self._standing(self._families[part[0]], part))

    def opened(self) -> Iterable[Order]:
        """Return the orders that were asked for."""
        return self._open.values()

    def _standing(self, family: Family, part: Part) -> Standing:
        key = part[0]
        told = family.ordered.get(key, ())
        return standing(key, self._read(told, part), family.deleted.get(key[0]))

    def _read(self, told: Sequence[VisitKey], part: Part) -> list[Observations]:
        _, order, time_ns = part
        return [self._order(each, order)[1].at(time_ns) for each in told]

    def _order(self, told: VisitKey, order: str) -> tuple[str, Order]:
        """Return an order of a visit and its name, an empty one where nothing was told of it."""
        name = order_name(self._told.domain, told, order)
        if name not in self._open:
            entity = self._entities.get(name)
            assert entity is None or isinstance(entity, Order), "the names of others are others"
            self._open[name] = Order() if entity is None else entity
        return name, self._open[name]


def order_name(domain: str, told: VisitKey, order: str) -> str:
    """Return the name of an order of a visit among the entities."""
    return SEPARATOR.join((domain, ORDER, *told, order))
