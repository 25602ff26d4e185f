"""Closes of sessions from ticks: what the shards hand over becomes events of daily risk."""

from __future__ import annotations

import pickle

from bytewax.operators import StatefulBatchLogic

from operators.market.handover import Handover
from operators.merge import Merge
from state.records import Coordinates
from state.rows import Event, Rows
from state.snapshots import pack, unpack


class ClosesLogic(StatefulBatchLogic[Handover, Rows[Event], bytes]):
    """Merges the closes of all partitions by session; emits them as one event, and the time.

    The events are of the topic of the ticks, as if it had one partition; the offset is the time.
    """

    def __init__(self, settings_hash: str, resume: bytes | None) -> None:
        self._merge = Merge(())
        self._told_ns = 0
        self._hash = settings_hash
        if resume is not None:
            packed = pickle.loads(resume)  # noqa: S301  # our own recovery store
            parts = unpack(packed, settings_hash)
            self._merge.restore(parts["merge"])
            self._told_ns = parts["told_ns"]

    def on_batch(self, values: list[Handover]) -> tuple[list[Rows[Event]], bool]:
        """Take the handovers; emit the sessions that are over and how far time has got."""
        blocks = []
        for handover in values:
            for close_ns, symbol, price in handover.sessions:
                self._merge.add(close_ns, (symbol, price))
            self._merge.advance(handover.topic, handover.partitions, handover.passed)
            events = self._events(handover.topic)
            if events:
                blocks.append(Rows[Event](handover.topic, 1, events))
        return blocks, StatefulBatchLogic.RETAIN

    def snapshot(self) -> bytes:
        """Return the state, versioned."""
        parts = {"merge": self._merge.snapshot(), "told_ns": self._told_ns}
        return pickle.dumps(pack(self._hash, parts), protocol=5)

    def _events(self, topic: str) -> list[Event]:
        events = []
        for close_ns, prices in self._merge.complete():
            body = {"type": "closes", "ts_ns": close_ns, "prices": dict(prices)}
            events.append(Event(close_ns, Coordinates(topic, 0, close_ns), body))
        reached_ns = self._merge.reached_ns
        if reached_ns > self._told_ns:
            self._told_ns = reached_ns
            # Behind the close itself: what an event tells is a time that may have more of it.
            events.append(Event(reached_ns + 1, Coordinates(topic, 0, reached_ns + 1), {}))
        return events
