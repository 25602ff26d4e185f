"""Closes of sessions from ticks: what the shards hand over becomes events of daily risk."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from operators.logic import Logic
from operators.market.handover import Handover
from operators.merge import Merge
from operators.outputs import Outbox
from state.records import Coordinates
from state.rows import Event, RowBlock

NO_RECORD = -1
"""The sequence of an event that is no record of its topic, and is not counted as one."""


class Closes(Logic):
    """Merges the closes of all partitions by session; hands on one event each, and the time.

    The events are of the topic of the ticks, as if it had one partition; the offset is the time,
    and the sequence `NO_RECORD`.
    Closes are told ``within_ns`` behind their time, where an auction may still have a say.
    """

    def __init__(self, within_ns: int = 0) -> None:
        self._within_ns = within_ns
        self._merge = Merge(())
        self._told_ns = 0

    def process(self, item: Handover, outbox: Outbox) -> Iterable[RowBlock[Event]]:
        """Take a handover; hand on the sessions that are over and how far time has got."""
        for close_ns, symbol, price in item.sessions:
            self._merge.add(close_ns, (symbol, price))
        told = {p: passed_ns - self._within_ns for p, passed_ns in item.passed.items()}
        self._merge.advance(item.topic, item.partitions, told)
        events = self._events(item.topic)
        return (RowBlock[Event](item.topic, 1, events),) if events else ()

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state."""
        return {"merge": self._merge.snapshot(), "told_ns": self._told_ns}

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        self._merge.restore(parts["merge"])
        self._told_ns = parts["told_ns"]

    def _events(self, topic: str) -> list[Event]:
        events = []
        for close_ns, prices in self._merge.complete():
            body = {"type": "closes", "ts_ns": close_ns, "prices": dict(prices)}
            events.append(Event(close_ns, Coordinates(topic, 0, close_ns, NO_RECORD), body))
        reached_ns = self._merge.reached_ns
        if reached_ns > self._told_ns:
            self._told_ns = reached_ns
            # Behind the close itself: what an event tells is a time that may have more of it.
            events.append(
                Event(reached_ns + 1, Coordinates(topic, 0, reached_ns + 1, NO_RECORD), {})
            )
        return events
