"""Events: what reaches a flow rarely, one by one, beside its ticks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from state.records import Coordinates, DeadLetter


class Event(NamedTuple):
    """One event: its event time (ns since 1970 UTC), where it came from, and its fields.

    ``body`` holds plain values, checked by the decoder; it has ``type``, or is empty for a
    heartbeat, which only tells the time. ``retried``: it was a dead letter, which may be sent
    again more than once.
    """

    ts_ns: int
    coordinates: Coordinates
    body: dict[str, Any]
    retried: bool = False


@dataclass(slots=True)
class EventBlock:
    """Events of one shard's partitions of a topic, in offset order within each partition.

    ``newest``, ``ranges`` and ``dead`` are as in a TickBlock.
    """

    topic: str
    partitions: int
    events: list[Event]
    dead: list[DeadLetter] = field(default_factory=list)
    ranges: dict[int, tuple[int, int]] = field(default_factory=dict)
    newest: dict[int, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.events)
