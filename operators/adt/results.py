"""The results that one message changes: those that it tells, and those that a merge moves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from operators.adt.family import Family
from operators.adt.held import SEPARATOR, Entities, Held
from operators.adt.orders import Order, Standing, order_of, standing
from operators.adt.report import Report
from operators.adt.shown import Moved
from state.adt.facts import Told, VisitKey
from state.adt.observations import Observation

ORDER = "order"


class Results:
    """The orders that a message is about, with what stood of them before it."""

    def __init__(self, entities: Entities, told: Told) -> None:
        self._entities, self._told = entities, told
        self._open: dict[str, Order] = {}
        self._before: dict[tuple[VisitKey, str], Standing] = {}
        self._families: dict[VisitKey, Family] = {}

    def take(self, observation: Observation, name: str, held: Held) -> bool:
        """Take an observation about a patient of a family; return whether it is a new one."""
        told, order = (observation.patient, observation.visit), order_of(observation)
        family = held.read()
        key = family.order_key(told)
        if (key, order) not in self._before:
            self._before[key, order] = self._standing(key, family.ordered.get(key, ()), order)
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
        """Note the orders that are known under other numbers since a merge."""
        for key, before, after in moved:
            for order in {each for told in (*before, *after) for each in family.orders(told)}:
                self._before[key, order] = self._standing(key, before, order)
            self._families[key] = family

    def tell(self, report: Report) -> None:
        """Emit what stands otherwise than before."""
        for (key, order), before in sorted(self._before.items(), key=lambda each: each[0]):
            told = self._families[key].ordered.get(key, ())
            report.observations(before, self._standing(key, told, order))

    def rest(self) -> None:
        """Keep the bytes of the orders alone."""
        for order in self._open.values():
            order.rest()

    def _standing(self, key: VisitKey, told: Sequence[VisitKey], order: str) -> Standing:
        return standing(key, [self._order(each, order)[1].read() for each in told])

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
