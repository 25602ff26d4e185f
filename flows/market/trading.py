"""The trading system: orders and control events in; decisions, states and audit entries out.

::

    orders, control, bands, nbbo, risk, pnl ─┬─ sequence ──▶ market.sequenced (one partition)
                            the clock, 1/s ──┘                     │
                                       ┌───────────────────────────┘
                                    decide (one key) ─┬─ redis
                                       │              └─ topics
                                       └─ dead letters ── dead

The first step only brings what comes into one order. The second reads that order alone, so a
replay of market.sequenced makes the same decisions, byte for byte.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from connectors.kafka.sequenced import SequencedDecoder
from flows.engine.context import Logics
from flows.engine.inputs import Source, add_inputs
from flows.engine.standalone import standalone
from flows.engine.streams import dead_letters
from flows.engine.systems import outputs_of
from flows.market.calendar import bar_ends
from flows.market.settings import Market
from flows.market.trading_settings import OWN_TOPICS, SEQUENCED, Trading, trading_hash
from flows.settings.settings import Settings
from operators.market.controls.controls import Controls
from operators.market.controls.decider import Decider
from operators.market.controls.quotes import BarEnd, full_bar
from state.errors import Misuse
from state.inputs import Input

if TYPE_CHECKING:
    from flows.engine.context import Context

SYSTEM = "trading"
MARKET = "market"
"""The flow whose outputs are read: those of the generation that is promoted in Redis."""
SHARDED = False
"""One shard decides, however many there are."""


def build(context: Context) -> Dataflow:
    """Return the dataflow of the trading system; over a recording, of its second step.

    Raises Misuse where a recording does not hold the sequenced topic.
    """
    if not context.has(SEQUENCED):
        raise Misuse(
            f"the recording does not hold {SEQUENCED}, the order in which the live flow decided: "
            f"record that topic (headrace record {SEQUENCED} --out FILE)"
        )
    flow = Dataflow(SYSTEM)
    sources: dict[str, Source] = {"sequenced": context.source(SEQUENCED, SequencedDecoder().decode)}
    if context.sequencer is not None:
        topics = context.settings.of(Trading).topics
        sources["unordered"], sink = context.sequencer(topics, SEQUENCED, MARKET)
    streams = add_inputs(flow, sources)
    if context.sequencer is not None:
        op.output("sequence", streams["unordered"], sink)
    decided = context.step("decide", streams["sequenced"])
    undecoded = op.flat_map("undecoded", streams["sequenced"], dead_letters)
    context.write(decided, dead=[undecoded])
    return flow


def make_decider(trading: Trading, end_of: BarEnd = full_bar) -> Decider:
    """Return the controls of the settings, without accounts; ``end_of`` tells the ends of bars."""
    keyed = frozenset(output.name for output in outputs_of(SYSTEM) if output.keyed)
    return Decider(Controls(trading.controls(), end_of), trading_hash(trading), keyed)


def logics(settings: Settings) -> Logics:
    """Return the stateful step."""
    ends = bar_ends(settings.of(Market))
    return {"decide": partial(make_decider, settings.of(Trading), ends)}


def inputs(settings: Settings) -> list[Input]:
    """Return what is sequenced, and the sequence.

    Its own topics are made, of one partition and kept for good, where missing. Those of the market
    flow are not: it makes them itself, with as many partitions as it has.
    """
    unordered = [
        Input(topic, "unordered", partitions=1 if topic in OWN_TOPICS else 0, kept=True)
        for topic in settings.of(Trading).topics
    ]
    return [*unordered, Input(SEQUENCED, partitions=1, kept=True)]


def table(settings: Settings) -> Trading:
    """Return the settings on which outputs and state depend."""
    return settings.of(Trading)


def flow() -> Dataflow:
    """Return the flow for ``python -m bytewax.run flows.market.trading``, without a supervisor."""
    return standalone(SYSTEM)
