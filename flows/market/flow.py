"""The market system: ticks in; bars, NBBO, risk, signals, gaps and late records out.

::

    ticks ── shard ─┬─ outputs of each partition ──────────────┬─ redis
      │             └─ handover ── combined (all partitions) ──┴─ topics
      └─ dead letters ── dead
    events ── merge ── daily (flows/market/daily.py) ── the same sinks
                │
    handover ───┘ closes of sessions, where they are taken from ticks
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from connectors.avro.places import schemas_at
from connectors.market.decode import TickDecoder
from connectors.market.ticks import Signed
from flows.engine.context import Logics
from flows.engine.inputs import Source, add_inputs
from flows.engine.standalone import standalone
from flows.engine.streams import dead_letters, under_one_key
from flows.market.calendar import aligned, check_closes, session_borders, sessions_of
from flows.market.daily import add_daily, daily_sources, make_daily, make_merge
from flows.market.settings import MODELS, Market
from flows.market.signals import pairs_of, signals_of
from flows.settings.settings import Settings
from operators.market.bars import Bars
from operators.market.breach import Breaches
from operators.market.closes import Closes
from operators.market.combined import Combined
from operators.market.conditions import Conditions
from operators.market.corrections import Corrections
from operators.market.in_order import InOrder
from operators.market.late import Late
from operators.market.luld import LimitUpDown
from operators.market.nbbo import Nbbo
from operators.market.operator import Operator
from operators.market.portfolio import Portfolios
from operators.market.sequence import Sequence
from operators.market.session_closes import Auction, SessionCloses
from operators.market.shard import TickShard
from operators.market.symbols import Symbols
from operators.market.var import SymbolRisk, levels
from operators.market.volatility import Volatility
from operators.watermark import Watermarks
from state.inputs import Input

if TYPE_CHECKING:
    from flows.engine.context import Context

More = Callable[[], Iterable[Operator]]


def chain(market: Market, in_order: Iterable[Operator] = ()) -> list[Operator]:
    """Return the operators of a shard, in the order in which they see each block.

    Operators ``in_order`` see the ticks by event time, behind ours that do.
    """
    risk = market.risk
    open_ns, close_ns = sessions_of(market.calendar)
    by_time: list[Operator] = []
    if market.signals.kinds:
        by_time.append(signals_of(market))
    if market.luld.enabled:
        by_time.append(LimitUpDown(market.luld.tiers, open_ns, close_ns, market.symbol_ttl))
    by_time += in_order
    nbbo = Nbbo(aligned(market, min(market.intervals)), market.quote_ttl)
    operators: list[Operator] = [
        Sequence(
            market.sequences,
            market.sequence_restart_after,
            session_borders(open_ns, close_ns),
            list_duplicates=market.list_duplicates,
        ),
        Conditions(market.excluded_conditions, market.excluded_bits),
        bars_of(market),
        Volatility(market.intervals.index(risk.interval), risk.decay, close_ns),
        SymbolRisk(levels(risk.confidences, risk.horizons), risk.interval, risk.min_observations),
        Breaches(risk.breach_confidence, risk.min_observations),
        InOrder([nbbo, *by_time], trades=bool(by_time)),
    ]
    if market.closes == "ticks":
        check_closes(market.calendar, close_ns, aligned(market, risk.interval))
        auction = Auction(
            market.auction.within,
            frozenset(market.auction.conditions),
            market.auction.bits,
            but=frozenset(market.excluded_conditions),
        )
        bars = market.intervals.index(risk.interval)
        operators.append(SessionCloses(bars, open_ns, close_ns, auction))
    return [*operators, Late()]


def bars_of(market: Market) -> Bars:
    """Return the bars of the settings, without trades."""
    alignments = [aligned(market, interval) for interval in market.intervals]
    corrections = Corrections(
        alignments, market.correctable, market.excluded_conditions, market.excluded_bits
    )
    return Bars(alignments, market.lateness, corrections)


def make_shard(market: Market, more: More = tuple, in_order: More = tuple) -> TickShard:
    """Return an empty shard; operators of one's own come after ours."""
    groups = [*market.portfolios.values(), *market.signals.pairs.values()]
    universe = frozenset(symbol for group in groups for symbol in group)
    return TickShard(
        Watermarks(market.lateness),
        Symbols(market.symbol_ttl),
        [*chain(market, in_order()), *more()],
        universe,
        aligned(market, market.risk.interval),
        market.max_jump,
        sessions=market.closes == "ticks",
        late_by_window=market.late == "window",
        corrects=market.correctable > 0,
    )


def make_portfolios(market: Market) -> Portfolios:
    """Return the portfolios of the settings, without history."""
    risk = market.risk
    return Portfolios(
        market.portfolios,
        risk.interval,
        risk.decay,
        levels(risk.confidences, risk.horizons),
        risk.min_observations,
        risk.breach_confidence,
    )


def make_combined(market: Market) -> Combined:
    """Return the portfolios and pairs of the settings, without history."""
    return Combined(make_portfolios(market), pairs_of(market))


def build(context: Context, more: More = tuple, in_order: More = tuple) -> Dataflow:
    """Return the dataflow of the market system.

    ``more`` makes operators of one's own for a shard, which run behind ours; those that
    ``in_order`` makes see the ticks by event time (`operators.market.in_order`).
    """
    market = context.settings.of(Market)
    flow = Dataflow("market")
    sources: dict[str, Source] = {}
    if context.has(market.topic) or not any(map(context.has, market.event_topics)):
        schemas = schemas_at(
            market.schemas,
            market.schemas_username,
            market.schemas_password,
            context.lifecycle,
            "market.schemas",
        )
        decoder = TickDecoder(market.max_ahead, schemas, Signed(market.signed))
        sources["ticks"] = context.source(market.topic, decoder.decode)
    sources |= daily_sources(context)
    streams = add_inputs(flow, sources)
    if "ticks" not in streams:
        daily, dead = add_daily(context, streams)
        context.write(*daily, dead=dead)
        return flow
    worked = context.step("shard", streams["ticks"], partial(make_shard, market, more, in_order))
    handovers = op.map("handovers", worked.handed, under_one_key)
    combined = context.step("combined", handovers)
    daily, dead = add_daily(context, streams, handovers)
    undecoded = op.flat_map("undecoded", streams["ticks"], dead_letters)
    context.write(worked, combined, *daily, dead=[undecoded, *dead])
    return flow


def logics(settings: Settings) -> Logics:
    """Return the stateful steps by name."""
    market = settings.of(Market)
    return {
        "shard": partial(make_shard, market),
        "combined": partial(make_combined, market),
        "closes": partial(Closes, market.auction.within),
        "merge": partial(make_merge, market.event_topics),
        "daily": partial(make_daily, market, alone=True),
    }


def inputs(settings: Settings) -> list[Input]:
    """Return the ticks, and where daily risk is wanted the events and the answers of fits."""
    market = settings.of(Market)
    events = [*market.event_topics, MODELS] if market.daily else []
    return [Input(market.topic), *(Input(topic, partitions=1, kept=True) for topic in events)]


def table(settings: Settings) -> Market:
    """Return the settings on which outputs and state depend."""
    return settings.of(Market)


def flow() -> Dataflow:
    """Return the flow for ``python -m bytewax.run flows.market.flow``, without a supervisor."""
    return standalone("market")


def warm_up() -> None:
    """Load every compiled kernel, so that none is compiled once the source is open."""
    for name in (
        "jumps",
        "sequence",
        "symbols",
        "table",
        "volatility",
        "windows",
        "in_order",
        "nbbo",
        "breach",
        "luld",
        "signal_windows",
        "signing",
        "order_flow",
        "microprice",
        "realised",
        "kyle",
        "hawkes",
        "cusum",
        "vpin",
        "pairs",
        "portfolio",
        "components",
        "order_statistics",
        "ewma",
        "moments",
        "cornish_fisher",
        "garch",
    ):
        __import__(f"operators.market.kernels.{name}")
