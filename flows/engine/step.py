"""The one Bytewax step around a logic: counters, sealing, snapshots, pages and metrics.

A snapshot is one pickle of plain values under the settings' hash. Where a logic keeps its
entities in pages (operators/pages.py) there is a second step behind it with one key for each page,
whose only work is to be awake in the epochs in which its page was touched: Bytewax writes one row
for each key that woke in an epoch. A page is encoded when the epoch ends, from the entities
themselves. That is sound because an epoch drains the whole flow: no record of the next one is
read before every step has written its snapshot of this one (docs/architecture.md).

At a restart the pages come back through the second step, in any order beside the first records of
the source. The first step therefore keeps what comes until all its pages are there.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import bytewax.operators as op
from bytewax.operators import KeyedStream, StatefulBatchLogic

from operators.logic import Logic
from operators.outputs import Outputs
from operators.pages import Paged, Pages
from state.clock import NS, now_ns
from state.metrics import SNAPSHOT_BYTES
from state.outputs import Output
from state.records import DeadLetter, OutputBatch
from state.shards import page_name
from state.snapshots import checked, pack, unchecked, unpack

if TYPE_CHECKING:
    from state.sealing import Seal


MEASURE_NS = NS
"""How often a logic sets the metrics that depend on the wall clock."""
SNAPSHOT = "snapshot"
"""What snapshots are sealed for."""
_AGAIN = timedelta(milliseconds=1)
"""How soon a step that waits for its pages looks again."""


@dataclass(frozen=True)
class Step:
    """How a logic is run.

    ``make`` returns the logic without state. ``settings_hash`` is stored with each snapshot and
    compared. ``outputs`` are the declared outputs that it emits. ``seal`` seals those of them that
    are secret, and every snapshot; None where nothing is. ``ends``: the input has an end, as a
    recording has, and the logic may emit what is left.
    """

    make: Callable[[], Logic]
    settings_hash: str
    outputs: tuple[Output, ...] = ()
    seal: Seal | None = None
    ends: bool = False


@dataclass(frozen=True)
class Stepped:
    """The streams behind a step: records, dead letters, and what it hands to later steps."""

    records: KeyedStream[OutputBatch]
    dead: KeyedStream[DeadLetter]
    handed: KeyedStream[Any]


def add_step(name: str, items: KeyedStream[Any], step: Step) -> Stepped:
    """Add a logic to a flow under a step's ``name``, which keys its snapshots for good."""
    shelves: dict[str, _Shelf] = {}

    def running(resume: bytes | None) -> Running:
        return Running(name, step, shelves, resume)

    named = op.map(f"{name}_named", items, _with_name)
    worked = op.stateful_batch(name, named, running)
    if isinstance(step.make(), Paged):

        def page(resume: bytes | None) -> Page:
            return Page(name, step, shelves, resume)

        op.stateful_batch(f"{name}_pages", op.flat_map(f"{name}_touched", worked, _touched), page)
    return Stepped(
        op.flat_map(f"{name}_records", worked, _only(OutputBatch)),
        op.flat_map(f"{name}_dead", worked, _only(DeadLetter)),
        op.flat_map(f"{name}_handed", worked, _handed),
    )


def open_snapshot(data: bytes, step: Step) -> dict[str, Any]:
    """Return the parts of a snapshot of a step.

    Raises SnapshotRefused, and ValueError where it is damaged.
    """
    raw = unchecked(data)
    if step.seal is not None:
        raw = step.seal.open(raw, SNAPSHOT)
    return unpack(pickle.loads(raw), step.settings_hash)  # noqa: S301  # our own recovery store


def restored(step: Step, data: bytes, pages: Iterable[dict[str, Any]]) -> Logic:
    """Return the logic of a snapshot, with those of its pages, for people to ask it."""
    parts = open_snapshot(data, step)
    logic = step.make()
    logic.restore(parts["logic"])
    if isinstance(logic, Paged):
        for page in pages:
            if page["page"] in parts["pages"]:
                logic.entities.load(page["page"], page["entities"])
    return logic


@dataclass(slots=True)
class _Shelf:
    """The pages of one shard, shared by its two steps, which are on one worker."""

    entities: Pages[Any] | None = None
    loaded: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Pages of a snapshot that the logic has not taken over yet."""


@dataclass(frozen=True, slots=True)
class Touched:
    """A page was touched in this epoch."""

    shard: str
    page: int


class Running(StatefulBatchLogic[tuple[str, Any], Any, bytes]):
    """A logic as Bytewax runs it, under the key of one shard."""

    def __init__(
        self, name: str, step: Step, shelves: dict[str, _Shelf], resume: bytes | None
    ) -> None:
        self._name = name
        self._step = step
        self._shelves = shelves
        self._logic = step.make()
        # Asked once: to compare with a protocol costs a hundredth of what a block of ticks does.
        self._entities = self._logic.entities if isinstance(self._logic, Paged) else None
        self._outputs = Outputs(step.outputs, step.seal)
        self._shard = ""
        self._measured_ns = 0
        self._announced: set[int] = set()
        self._missing: set[int] = set()
        """Pages that the snapshot names and that have not come yet."""
        self._waiting: list[Any] = []
        """Items that came before them."""
        if resume is not None:
            self._restore(open_snapshot(resume, step))

    def on_batch(self, values: list[tuple[str, Any]]) -> tuple[list[Any], bool]:
        """Work on the items in order, once all pages are there."""
        self._open(values[0][0])
        self._waiting.extend(item for _, item in values)
        return self._work(), StatefulBatchLogic.RETAIN

    def on_notify(self) -> tuple[list[Any], bool]:
        """Look again whether the pages are there."""
        return self._work(), StatefulBatchLogic.RETAIN

    def notify_at(self) -> datetime | None:
        """Return when to look again, None where nothing waits."""
        return datetime.now(UTC) + _AGAIN if self._waiting else None

    def on_eof(self) -> tuple[list[Any], bool]:
        """Emit what is left at the end of a recording."""
        items: list[Any] = []
        if self._step.ends:
            items.extend(self._logic.finish(self._outputs))
        return [*self._outputs.take(), *items], StatefulBatchLogic.RETAIN

    def snapshot(self) -> bytes:
        """Return the state but for its pages."""
        self._announced.clear()
        parts: dict[str, Any] = {
            "logic": self._logic.snapshot(),
            "counters": dict(self._outputs.counters),
        }
        if self._entities is not None:
            # An epoch may end when some pages have come and others have not.
            pages = self._missing | set(self._entities.filled())
            parts |= {"shard": self._shard, "pages": sorted(pages), "waiting": list(self._waiting)}
        return _encode(self._name, self._step, parts)

    def _restore(self, parts: dict[str, Any]) -> None:
        self._logic.restore(parts["logic"])
        self._outputs.counters = dict(parts["counters"])
        if self._entities is not None:
            self._missing = set(parts["pages"])
            self._waiting = list(parts["waiting"])
            self._open(parts["shard"])

    def _open(self, shard: str) -> None:
        if self._shard:
            return
        self._shard = shard
        if self._entities is not None:
            self._shelves.setdefault(shard, _Shelf()).entities = self._entities

    def _work(self) -> list[Any]:
        if self._missing and not self._take_pages():
            return []
        items, self._waiting = self._waiting, []
        handed: list[Any] = []
        for item in items:
            handed.extend(self._logic.process(item, self._outputs))
        now = now_ns()
        if now >= self._measured_ns + MEASURE_NS:
            self._measured_ns = now
            self._logic.measure(now)
        return [*self._outputs.take(), *handed, *self._announce()]

    def _take_pages(self) -> bool:
        """Take over the pages that have come; return whether none is missing any more."""
        assert self._entities is not None
        loaded = self._shelves[self._shard].loaded
        for page in sorted(self._missing & loaded.keys()):
            self._entities.load(page, loaded.pop(page))
            self._missing.discard(page)
        return not self._missing

    def _announce(self) -> Iterable[Touched]:
        """Wake the pages that were touched, each once an epoch."""
        if self._entities is None:
            return ()
        new = [p for p in self._entities.take_touched() if p not in self._announced]
        self._announced.update(new)
        return [Touched(self._shard, page) for page in new]


class Page(StatefulBatchLogic[Touched, Any, bytes]):
    """One page of a shard's entities: its snapshot is what the logic holds of it."""

    def __init__(
        self, name: str, step: Step, shelves: dict[str, _Shelf], resume: bytes | None
    ) -> None:
        self._name = f"{name}_pages"
        self._step = step
        self._shelves = shelves
        self._shard, self._page = "", 0
        if resume is not None:
            parts = open_snapshot(resume, step)
            self._shard, self._page = parts["shard"], parts["page"]
            shelf = shelves.setdefault(self._shard, _Shelf())
            shelf.loaded[self._page] = parts["entities"]

    def on_batch(self, values: list[Touched]) -> tuple[list[Any], bool]:
        """Note which page this is; one without entities leaves the store."""
        self._shard, self._page = values[0].shard, values[0].page
        return [], StatefulBatchLogic.RETAIN

    def snapshot(self) -> bytes:
        """Return the page as it is at the end of the epoch.

        At the end of its input Bytewax asks all pages, those too that the logic has not taken over
        since the start, for nothing came: they are as they were.
        """
        shelf = self._shelves[self._shard]
        assert shelf.entities is not None, "the logic is open once there is one of its pages"
        # What was taken over is no longer on the shelf.
        content = shelf.entities.dump(self._page) or shelf.loaded.get(self._page, {})
        parts = {"shard": self._shard, "page": self._page, "entities": content}
        return _encode(self._name, self._step, parts)


def _encode(name: str, step: Step, parts: dict[str, Any]) -> bytes:
    data = pickle.dumps(pack(step.settings_hash, parts), protocol=5)
    if step.seal is not None:
        data = step.seal.close(data, SNAPSHOT)
    data = checked(data)
    SNAPSHOT_BYTES.labels(name).observe(len(data))
    return data


def _with_name(item: tuple[str, Any]) -> tuple[str, tuple[str, Any]]:
    return item[0], item


def _touched(item: tuple[str, Any]) -> list[tuple[str, Touched]]:
    name, found = item
    return [(page_name(name, found.page), found)] if isinstance(found, Touched) else []


def _only(kind: type) -> Callable[[tuple[str, Any]], list[tuple[str, Any]]]:
    def only(item: tuple[str, Any]) -> list[tuple[str, Any]]:
        return [item] if isinstance(item[1], kind) else []

    return only


def _handed(item: tuple[str, Any]) -> list[tuple[str, Any]]:
    return [] if isinstance(item[1], OutputBatch | DeadLetter | Touched) else [item]
