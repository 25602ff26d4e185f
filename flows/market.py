"""The market system: ticks in; bars, NBBO, risk, signals, gaps and late records out.

::

    ticks ── shard ─┬─ outputs of each partition ──────────────┬─ redis
      │             └─ handover ── portfolio (all partitions) ─┴─ topics
      └─ dead letters ── dead
    events ── merge ── daily (flows/daily.py) ── the same sinks
                │
    handover ───┘ closes of sessions, where they are taken from ticks
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from connectors.market.decode import TickDecoder
from connectors.market.schemas import schemas_at
from flows.calendar import check_closes, sessions_of
from flows.daily import add_daily, daily_sources
from flows.inputs import Source, add_inputs
from flows.live import standalone
from flows.portfolio import PortfolioLogic
from flows.settings import MODELS, Market, Settings, settings_hash
from flows.shard import ShardLogic, TickShard, dead_letters
from flows.signals import pairs_of, signals_of
from operators.market.bars import Bars
from operators.market.breach import Breaches
from operators.market.conditions import Conditions
from operators.market.handover import Handover
from operators.market.late import Late
from operators.market.luld import LimitUpDown
from operators.market.nbbo import Nbbo
from operators.market.operator import Operator
from operators.market.portfolio import Portfolios
from operators.market.sequence import Sequence
from operators.market.session_closes import SessionCloses
from operators.market.symbols import Symbols
from operators.market.var import SymbolRisk, levels
from operators.market.volatility import Volatility
from operators.watermark import Watermarks
from state.records import OutputBatch
from state.shards import shard_name
from state.snapshots import unpack

if TYPE_CHECKING:
    from flows.runner import Context

Item = OutputBatch | Handover


def chain(market: Market) -> list[Operator]:
    """Return the operators of a shard, in the order in which they see each block."""
    risk = market.risk
    open_ns, close_ns = sessions_of(market.calendar)
    operators: list[Operator] = [
        Sequence(),
        Conditions(market.excluded_conditions, market.excluded_bits),
        Nbbo(min(market.intervals), market.lateness, market.quote_ttl),
        Bars(market.intervals, market.lateness),
        Volatility(risk.interval, market.intervals.index(risk.interval), risk.decay, close_ns),
        SymbolRisk(levels(risk.confidences, risk.horizons), risk.interval, risk.min_observations),
        Breaches(risk.breach_confidence, risk.min_observations),
    ]
    if market.signals.kinds:
        operators.append(signals_of(market))
    if market.luld.enabled:
        operators.append(LimitUpDown(market.luld.tiers, open_ns, close_ns, market.symbol_ttl))
    if market.closes == "ticks":
        check_closes(market.calendar, close_ns, risk.interval)
        operators.append(SessionCloses(market.intervals.index(risk.interval), open_ns, close_ns))
    return [*operators, Late()]


def make_shard(market: Market, more: Iterable[Operator] = ()) -> TickShard:
    """Return an empty shard; operators of one's own come after ours."""
    groups = [*market.portfolios.values(), *market.signals.pairs.values()]
    universe = frozenset(symbol for group in groups for symbol in group)
    return TickShard(
        Watermarks(market.lateness),
        Symbols(market.symbol_ttl),
        [*chain(market), *more],
        universe,
        market.risk.interval,
        sessions=market.closes == "ticks",
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


def build(context: Context, more: Callable[[], Iterable[Operator]] = tuple) -> Dataflow:
    """Return the dataflow of the market system.

    ``more`` makes operators of one's own for a shard, which run behind ours.
    """
    market = context.settings.market
    fingerprint = settings_hash(market, context.settings.kafka.shards)

    def shard_logic(resume: bytes | None) -> ShardLogic:
        return ShardLogic(make_shard(market, more()), fingerprint, resume)

    def portfolio_logic(resume: bytes | None) -> PortfolioLogic:
        return PortfolioLogic(make_portfolios(market), pairs_of(market), fingerprint, resume)

    flow = Dataflow("market")
    sources: dict[str, Source] = {}
    if context.has(market.topic) or not any(map(context.has, market.event_topics)):
        schemas = schemas_at(
            market.schemas, market.schemas_username, market.schemas_password, context.lifecycle
        )
        decoder = TickDecoder(market.max_ahead, schemas)
        sources["ticks"] = context.source(market.topic, decoder.decode)
    sources |= daily_sources(context)
    streams = add_inputs(flow, sources)
    if "ticks" not in streams:
        add_daily(context, streams)
        return flow
    blocks = streams["ticks"]
    worked = op.stateful_batch("shard", blocks, shard_logic)
    handovers = op.flat_map("handovers", worked, _handovers)
    merged = op.stateful_batch("portfolio", handovers, portfolio_logic)
    outputs = op.merge("outputs", op.flat_map("batches", worked, _batches), merged)
    op.output("redis", outputs, context.sinks.redis)
    op.output("topics", outputs, context.sinks.outputs)
    op.output("dead", op.flat_map("dead_letters", blocks, dead_letters), context.sinks.dead)
    add_daily(context, streams, handovers)
    return flow


def inputs(settings: Settings) -> list[str]:
    """Return the topics of events, where daily risk is wanted."""
    return [*settings.market.event_topics, MODELS] if settings.market.daily else []


def flow() -> Dataflow:
    """Return the flow for ``python -m bytewax.run flows.market``, without a supervisor."""
    return standalone("market")


def warm_up() -> None:
    """Load every compiled kernel, so that none is compiled once the source is open."""
    for name in (
        "sequence",
        "symbols",
        "table",
        "volatility",
        "windows",
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


def describe(market: Market, shards: int, snapshot: bytes, symbol: str) -> dict[str, Any]:
    """Return what a shard's snapshot says of a symbol, by partition; empty where it is unknown."""
    shard = make_shard(market)
    parts = pickle.loads(snapshot)  # noqa: S301  # our own recovery store
    shard.restore(unpack(parts, settings_hash(market, shards)))
    return shard.describe(symbol)


def _batches(item: tuple[str, Item]) -> list[tuple[str, OutputBatch]]:
    name, result = item
    return [(name, result)] if isinstance(result, OutputBatch) else []


def _handovers(item: tuple[str, Item]) -> list[tuple[str, Handover]]:
    # Under one shard's name, so that the sinks of what comes of it are on the same worker.
    result = item[1]
    return [] if isinstance(result, OutputBatch) else [(shard_name(0), result)]
