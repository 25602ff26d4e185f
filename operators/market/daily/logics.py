"""Daily risk as two logics: the merge of events by time, and the engine behind it.

The merge is awake in every epoch and its state is small; the engine's is large, and it wakes
only when a time is complete, so that its snapshot is written as rarely.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from operators.logic import Logic
from operators.market.combined import ORIGIN
from operators.market.daily.engine import Compute, Daily
from operators.market.daily.past import count_kept
from operators.market.daily.requests import Answer
from operators.merge import Item, Merge
from operators.outputs import Emission, Outbox
from state.metrics import DAILY_WAITING, DUPLICATES, LATE, MODEL_VALID, UNANSWERED
from state.records import Coordinates
from state.rows import Event, RowBlock

Moment = tuple[int, list[Item]]
"""A complete time (ns) and what happened at it."""

DAILY_ORIGIN = f"{ORIGIN}-daily"
"""The origin of the engine's outputs: it counts by itself, as the merge of bars does."""
RETRIED = 10_000
"""How many dead letters that were sent again are known, so that one sent twice counts once."""

_EVENT, _CLOSE = 0, 1
"""The order of items at one time; which of them counts first, the engine says."""


class EventMerge(Logic):
    """Events, in whatever order they come, out in the order of time."""

    def __init__(self, topics: Sequence[str]) -> None:
        self._merge = Merge(topics)
        self._retried: dict[Coordinates, None] = {}
        """In the order in which they came, so that the oldest is forgotten first."""

    def process(self, item: RowBlock[Event], outbox: Outbox) -> Iterable[Moment]:
        """Take a block; hand on the times that are complete."""
        for event in item.rows:
            if event.retried and not self._first_retry(event.coordinates):
                DUPLICATES.labels(event.coordinates.topic).inc()
                continue
            topic, partition, offset, sequence = event.coordinates
            # What comes behind something later is looked at then: its partition has told that time.
            before_ns = self._merge.passed(topic, partition)
            time_ns = max(event.ts_ns, before_ns + 1)
            if event.body:
                rank = _CLOSE if event.body["type"] == "closes" else _EVENT
                self._merge.add(time_ns, (rank, topic, partition, offset, sequence, event.body))
            # More of the same time may follow.
            self._merge.advance(topic, item.partitions, {partition: time_ns - 1})
        return list(self._merge.complete())

    def finish(self, outbox: Outbox) -> Iterable[Moment]:
        """Count what waits for topics that have ended before its time: it is in the state."""
        for item in self._merge.pending():
            count_kept(item)
        return ()

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state."""
        return {"merge": self._merge.snapshot(), "retried": [tuple(at) for at in self._retried]}

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        self._merge.restore(parts["merge"])
        self._retried = dict.fromkeys(Coordinates(*at) for at in parts["retried"])

    def _first_retry(self, at: Coordinates) -> bool:
        """Return whether a dead letter was not sent again before; note that it was."""
        if at in self._retried:
            return False
        self._retried[at] = None
        if len(self._retried) > RETRIED:
            del self._retried[next(iter(self._retried))]
        return True


class DailyRisk(Logic):
    """The engine fed with complete times and answers."""

    def __init__(self, engine: Daily, compute: Compute) -> None:
        """``compute`` answers, at the end of a recording, the requests that it has no answer to."""
        self._engine = engine
        self._compute = compute

    def process(self, item: Moment | Answer, outbox: Outbox) -> Iterable[Any]:
        """Work on what can be worked on."""
        engine = self._engine
        _put(engine.answer(item) if isinstance(item, dict) else engine.accept(*item), outbox)
        UNANSWERED.set(engine.unanswered)
        DAILY_WAITING.set(engine.waiting)
        return ()

    def finish(self, outbox: Outbox) -> Iterable[Any]:
        """Compute what was asked for and is not in the recording."""
        _put(self._engine.finish(self._compute), outbox)
        return ()

    def describe(self, key: str) -> dict[str, Any]:
        """Return what a portfolio holds, by its name."""
        return self._engine.describe(key)

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state."""
        return self._engine.snapshot()

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        self._engine.restore(parts)


def _put(records: list[Emission], outbox: Outbox) -> None:
    for output, time_ns, identity, key, record in records:
        outbox.emit(output, DAILY_ORIGIN, time_ns, identity, key, record)
        if output == "late":
            LATE.labels(record["topic"]).inc()
        if output == "risk":
            MODEL_VALID.labels(record["scope"]).set(record["valid"])
