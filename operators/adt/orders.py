"""The observations of an order, as bytes while nobody asks for them.

An order is the least that has to be read for a result: what corrects a result has its order. It is
kept by the numbers that its messages had, so that a merge moves nothing.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from operators.adt.observed import Name, Observed, is_gone, name_of, observed
from state.adt.facts import VisitKey
from state.adt.observations import Observation
from state.clock import DAY_NS
from state.records import Coordinates

Observations = Mapping[Observation, Coordinates]


def order_of(observation: Observation) -> str:
    """Return the name of the order that an observation belongs to.

    Without a number of the order each observation is one of its own: those of one code and day are
    kept together, for a monitor sends thousands.
    """
    if observation.filler:
        return observation.filler
    day = observation.clinical_ns // DAY_NS
    name = name_of(observation)
    return "|".join(("", name.system, name.code, name.sub_id, str(day)))


class Order:
    """The observations of one order, each with the coordinates of the message that told it."""

    __slots__ = ("_by_time", "_packed", "_told", "is_recent")

    def __init__(self, packed: bytes | None = None) -> None:
        """Empty, or what `pack` gave."""
        self.is_recent = False
        """Whether it stays open (`operators.adt.recent`)."""
        self._told: dict[Observation, Coordinates] | None = {} if packed is None else None
        self._packed = packed
        self._by_time: dict[int, dict[Observation, Coordinates]] | None = None
        """The same as what was told, where one time of it was asked for."""

    @property
    def size(self) -> int:
        """The number of observations; 0 where they are not open."""
        return 0 if self._told is None else len(self._told)

    def read(self) -> Observations:
        """Return the observations; nobody may change them."""
        if self._told is None:
            assert self._packed is not None, "it is the one or the other"
            self._told = {
                Observation(*said): Coordinates(*where)
                for said, where in pickle.loads(self._packed)  # noqa: S301  # our own recovery store
            }
        return self._told

    def at(self, time_ns: int | None) -> Observations:
        """Return the observations of one time; all for None.

        What a monitor tells of one time says nothing of another, and of a day there are hundreds.
        """
        told = self.read()
        if time_ns is None:
            return told
        if self._by_time is None:
            self._by_time = {}
            for each, where in told.items():
                self._by_time.setdefault(each.clinical_ns, {})[each] = where
        return self._by_time.get(time_ns, {})

    def add(self, observation: Observation, where: Coordinates) -> bool:
        """Take an observation; return whether it is a new one."""
        if observation in self.read():
            return False
        assert self._told is not None, "it was read just now"
        self._told[observation] = where
        if self._by_time is not None:
            self._by_time.setdefault(observation.clinical_ns, {})[observation] = where
        self._packed = None
        return True

    def rest(self) -> None:
        """Keep the bytes alone, where it has not been changed and is not a recent one."""
        if self._packed is not None and not self.is_recent:
            self._told = self._by_time = None

    def pack(self) -> bytes:
        """Return it as bytes, which is all that is kept."""
        if self._packed is None:
            told = sorted((tuple(each), tuple(where)) for each, where in self.read().items())
            self._packed = pickle.dumps(told, protocol=5)
        self.rest()
        return self._packed


class Standing(NamedTuple):
    """The observations of an order that stand, and the messages that told each name."""

    rows: dict[Observed, None]
    causes: dict[Name, list[Coordinates]]


class Deletion(NamedTuple):
    """When the last deletion of a person was recorded, and where it was told."""

    recorded_ns: int
    where: Coordinates


def standing(key: VisitKey, orders: Iterable[Observations], deletion: Deletion | None) -> Standing:
    """Return what stands of an order of a visit, of which messages told under several numbers.

    ``deletion`` is that of the patient.
    """
    deleted_ns = None if deletion is None else deletion.recorded_ns
    told = {each: where for order in orders for each, where in order.items()}
    causes: dict[Name, list[Coordinates]] = {}
    for each, where in told.items():
        of_name = causes.setdefault(name_of(each), [])
        of_name.append(where)
        if deletion is not None and is_gone(each, deleted_ns):
            of_name.append(deletion.where)
    return Standing(dict.fromkeys(observed(key, told, deleted_ns)), causes)
