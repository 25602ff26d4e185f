"""Several sources as one input of a flow, so that their epochs end at the same moment.

Bytewax counts an epoch's time for each input by itself, from when it was opened, and an input that
has begun an epoch is not polled until all inputs have. Two inputs that were opened 0.3 s apart
therefore stop the first for 0.3 s at the end of every epoch. The partitions of one input are
looked at together, and stay in step for good.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.operators import KeyedStream

Source = FixedPartitionedSource[tuple[str, Any], Any]
NamedItem = tuple[str, tuple[str, Any]]
"""(name of the source, (shard name, what the source emitted))."""


def add_inputs(flow: Dataflow, sources: Mapping[str, Source]) -> dict[str, KeyedStream[Any]]:
    """Add an input of named sources; return the stream of each."""
    items = op.input("inputs", flow, Inputs(sources))
    return {name: op.flat_map(name, items, _only(name)) for name in sources}


def _only(name: str) -> Callable[[NamedItem], list[tuple[str, Any]]]:
    def only(item: NamedItem) -> list[tuple[str, Any]]:
        return [item[1]] if item[0] == name else []

    return only


class Inputs(FixedPartitionedSource[NamedItem, Any]):
    """Emits ``(name, item)`` of every named source; its partitions are all of theirs."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self._sources = sources

    def list_parts(self) -> list[str]:
        """Return the partitions of this process as ``name:partition``."""
        return [
            f"{name}:{part}" for name, each in self._sources.items() for part in each.list_parts()
        ]

    def build_part(self, step_id: str, for_part: str, resume_state: Any) -> InputPart:
        """Return a partition, which is opened when it is first polled."""
        name, _, part = for_part.partition(":")
        source = self._sources[name]
        return InputPart(name, lambda: source.build_part(step_id, part, resume_state))


class InputPart(StatefulSourcePartition[NamedItem, Any]):
    """One partition of a named source.

    It is opened late, for opening takes time, and an epoch counts from when it was built: all are
    built at once, and snapshots are only taken of what has been polled.
    """

    def __init__(
        self, name: str, build: Callable[[], StatefulSourcePartition[tuple[str, Any], Any]]
    ) -> None:
        self._name = name
        self._build = build
        self._part: StatefulSourcePartition[tuple[str, Any], Any] | None = None

    def next_batch(self) -> list[NamedItem]:
        """Return what the partition has."""
        if self._part is None:
            self._part = self._build()
        return [(self._name, item) for item in self._part.next_batch()]

    def next_awake(self) -> datetime | None:
        """Return when the partition wants to be polled again; at once before it is open."""
        return None if self._part is None else self._part.next_awake()

    def snapshot(self) -> Any:
        """Return the partition's own state."""
        assert self._part is not None, "it was polled in this epoch"
        return self._part.snapshot()

    def close(self) -> None:
        """Close the partition if it was opened."""
        if self._part is not None:
            self._part.close()
