"""Daily risk as Bytewax steps: the merge of events by time, and the engine behind it.

The merge is awake in every epoch and its state is small; the engine's is large, and it wakes
only when a time is complete, so that its snapshot is written as rarely.
"""

from __future__ import annotations

import pickle
from functools import partial
from typing import Any

import bytewax.operators as op
from bytewax.operators import KeyedStream, StatefulBatchLogic

from connectors.market.events import AnswerDecoder, EventDecoder
from flows.closes import ClosesLogic
from flows.inputs import Source
from flows.portfolio import ORIGIN
from flows.runner import Context
from flows.settings import MODELS, Market, decision_hash, settings_hash
from flows.shard import Outputs, dead_letters
from operators.market.daily.book import Record
from operators.market.daily.engine import Daily
from operators.market.daily.requests import Answer
from operators.market.daily.settings import DailySettings, Shock, Target
from operators.market.handover import Handover
from operators.market.models import answer as compute
from operators.merge import Item, Merge
from state.metrics import DAILY_WAITING, MODEL_VALID, SNAPSHOT_BYTES, UNANSWERED
from state.records import Coordinates, OutputBatch
from state.rows import Event, Rows
from state.shards import shard_name
from state.snapshots import pack, unpack

Moment = tuple[int, list[Item]]
"""A complete time (ns) and what happened at it."""

DAILY_ORIGIN = f"{ORIGIN}-daily"
"""The origin of the engine's outputs: it counts by itself, as the merge of bars does."""

_EVENT, _CLOSE = 0, 1
"""The order of items at one time; which of them counts first, the engine says."""


def daily_settings(market: Market) -> DailySettings:
    """Return what the engine is told, from the user's settings."""
    risk = market.risk
    return DailySettings(
        methods=risk.methods,
        confidences=risk.confidences,
        horizons=risk.horizons,
        min_observations=risk.min_observations,
        window=risk.window,
        decay=risk.decay,
        age_decay=risk.age_decay,
        paths=risk.paths,
        degrees_of_freedom=risk.degrees_of_freedom,
        scenarios={name: Shock(**dict(s)) for name, s in risk.scenarios.items()},
        portfolios=market.portfolios,
        targets={
            name: Target(
                objective=target.objective,
                every=target.every,
                drift=target.drift,
                apply=target.apply,
                shrinkage=target.shrinkage,
                constraints=target.constraints(),
                market_weights=target.market_weights,
            )
            for name, target in market.targets.items()
        },
        models_every=market.models.every,
        models_delay_ns=market.models.delay,
    )


def daily_sources(context: Context) -> dict[str, Source]:
    """Return the sources of events, and of answers where there are any; none without events."""
    market = context.settings.market
    topics = [topic for topic in market.event_topics if context.has(topic)]
    decoder = EventDecoder(market.max_ahead)
    sources: dict[str, Source] = {
        _step(topic): context.source(topic, decoder.decode) for topic in topics
    }
    if (topics or market.closes == "ticks") and context.has(MODELS):
        sources[_step(MODELS)] = context.source(MODELS, AnswerDecoder().decode)
    return sources


def add_daily(
    context: Context,
    streams: dict[str, KeyedStream[Any]],
    handovers: KeyedStream[Handover] | None = None,
) -> None:
    """Add the steps of daily risk to the flow of ``streams``, where there are events or closes.

    They are those of `daily_sources` by name, ``handovers`` those of the ticks, if any.
    """
    market = context.settings.market
    topics = [topic for topic in market.event_topics if _step(topic) in streams]
    fingerprint = settings_hash(market, context.settings.kafka.shards)
    alone = _step(MODELS) not in streams
    events: list[KeyedStream[Rows[Event]]] = [streams[_step(topic)] for topic in topics]
    if events:
        blocks = op.merge("events", *events)
        op.output("events_dead", op.flat_map("e_dead", blocks, dead_letters), context.sinks.dead)
    if market.closes == "ticks" and handovers is not None:
        topics.append(market.topic)
        events.append(op.stateful_batch("closes", handovers, partial(ClosesLogic, fingerprint)))
    if not events:
        return

    def merge_logic(resume: bytes | None) -> MergeLogic:
        return MergeLogic(topics, fingerprint, resume)

    def daily_logic(resume: bytes | None) -> DailyLogic:
        return DailyLogic(market, fingerprint, resume, ends=context.ends, alone=alone)

    keyed = op.map("one_key", op.merge("all_events", *events), _under_one_key)
    moments: Any = op.stateful_batch("merge", keyed, merge_logic)
    if not alone:
        answers = streams[_step(MODELS)]
        op.output("models_dead", op.flat_map("m_dead", answers, dead_letters), context.sinks.dead)
        moments = op.merge("with_answers", moments, op.flat_map("answers", answers, _answers))
    outputs = op.stateful_batch("daily", moments, daily_logic)
    op.output("daily_redis", outputs, context.sinks.redis)
    op.output("daily_topics", outputs, context.sinks.outputs)


def _step(topic: str) -> str:
    return topic.replace(".", "_")


def _under_one_key(item: tuple[str, Rows[Event]]) -> tuple[str, Rows[Event]]:
    return shard_name(0), item[1]


def _answers(item: tuple[str, Rows[Event]]) -> list[tuple[str, Answer]]:
    return [(shard_name(0), event.body) for event in item[1].rows if event.body]


class MergeLogic(StatefulBatchLogic[Rows[Event], Moment, bytes]):
    """Events, in whatever order they come, out in the order of time."""

    def __init__(self, topics: list[str], settings_hash: str, resume: bytes | None) -> None:
        self._merge = Merge(topics)
        self._retried: set[Coordinates] = set()
        self._hash = settings_hash
        if resume is not None:
            packed = pickle.loads(resume)  # noqa: S301  # our own recovery store
            parts = unpack(packed, settings_hash)
            self._merge.restore(parts)
            self._retried = {Coordinates(*at) for at in parts.get("retried", ())}

    def on_batch(self, values: list[Rows[Event]]) -> tuple[list[Moment], bool]:
        """Take what came; emit the times that are complete."""
        for block in values:
            self._take(block)
        return list(self._merge.complete()), StatefulBatchLogic.RETAIN

    def snapshot(self) -> bytes:
        """Return the state, versioned."""
        parts = self._merge.snapshot() | {"retried": sorted(map(tuple, self._retried))}
        return pickle.dumps(pack(self._hash, parts), protocol=5)

    def _take(self, block: Rows[Event]) -> None:
        for event in block.rows:
            if event.retried:
                if event.coordinates in self._retried:
                    continue
                self._retried.add(event.coordinates)
            topic, partition, offset, sequence = event.coordinates
            # What comes after something later counts from then: its partition has told that time.
            before_ns = self._merge.passed(topic, partition)
            time_ns = max(event.ts_ns, before_ns + 1)
            if event.body:
                rank = _CLOSE if event.body["type"] == "closes" else _EVENT
                item = (rank, topic, partition, offset, sequence, event.body)
                self._merge.add(time_ns, item)
            # More of the same time may follow.
            self._merge.advance(topic, block.partitions, {partition: time_ns - 1})


class DailyLogic(StatefulBatchLogic[Moment | Answer, OutputBatch, bytes]):
    """The engine fed with complete times and answers; emits its records, counted."""

    def __init__(
        self, market: Market, settings_hash: str, resume: bytes | None, *, ends: bool, alone: bool
    ) -> None:
        """Make an engine; ``ends``: the input has an end, ``alone``: nobody else answers."""
        self._ends = ends
        self._hash = settings_hash
        # What is decided does not depend on how the work is dealt out: no shards in this hash.
        said = decision_hash(market)
        self._daily = Daily(daily_settings(market), said, compute if alone else None)
        self._outputs = Outputs()
        if resume is not None:
            parts = unpack(pickle.loads(resume), settings_hash)  # noqa: S301  # as above
            self._daily.restore(parts["daily"])
            self._outputs = Outputs(parts["counters"])

    def on_batch(self, values: list[Moment | Answer]) -> tuple[list[OutputBatch], bool]:
        """Work on what can be worked on."""
        for value in values:
            if isinstance(value, dict):
                self._put(self._daily.answer(value))
            else:
                self._put(self._daily.accept(*value))
        UNANSWERED.set(self._daily.unanswered)
        DAILY_WAITING.set(self._daily.waiting)
        return self._outputs.take(), StatefulBatchLogic.RETAIN

    def on_eof(self) -> tuple[list[OutputBatch], bool]:
        """Compute what was asked for and is not in a recording."""
        if self._ends:
            self._put(self._daily.finish(compute))
        return self._outputs.take(), StatefulBatchLogic.RETAIN

    def snapshot(self) -> bytes:
        """Return the state, versioned."""
        parts: dict[str, Any] = {
            "daily": self._daily.snapshot(),
            "counters": dict(self._outputs.counters),
        }
        data = pickle.dumps(pack(self._hash, parts), protocol=5)
        SNAPSHOT_BYTES.labels("daily").observe(len(data))
        return data

    def _put(self, records: list[Record]) -> None:
        for output, time_ns, identity, key, record in records:
            self._outputs.add(output, DAILY_ORIGIN, time_ns, identity, key, record)
            if output == "risk":
                MODEL_VALID.labels(record["scope"]).set(record["valid"])
