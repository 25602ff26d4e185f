"""Rows of a topic whose messages are read one by one: events, sequenced messages, requests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from state.records import Coordinates, DeadLetter, Messages


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


Row = TypeVar("Row")


@dataclass(slots=True)
class RowBlock(Generic[Row]):
    """Rows of one shard's partitions of a topic, in offset order within each partition.

    ``dead`` are the messages that could not be decoded. ``ranges``: see Messages. ``newest``:
    the largest event time of each partition's rows, by which a source paces its partitions; it
    stays empty where nothing is merged by event time. ``least`` is empty: see TickBlock.
    """

    topic: str
    partitions: int
    rows: list[Row] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    ranges: dict[int, tuple[int, int]] = field(default_factory=dict)
    newest: dict[int, int] = field(default_factory=dict)
    least: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, messages: Messages) -> RowBlock[Row]:
        """Return the empty block of a batch of messages, whose rows are to be added."""
        return cls(messages.topic, messages.partitions, ranges=dict(messages.ranges))

    def __len__(self) -> int:
        return len(self.rows)
