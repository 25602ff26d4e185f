"""Which patient and which visit a number stands for, from the set of what merges and moves say.

Source: adt.md, 2.3 and 2.6; what that leaves open is decided as in tests/reference/adt. The newest
statement about a number counts. In a circle of statements the oldest gives way, so the newest is
true whatever came before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, NamedTuple, TypeVar

from state.adt.facts import Alias, Rekey, VisitKey

N = TypeVar("N")


class Edge(NamedTuple, Generic[N]):
    """From now on, and before as well, ``prior`` is ``survivor``."""

    recorded_ns: int
    clinical_ns: int
    digest: str
    prior: N
    survivor: N


class Chains(Generic[N]):
    """The edges in force, and where they lead to."""

    def __init__(self, edges: Iterable[Edge[N]]) -> None:
        self.dropped: list[Edge[N]] = []
        """Edges that newer ones contradict by leading back."""
        self._edges: dict[N, Edge[N]] = {}
        self._ends: dict[N, N] = {}
        newest = {edge.prior: edge for edge in sorted(set(edges))}
        for edge in sorted(newest.values(), reverse=True):
            if self.end(edge.survivor) == edge.prior:
                self.dropped.append(edge)
            else:
                self._edges[edge.prior] = edge
                self._ends[edge.prior] = edge.survivor

    def end(self, node: N) -> N:
        """Return what a node stands for."""
        passed = []
        while node in self._ends:
            passed.append(node)
            node = self._ends[node]
        for each in passed:  # so that a long chain is walked once
            self._ends[each] = node
        return node

    def end_after(self, node: N, recorded_ns: int) -> N:
        """Return what a node stands for by the edges recorded later, up to one that is not."""
        while node in self._edges and self._edges[node].recorded_ns > recorded_ns:
            node = self._edges[node].survivor
        return node


class Identity:
    """The patients and visits of a domain, or of those patients of it who have to do with others.

    Made anew of everything where a statement is added.
    """

    def __init__(self, aliases: Iterable[Alias] = (), rekeys: Iterable[Rekey] = ()) -> None:
        self._patients = Chains(Edge(*alias) for alias in aliases)
        self.circles: list[Edge[str]] = self._patients.dropped
        """Aliases that newer ones contradict by leading back."""
        targets = {rekey: self._target(rekey) for rekey in rekeys}
        self._bound = {target for rekey, target in targets.items() if rekey.moves}
        edges = (
            Edge(*rekey[:3], self._home(*rekey.old), target) for rekey, target in targets.items()
        )
        self._visits = Chains(edge for edge in edges if edge.prior != edge.survivor)

    def survivor(self, patient: str) -> str:
        """Return the number under which a patient is known now."""
        return self._patients.end(patient)

    def key(self, patient: str, visit: str) -> VisitKey:
        """Return the patient and the number under which a visit is known now."""
        return self._visits.end(self._home(patient, visit))

    def _target(self, rekey: Rekey) -> VisitKey:
        """Return where a visit goes."""
        patient, visit = rekey.new
        if rekey.moves and self.survivor(rekey.old[0]) == self.survivor(patient):
            # Within one patient a move takes the visit to a number, which only newer merges change.
            return self._patients.end_after(patient, rekey.recorded_ns), visit
        return self.survivor(patient), visit

    def _home(self, patient: str, visit: str) -> VisitKey:
        """Return the key of a visit before it is renamed or moved."""
        key = patient, visit
        return key if key in self._bound else (self.survivor(patient), visit)
