"""Who the patients and which the visits are, when all is merged, moved and renamed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tests.reference.adt.rows import Row, anomaly
from tests.reference.adt.terms import (
    DELETES_PERSON,
    Edge,
    Fact,
    Id,
    Node,
    Rekey,
    Said,
    VisitKey,
    age,
)


def settle(edges: Iterable[Edge[Node]]) -> tuple[dict[Node, Edge[Node]], list[Edge[Node]]]:
    """Return the edge of each node that is in force, and those that would have led back."""
    newest = {edge.source: edge for edge in sorted(edges, key=age)}
    kept: dict[Node, Edge[Node]] = {}
    dropped: list[Edge[Node]] = []
    for edge in sorted(newest.values(), key=age, reverse=True):
        if end(edge.target, kept) == edge.source:
            dropped.append(edge)
        else:
            kept[edge.source] = edge
    return kept, dropped


def end(node: Node, edges: dict[Node, Edge[Node]], after: int | None = None) -> Node:
    """Return where the edges lead to; with ``after``, until one that is not recorded later."""
    while node in edges and (after is None or edges[node].r > after):
        node = edges[node].target
    return node


class Keys:
    """Who the patients and which the visits are, when all is merged, moved and renamed."""

    def __init__(self, said: Said) -> None:
        self.said = said
        self.aliases, self.back = settle(said.aliases)
        targets = {rekey: self.target(rekey) for rekey in said.rekeys}
        self.bound = {targets[rekey] for rekey in said.rekeys if rekey.moves}
        edges = [
            Edge(self.home(*rekey.source), target, rekey.r, rekey.t, rekey.h)
            for rekey, target in targets.items()
        ]
        self.rekeys, _ = settle(edge for edge in edges if edge.source != edge.target)

    def survivor(self, patient: Id) -> Id:
        """Return the number under which a patient is kept."""
        return end(patient, self.aliases)

    def target(self, rekey: Rekey) -> VisitKey:
        """Return where a visit goes: see the choice 24 above."""
        (old, _), (new, visit) = rekey.source, rekey.target
        if rekey.moves and self.survivor(old) == self.survivor(new):
            return end(new, self.aliases, after=rekey.r), visit
        return self.survivor(new), visit

    def home(self, patient: Id, visit: Id) -> VisitKey:
        """Return the key of a visit before it was renamed or moved."""
        key = patient, visit
        return key if key in self.bound else (self.survivor(patient), visit)

    def key(self, patient: Id, visit: Id) -> VisitKey:
        """Return the key under which a visit is kept."""
        return end(self.home(patient, visit), self.rekeys)

    def visits(self) -> dict[VisitKey, list[Fact]]:
        """Return the facts of each visit."""
        found: dict[VisitKey, list[Fact]] = {}
        for fact in self.said.facts:
            if fact.visit:
                found.setdefault(self.key(fact.patient, fact.visit), []).append(fact)
        return found

    def deletions(self, key: VisitKey) -> list[Fact]:
        """Return the deletions of the person of a visit."""
        deleted = (fact for fact in self.said.facts if fact.trigger == DELETES_PERSON)
        return [who for who in deleted if key[0] in (who.patient, self.survivor(who.patient))]

    def mothers(self) -> set[tuple[Id, Id]]:
        """Return the pairs of a child and its mother."""
        return {(self.survivor(one), self.survivor(two)) for one, two in self.said.mothers}

    def anomalies(self) -> Iterator[Row]:
        """Yield what is strange in messages, and merges that would lead back."""
        for edge in self.back:
            yield anomaly("merge_cycle", self.survivor(edge.source), start=edge.t)
        for oddity in self.said.oddities:
            patient, visit = oddity.patient, oddity.visit
            if patient and visit:
                patient, visit = self.key(patient, visit)
            elif patient:
                patient = self.survivor(patient)
            yield anomaly(oddity.kind, patient, visit, start=oddity.t, place=oddity.field)
