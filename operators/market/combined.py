"""What combines the partitions of the ticks: portfolios and pairs, under one key."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from operators.logic import Logic
from operators.market.handover import Handover
from operators.market.pair_signals import PairSignals
from operators.market.portfolio import Portfolios
from operators.outputs import Outbox
from state.errors import SplitSymbol
from state.metrics import MODEL_VALID

ORIGIN = "merge"
"""The origin of outputs that combine partitions."""


class Combined(Logic):
    """Portfolios and pairs fed by the shards' handovers, in whatever order these come.

    A symbol in two partitions would have two states and two records of one identity, so it stops
    the flow.
    """

    def __init__(self, portfolios: Portfolios, pairs: PairSignals) -> None:
        self._portfolios = portfolios
        self._pairs = pairs
        self._homes: dict[str, int] = {}
        """The partition of each symbol that ever came: forgetting one would make the order in which
        shards tell theirs decide whether the flow goes on."""

    def process(self, item: Handover, outbox: Outbox) -> Iterable[Any]:
        """Take a handover; emit what has become complete."""
        # Several partitions are behind these records: no one message began their latency.
        outbox.timestamp_ns = 0
        for symbol, partition in item.homes:
            home = self._homes.setdefault(symbol, partition)
            if home != partition:
                raise SplitSymbol(item.topic, symbol, *sorted((home, partition)))
        for record in (*self._portfolios.accept(item), *self._pairs.accept(item)):
            output, time_ns, identity, key, fields = record
            outbox.emit(output, ORIGIN, time_ns, identity, key, fields)
            if output == "risk":
                MODEL_VALID.labels(fields["scope"]).set(fields["valid"])
        return ()

    def describe(self, key: str) -> dict[str, Any]:
        """Return what is known of a portfolio of the settings, by its name."""
        return self._portfolios.describe(key)

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state."""
        return {
            "portfolios": self._portfolios.snapshot(),
            "pairs": self._pairs.snapshot(),
            "homes": dict(self._homes),
        }

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        self._portfolios.restore(parts["portfolios"])
        self._pairs.restore(parts["pairs"])
        self._homes = dict(parts.get("homes", {}))  # at first nobody asked
