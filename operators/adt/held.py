"""How families are kept in pages: as bytes, but for those that changed since the last snapshot."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

from operators.adt.beds import Span
from operators.adt.census import Presence
from operators.adt.family import Family
from operators.adt.orders import Order
from operators.adt.shown import Summary
from operators.pages import Pages
from state.adt.facts import BedStatus
from state.errors import SnapshotRefused
from state.snapshots import Plain

FORM = 3
"""Of what is kept. Form 1 was one visit with its facts, form 2 knew no orders."""
SEPARATOR = "\x1f"
"""Between the parts of a name: the domain, what it is, and whose."""
KINDS = ("family", "joined", "order", "bed", "clock", "ward")


Packed = tuple[bytes, bytes, int | None]
"""The summary of a family, the family, and of when the first is that may be forgotten of it."""


class Held:
    """A family, as bytes while nobody asks for it."""

    __slots__ = ("_family", "_packed", "is_recent")

    def __init__(self, family: Family | None = None, packed: Packed | None = None):
        """Either of the two; ``packed`` is what `pack` gave, without its form."""
        self._family, self._packed = family, packed
        self.is_recent = False
        """Whether the family stays open (`operators.adt.recent`)."""

    @property
    def size(self) -> int:
        """The number of statements; 0 where the family is not open."""
        return 0 if self._family is None else self._family.size

    def read(self) -> Family:
        """Return the family; nobody may change it."""
        if self._family is None:
            assert self._packed is not None, "it is the one or the other"
            self._family = Family.unpack(self._packed[1])
        return self._family

    def open(self) -> Family:
        """Return the family, to be changed."""
        family = self.read()
        self._packed = None
        return family

    def summary(self) -> Summary:
        """Return what others have to know of it."""
        if self._packed is None:
            return self.read().summary()
        beds, wards, visits, mothers = pickle.loads(self._packed[0])  # noqa: S301  # our own recovery store
        return Summary(
            {key: {at: tuple(Span(*each) for each in when) for at, when in of_key.items()}
             for key, of_key in beds},
            {key: tuple(Presence(*each) for each in where) for key, where in wards},
            visits,
            {child: frozenset(of) for child, of in mothers},
        )  # fmt: skip

    def over_ns(self) -> int | None:
        """Return when the first of what may be forgotten was told of last (`Family.over_ns`)."""
        return self.read().over_ns() if self._packed is None else self._packed[2]

    def rest(self) -> None:
        """Keep the bytes alone, where the family has not been changed and is not a recent one."""
        if self._packed is not None and not self.is_recent:
            self._family = None

    def pack(self) -> tuple[str, int, bytes, bytes, int | None]:
        """Return it as bytes, which is all that is kept."""
        if self._packed is None:
            family = self.read()
            self._packed = _plain(family.summary()), family.pack(), family.over_ns()
        self.rest()
        return "family", FORM, *self._packed


class Joined(str):
    """Stands in the place of a family that is a part of the one of this name."""

    __slots__ = ()


class Clock(int):
    """The number of the window of the census that is not over yet, of a domain."""

    __slots__ = ()


class Versions(dict[int, int]):
    """How often each window of a ward was told, of those told more than once."""

    __slots__ = ()


Entity = Held | Joined | Order | BedStatus | Clock | Versions


class Entities(Pages[Entity]):
    """The families of a shard, their orders, and the statuses of its beds.

    ``loaded`` hears of each that comes back from a snapshot.
    """

    def __init__(self, count: int, loaded: Callable[[str, Entity], None]) -> None:
        super().__init__(count, _pack, _unpack)
        self._loaded = loaded

    def load(self, page: int, content: dict[str, Plain]) -> None:
        """Take over what `dump` gave of a page."""
        super().load(page, content)
        for name in content:
            entity = self.get(name)
            assert entity is not None, "it was loaded just now"
            self._loaded(name, entity)


def _pack(entity: Entity) -> Plain:
    if isinstance(entity, Held):
        return entity.pack()
    if isinstance(entity, Joined):
        return "joined", FORM, str(entity)
    if isinstance(entity, Order):
        return "order", FORM, entity.pack()
    if isinstance(entity, Clock):
        return "clock", FORM, int(entity)
    if isinstance(entity, Versions):
        return "ward", FORM, dict(entity)
    return "bed", FORM, tuple(entity)


def _unpack(plain: Plain) -> Entity:
    """Return what `_pack` gave; raises SnapshotRefused where another program wrote it."""
    if len(plain) < 3 or plain[0] not in KINDS or plain[1] != FORM:
        raise SnapshotRefused("form of patients", "another one", str(FORM))
    kind, _, *rest = plain
    if kind == "family":
        return Held(packed=(rest[0], rest[1], rest[2]))
    if kind == "bed":
        return BedStatus(*rest[0])
    made: Callable[[Any], Entity] = {
        "joined": Joined, "order": Order, "clock": Clock, "ward": Versions
    }[kind]  # fmt: skip
    return made(rest[0])


def _plain(summary: Summary) -> bytes:
    beds = [
        (key, {at: [tuple(each) for each in when] for at, when in sorted(of_key.items())})
        for key, of_key in sorted(summary.beds.items())
    ]
    wards = [(key, [tuple(each) for each in of]) for key, of in sorted(summary.wards.items())]
    mothers = [(child, sorted(of)) for child, of in sorted(summary.mothers.items())]
    return pickle.dumps((beds, wards, sorted(summary.visits), mothers), protocol=5)
