"""State of many entities in pages: an epoch writes only the pages that were touched.

An entity belongs to page hash(id) mod count for good, so pages cut snapshots, not logic: a
logic sees all entities of its shard, and one that joins two of them touches two pages. Cold
entities cost memory, and nothing else. Nothing here knows how pages are stored; the engine asks
for those that were touched (flows/engine/step.py).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Generic, Protocol, TypeVar, runtime_checkable
from zlib import crc32

from state.snapshots import Plain

E = TypeVar("E")


class Pages(Generic[E]):
    """The entities of one shard by id.

    An entity is any object that ``pack`` turns into plain values (a copy) and ``unpack`` back.
    Whoever changes one in place says so with `touch`.
    """

    def __init__(
        self, count: int, pack: Callable[[E], Plain], unpack: Callable[[Plain], E]
    ) -> None:
        """``count`` pages, the same for as long as snapshots of them are kept."""
        self.count = count
        self._pack = pack
        self._unpack = unpack
        self._pages: dict[int, dict[str, E]] = {}
        self._touched: set[int] = set()

    def __len__(self) -> int:
        return sum(map(len, self._pages.values()))

    def __iter__(self) -> Iterator[str]:
        """Yield the ids by page, then by id: an order that no arrival changes."""
        for page in sorted(self._pages):
            yield from sorted(self._pages[page])

    def page_of(self, identity: str) -> int:
        """Return the page to which an entity belongs, whether it exists or not."""
        return crc32(identity.encode()) % self.count

    def get(self, identity: str) -> E | None:
        """Return an entity, None where there is none."""
        return self._pages.get(self.page_of(identity), {}).get(identity)

    def put(self, identity: str, entity: E) -> None:
        """Add or replace an entity."""
        page = self.page_of(identity)
        self._pages.setdefault(page, {})[identity] = entity
        self._touched.add(page)

    def touch(self, identity: str) -> None:
        """Note that an entity was changed in place."""
        self._touched.add(self.page_of(identity))

    def drop(self, identity: str) -> None:
        """Forget an entity."""
        page = self.page_of(identity)
        if self._pages.get(page, {}).pop(identity, None) is not None:
            self._touched.add(page)
            if not self._pages[page]:
                del self._pages[page]

    def take_touched(self) -> list[int]:
        """Return the pages that were touched since the last call, in order."""
        touched = sorted(self._touched)
        self._touched.clear()
        return touched

    def filled(self) -> Collection[int]:
        """Return the pages that hold an entity."""
        return self._pages.keys()

    def within(self, page: int) -> dict[str, E]:
        """Return the entities of a page by id: a copy, so that they may be dropped meanwhile."""
        return dict(self._pages.get(page, {}))

    def dump(self, page: int) -> dict[str, Plain]:
        """Return a page as plain values, copied; {} for an empty one."""
        entities = self._pages.get(page, {})
        return {identity: self._pack(entities[identity]) for identity in sorted(entities)}

    def load(self, page: int, content: dict[str, Plain]) -> None:
        """Take over what `dump` gave of a page."""
        self._pages[page] = {name: self._unpack(entity) for name, entity in content.items()}


@runtime_checkable
class Paged(Protocol):
    """A logic whose entities are in pages; its own snapshot holds everything else."""

    entities: Pages[object]
