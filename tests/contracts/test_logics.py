"""The contract suite on the logics of the market."""

from __future__ import annotations

from functools import partial
from typing import Any

from flows.market.daily import make_daily
from flows.market.flow import make_combined, make_shard
from flows.market.settings import Market, Risk
from operators.logic import Logic
from operators.market.closes import Closes
from operators.market.controls.controls import Controls
from operators.market.controls.decider import Decider
from operators.market.controls.limits import ControlSettings
from operators.market.daily.logics import EventMerge
from operators.market.handover import Handover, SessionClose
from operators.outputs import Outputs
from state.clock import NS
from state.records import Coordinates
from state.rows import Event, RowBlock
from tests.contracts import logics as contract
from tests.contracts.operators import MARKET
from tests.daily_events import SYMBOLS, TOPIC_OF, closes, portfolio
from tests.driver import block_of
from tests.flows.sequences import sequence
from tests.reference.streams import random_stream, reference_settings

OURS = reference_settings()
WITH_PORTFOLIOS = MARKET.model_copy(update={"portfolios": OURS.portfolios})


def blocks() -> list[Any]:
    ticks = random_stream(11, 900, OURS).ticks
    return [block_of(ticks[at : at + 30], OURS.partitions) for at in range(0, len(ticks), 30)]


def handed(logic: Logic, items: list[Any]) -> list[Any]:
    """Return all that a logic hands on."""
    outputs = Outputs()
    return [each for item in items for each in logic.process(item, outputs)]


def events() -> list[RowBlock[Event]]:
    bodies = [
        portfolio("P", {"A": 0.5, "B": 0.5}, rebalance="daily", value=1.0),
        *closes(3, 40, SYMBOLS),
    ]
    made = []
    for offset, body in enumerate(bodies):
        topic = TOPIC_OF[body["type"]]
        event = Event(body["ts_ns"], Coordinates(topic, 0, offset), body)
        made.append(RowBlock[Event](topic, 1, [event]))
        # No portfolio came meanwhile: without this nobody could know.
        beat = Event(body["ts_ns"], Coordinates("market.portfolios", 0, 1000 + offset), {})
        made.append(RowBlock[Event]("market.portfolios", 1, [beat]))
    return made


def test_a_shard_keeps_the_contract() -> None:
    contract.check(partial(make_shard, WITH_PORTFOLIOS), blocks())


def test_what_combines_partitions_keeps_it() -> None:
    handovers = handed(make_shard(WITH_PORTFOLIOS), blocks())
    contract.check(partial(make_combined, WITH_PORTFOLIOS), handovers)


def test_the_closes_of_sessions_keep_it() -> None:
    handovers = [
        Handover("t", 2, {n % 2: n * 50 * NS}, [], [SessionClose(n * 40 * NS, f"S{n % 3}", 1.0)])
        for n in range(1, 40)
    ]
    contract.check(Closes, handovers)


def test_the_merge_of_events_keeps_it() -> None:
    contract.check(partial(EventMerge, ["market.closes"]), events())


def test_daily_risk_keeps_it() -> None:
    market = Market(
        daily=True,
        events=("market.closes", "market.portfolios"),
        risk=Risk(window=20, methods=("historical", "ewma-normal")),
    )
    moments = handed(EventMerge(["market.closes"]), events())
    assert len(moments) > 30
    contract.check(partial(make_daily, market, alone=True), moments)


def test_the_controls_of_trading_keep_it() -> None:
    rows = sequence(6, 400)
    items = [RowBlock("market.sequenced", 1, rows[at : at + 20]) for at in range(0, len(rows), 20)]
    keyed = frozenset({"state"})
    contract.check(lambda: Decider(Controls(ControlSettings()), "hash", keyed), items)
