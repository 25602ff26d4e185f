"""Which patient number stands for which, from the set of what merges say.

Source: adt.md, 2.6. The newest statement about a number counts. In a circle of statements the
oldest gives way, so the newest is true whatever came before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Edge(NamedTuple):
    """A merge says that ``prior`` is ``survivor`` from now on and was so before."""

    recorded_ns: int
    clinical_ns: int
    digest: str
    prior: str
    survivor: str


class Aliases:
    """The numbers of one domain; made anew of all edges where one is added."""

    def __init__(self, edges: Iterable[Edge]) -> None:
        self.into_itself: list[Edge] = []
        self.dropped: list[Edge] = []
        """Edges that newer ones contradict by leading back."""
        self._into: dict[str, str] = {}
        newest: dict[str, Edge] = {}
        for edge in sorted(set(edges)):
            if edge.prior == edge.survivor:
                self.into_itself.append(edge)
            else:
                newest[edge.prior] = edge
        for edge in sorted(newest.values(), reverse=True):
            if self.survivor(edge.survivor) == edge.prior:
                self.dropped.append(edge)
            else:
                self._into[edge.prior] = edge.survivor

    def survivor(self, number: str) -> str:
        """Return the number under which the patient of a number is known now."""
        passed = []
        while number in self._into:
            passed.append(number)
            number = self._into[number]
        for each in passed:  # so that a long chain is walked once
            self._into[each] = number
        return number
