"""Signals of pairs, whose symbols may lie in different partitions: merged by event time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from operators.market.handover import Handover
from operators.market.signals.pairs import Pairs
from operators.merge import Merge
from operators.outputs import Emission


class PairSignals:
    """Steps each pair at the times at which bars of both of its symbols end; emits ``features``.

    Where one symbol had no trade in a bar there is no step: a price of before would be taken for
    one of now.
    """

    def __init__(self, pairs: Mapping[str, tuple[str, str]], filters: Mapping[str, Pairs]) -> None:
        """``pairs``: the two symbols by name; ``filters``: their filters, by the same names."""
        self._pairs = dict(sorted(pairs.items()))
        self._filters = dict(filters)
        self._symbols = frozenset(symbol for both in pairs.values() for symbol in both)
        self._merge = Merge(())

    def accept(self, handover: Handover) -> list[Emission]:
        """Take what a shard hands over; return the records of the times that are now complete."""
        if not self._pairs:
            return []
        for close in handover.closes:
            if close.symbol in self._symbols:
                self._merge.add(close.end_ns, (close.symbol, close.price))
        self._merge.advance(handover.topic, handover.partitions, handover.passed)
        return [
            record
            for end_ns, closes in self._merge.complete()
            for record in self._step(end_ns, dict(closes))
        ]

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state."""
        filters = {name: pair.snapshot() for name, pair in self._filters.items()}
        return {"merge": self._merge.snapshot(), "filters": filters}

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        self._merge.restore(parts["merge"])
        for name, pair in self._filters.items():
            pair.restore(parts["filters"][name])

    def _step(self, end_ns: int, prices: dict[str, float]) -> Iterator[Emission]:
        for name, (first, second) in self._pairs.items():
            if first not in prices or second not in prices:
                continue
            record = self._filters[name].step(end_ns, prices[first], prices[second])
            if record is not None:
                yield "features", end_ns, record["id"], f"{name}|{Pairs.kind}", record
