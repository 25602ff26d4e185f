"""The timeline of each visit: a function of the set of its facts, in whatever order they come.

The seed of patient care (docs/architecture.md): admissions, transfers and cancelled admissions.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Any

import orjson

from operators.logic import Logic
from operators.outputs import Outbox
from operators.pages import Pages
from state.adt.facts import Fact, Told
from state.rows import RowBlock

OUTPUT = "timeline"


class Visit:
    """The facts of one visit, and whether its timeline is in the table."""

    def __init__(self, facts: Iterable[Fact] = (), *, shown: bool = False) -> None:
        self.facts = set(facts)
        self.shown = shown

    def pack(self) -> tuple[list[tuple[Any, ...]], bool]:
        """Return it as plain values."""
        return [tuple(fact) for fact in sorted(self.facts)], self.shown

    @classmethod
    def unpack(cls, plain: tuple[list[tuple[Any, ...]], bool]) -> Visit:
        """Return what `pack` gave."""
        facts, shown = plain
        return cls((Fact(*fact) for fact in facts), shown=shown)


def stays(facts: Iterable[Fact]) -> list[dict[str, Any]]:
    """Return where the patient was: location and the clinical times, ns, of coming and leaving.

    A cancel takes the admissions away that were recorded up to then. Without any admission left,
    nothing that it began is true.
    """
    ordered = sorted(facts)
    cancelled_ns = max((f.recorded_ns for f in ordered if f.trigger == "A11"), default=-1)
    admitted = [f for f in ordered if f.trigger == "A01" and f.recorded_ns > cancelled_ns]
    if not admitted:
        return []
    moves = {f.clinical_ns: f for f in (*admitted, *(f for f in ordered if f.trigger == "A02"))}
    placed = [moves[at] for at in sorted(moves) if at >= admitted[0].clinical_ns]
    ends = [*(fact.clinical_ns for fact in placed[1:]), None]
    return [
        {"location": fact.location, "from_ns": fact.clinical_ns, "to_ns": end}
        for fact, end in zip(placed, ends, strict=True)
    ]


class Timeline(Logic):
    """Emits the timeline of a visit with each new fact; retracts a visit that is cancelled."""

    def __init__(self, pages: int) -> None:
        self.entities: Pages[Visit] = Pages(pages, Visit.pack, Visit.unpack)

    def process(self, item: RowBlock[Told], outbox: Outbox) -> Iterable[Any]:
        """Take the facts of a block. All of one visit come from one partition."""
        for (_, partition, _, _), fact in item.rows:
            visit = self.entities.get(fact.visit) or Visit()
            if fact not in visit.facts:
                visit.facts.add(fact)
                self.entities.put(fact.visit, visit)
                self._tell(partition, fact.visit, visit, outbox)
        return ()

    def describe(self, key: str) -> dict[str, Any]:
        """Return the timeline of a visit."""
        visit = self.entities.get(key)
        return {} if visit is None else {"visit": key, "stays": stays(visit.facts)}

    def snapshot(self) -> dict[str, Any]:
        """Return what is not in pages: nothing."""
        return {}

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""

    def _tell(self, partition: int, name: str, visit: Visit, outbox: Outbox) -> None:
        # Also where the stays are what they were: the last record has to be that of all facts.
        now = stays(visit.facts)
        facts = sorted(visit.facts)
        ts_ns = max(fact.recorded_ns for fact in facts)
        identity = f"{name}|{sha256(orjson.dumps([list(f) for f in facts])).hexdigest()}"
        if now:
            newest = max(facts, key=lambda fact: (fact.recorded_ns, fact))
            record = {
                "id": identity,
                "visit": name,
                "patient": newest.patient,
                "ts_ns": ts_ns,
                "stays": now,
            }
            outbox.emit(OUTPUT, partition, ts_ns, identity, name, record)
        elif visit.shown:
            outbox.retract(OUTPUT, partition, ts_ns, identity, name)
        visit.shown = bool(now)
