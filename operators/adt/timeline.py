"""The timeline of each visit: a function of the set of its facts, in whatever order they come.

The seed of patient care (docs/architecture.md): visits by themselves, patients not merged yet.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Any

import orjson

from operators.adt.cancels import by_recording, by_time
from operators.adt.visit import visit
from operators.logic import Logic
from operators.outputs import Outbox
from operators.pages import Pages
from state.adt.facts import Fact, Told
from state.errors import SnapshotRefused
from state.rows import RowBlock

OUTPUT = "timeline"


class Known:
    """The facts of one visit, and whether its timeline is in the table."""

    def __init__(self, facts: Iterable[Fact] = (), *, shown: bool = False) -> None:
        self.facts = set(facts)
        self.shown = shown

    def pack(self) -> tuple[list[tuple[Any, ...]], bool]:
        """Return it as plain values."""
        return [tuple(fact) for fact in sorted(self.facts, key=by_time)], self.shown

    @classmethod
    def unpack(cls, plain: tuple[list[tuple[Any, ...]], bool]) -> Known:
        """Return what `pack` gave."""
        facts, shown = plain
        return cls((_fact(fact) for fact in facts), shown=shown)


def _fact(plain: tuple[Any, ...]) -> Fact:
    """Return a fact of a snapshot; raises SnapshotRefused where another program wrote it.

    The facts of the first seed lack the patient's class and the prior bed, which only their
    messages tell.
    """
    known = len(Fact._fields)
    if len(plain) != known:
        raise SnapshotRefused("form of facts", f"of {len(plain)} values", f"of {known}")
    return Fact(*plain)


def stays(facts: Iterable[Fact]) -> list[dict[str, Any]]:
    """Return where the patient was: the rows of `operators.adt.visit` as records."""
    return [
        {
            "location": row.location,
            "class": row.patient_class,
            "from_ns": row.start_ns,
            "to_ns": row.end_ns,
            "inferred": row.inferred,
        }
        for row in visit(facts).rows
    ]


class Timeline(Logic):
    """Emits the timeline of a visit with each new fact; retracts a visit that is cancelled."""

    def __init__(self, pages: int) -> None:
        self.entities: Pages[Known] = Pages(pages, Known.pack, Known.unpack)

    def process(self, item: RowBlock[Told], outbox: Outbox) -> Iterable[Any]:
        """Take the facts of a block. All of one visit come from one partition."""
        for (_, partition, _, _), fact in item.rows:
            known = self.entities.get(fact.visit) or Known()
            if fact not in known.facts:
                known.facts.add(fact)
                self.entities.put(fact.visit, known)
                self._tell(partition, fact.visit, known, outbox)
        return ()

    def describe(self, key: str) -> dict[str, Any]:
        """Return the timeline of a visit."""
        known = self.entities.get(key)
        return {} if known is None else {"visit": key, "stays": stays(known.facts)}

    def snapshot(self) -> dict[str, Any]:
        """Return what is not in pages: nothing."""
        return {}

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""

    def _tell(self, partition: int, name: str, known: Known, outbox: Outbox) -> None:
        # Also where the stays are what they were: the last record has to be that of all facts.
        now = stays(known.facts)
        facts = sorted(known.facts, key=by_recording)
        ts_ns = facts[-1].recorded_ns
        identity = f"{name}|{sha256(orjson.dumps([list(f) for f in facts])).hexdigest()}"
        if now:
            record = {
                "id": identity,
                "visit": name,
                "patient": facts[-1].patient,
                "ts_ns": ts_ns,
                "stays": now,
            }
            outbox.emit(OUTPUT, partition, ts_ns, identity, name, record)
        elif known.shown:
            outbox.retract(OUTPUT, partition, ts_ns, identity, name)
        known.shown = bool(now)
