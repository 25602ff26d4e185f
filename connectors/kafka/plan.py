"""What a flow reads of a topic, decided before it is opened, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from connectors.kafka.continuity import Traces
from connectors.kafka.reading import Way

VERSION = 2
IDLE_POLL_US, PATIENT_POLL_US = 5_000, 100_000
"""An idle shard is polled on a grid of time (µs), on which all of a process are polled together;
the second is for topics whose records nobody waits for. By Bytewax's millisecond the four shards of
a topic take a seventh of a core while nothing comes, and the topics of history two fifths."""

State = tuple[str, int, str, int, dict[int, int], dict[int, int], Traces]
"""("kafka", VERSION, topic, partition count, {partition: next offset}, {partition: newest ns},
traces of the last records). Version 1 has no traces."""


class Block(Protocol):
    """What a decoder makes of Messages: any columnar block that says what it covers."""

    ranges: dict[int, tuple[int, int]]
    newest: dict[int, int]
    """The newest event time (ns) of each partition in it, heartbeats included."""
    least: dict[int, int]
    """The smallest of the last event times of each; where it is absent, it is the newest."""

    def __len__(self) -> int: ...


BlockT = TypeVar("BlockT", bound=Block)


@dataclass(frozen=True, slots=True)
class ReadingPlan:
    """What a flow reads. ``start`` has an offset for every partition of the topic.

    ``shards`` names all shards of the flow in order, ``local`` those of this process.
    ``batch`` is the most messages of one block. ``group`` belongs to this flow and
    generation alone. ``way`` is how messages are taken (reading.py).
    """

    topic: str
    group: str
    shards: Sequence[str]
    local: Sequence[str]
    start: Mapping[int, int]
    batch: int
    way: Way = "auto"
    idle_poll_us: int = IDLE_POLL_US
    """How often an idle shard is polled; divides a second."""
    identity: str = ""
    """Of the topic at the flow's start; '' where a former release did not note it."""

    def owned(self, shard: str) -> list[int]:
        """Return the partitions of one shard."""
        index, count = self.shards.index(shard), len(self.shards)
        return [p for p in sorted(self.start) if p % count == index]
