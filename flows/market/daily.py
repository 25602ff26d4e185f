"""Daily risk in the market flow: its topics, its logics and its steps."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import bytewax.operators as op
from bytewax.operators import KeyedStream

from connectors.market.events import AnswerDecoder, EventDecoder
from flows.engine.context import Context
from flows.engine.inputs import Source
from flows.engine.step import Stepped
from flows.engine.streams import dead_letters, under_one_key
from flows.market.calendar import zone_of
from flows.market.settings import MODELS, Market, decision_hash
from operators.market.closes import Closes
from operators.market.daily.engine import Daily
from operators.market.daily.logics import DailyRisk, EventMerge
from operators.market.daily.requests import Answer
from operators.market.daily.settings import DailySettings, Shock, Target
from operators.market.handover import Handover
from operators.market.models import answer as compute
from state.records import DeadLetter
from state.rows import Event, RowBlock
from state.shards import shard_name


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
        zone=zone_of(market.calendar),
    )


def daily_sources(context: Context) -> dict[str, Source]:
    """Return the sources of events, and of answers where there are any; none without events."""
    market = context.settings.of(Market)
    topics = [topic for topic in market.event_topics if context.has(topic)]
    decoder = EventDecoder(market.max_ahead)
    sources: dict[str, Source] = {
        _step(topic): context.source(topic, decoder.decode) for topic in topics
    }
    if (topics or market.closes == "ticks") and context.has(MODELS):
        sources[_step(MODELS)] = context.source(MODELS, AnswerDecoder().decode)
    return sources


def make_merge(topics: Sequence[str]) -> EventMerge:
    """Return the merge of the events of these topics, empty."""
    return EventMerge(topics)


def make_daily(market: Market, *, alone: bool) -> DailyRisk:
    """Return the engine without state; ``alone``: nobody else answers its requests."""
    # What is decided does not depend on how the work is dealt out: no shards in this hash.
    said = decision_hash(market)
    engine = Daily(daily_settings(market), said, compute if alone else None)
    return DailyRisk(engine, compute)


def add_daily(
    context: Context,
    streams: dict[str, KeyedStream[Any]],
    handovers: KeyedStream[Handover] | None = None,
) -> tuple[list[Stepped], list[KeyedStream[DeadLetter]]]:
    """Add the steps of daily risk, where there are events or closes; return what is to be written.

    ``streams`` are those of `daily_sources` by name, ``handovers`` those of the ticks, if any.
    """
    market = context.settings.of(Market)
    topics = [topic for topic in market.event_topics if _step(topic) in streams]
    alone = _step(MODELS) not in streams
    events: list[KeyedStream[RowBlock[Event]]] = [streams[_step(topic)] for topic in topics]
    dead = [op.flat_map(f"{_step(t)}_dead", streams[_step(t)], dead_letters) for t in topics]
    if market.closes == "ticks" and handovers is not None:
        topics.append(market.topic)
        events.append(
            context.step("closes", handovers, partial(Closes, market.auction.within)).handed
        )
    if not events:
        return [], []
    keyed = op.map("one_key", op.merge("all_events", *events), under_one_key)
    moments = context.step("merge", keyed, partial(make_merge, topics)).handed
    if not alone:
        answers = streams[_step(MODELS)]
        dead.append(op.flat_map("m_dead", answers, dead_letters))
        moments = op.merge("with_answers", moments, op.flat_map("answers", answers, _answers))
    return [context.step("daily", moments, partial(make_daily, market, alone=alone))], dead


def _step(topic: str) -> str:
    return topic.replace(".", "_")


def _answers(item: tuple[str, RowBlock[Event]]) -> list[tuple[str, Answer]]:
    return [(shard_name(0), event.body) for event in item[1].rows if event.body]
