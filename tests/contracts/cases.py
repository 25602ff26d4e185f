"""Every logic of ours, with items that make it emit or hand on something.

A new one joins the contract suite (test_logics.py) and the snapshots of releases
(test_released.py) by being listed in CASES.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from connectors.adt.messages import decode
from flows.market.daily import make_daily
from flows.market.flow import make_combined, make_shard
from flows.market.settings import Market, Risk
from operators.adt.timeline import Timeline
from operators.logic import Logic
from operators.market.closes import Closes
from operators.market.controls.controls import Controls
from operators.market.controls.decider import Decider
from operators.market.controls.limits import ControlSettings
from operators.market.daily.logics import EventMerge
from operators.market.handover import Handover, SessionClose
from operators.outputs import Outputs
from state.adt.outputs import OUTPUTS as ADT_OUTPUTS
from state.clock import NS
from state.outputs import Output
from state.records import Coordinates
from state.rows import Event, RowBlock
from tests.connectors.market.batches import messages as batch
from tests.contracts.operators import MARKET
from tests.daily_events import SYMBOLS, TOPIC_OF, closes, portfolio
from tests.driver import block_of
from tests.flows.sequences import sequence
from tests.reference.streams import reference_settings
from tests.reference.vocabulary import Tick
from tests.system import adt

OURS = reference_settings()
TICKS = Path(__file__).parent / "released" / "ticks.jsonl.gz"
WITH_PORTFOLIOS = MARKET.model_copy(
    update={"portfolios": OURS.portfolios, "max_jump": 0, "sequence_restart_after": 0}
)
"""The ticks jump to and fro, which meant nothing when the stored snapshots were written."""


def blocks() -> list[Any]:
    """Return 900 ticks that a random stream once gave: those that the stored snapshots go on."""
    lines = gzip.decompress(TICKS.read_bytes()).splitlines()
    ticks = [Tick(**orjson.loads(line)) for line in lines]
    return [block_of(ticks[at : at + 30], OURS.partitions) for at in range(0, len(ticks), 30)]


def handed(logic: Logic, items: list[Any]) -> list[Any]:
    """Return all that a logic hands on."""
    outputs = Outputs()
    return [each for item in items for each in logic.process(item, outputs)]


def events() -> list[RowBlock[Event]]:
    bodies = [
        portfolio("P", {"A": 0.5, "B": 0.5}, rebalance="daily", value=1.0),
        *map(_in_cents, closes(3, 40, SYMBOLS)),
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


def _in_cents(body: dict[str, Any]) -> dict[str, Any]:
    """Round prices: numpy's exp differs in the last bit between processors, stored bytes do not."""
    return body | {"prices": {name: round(price, 2) for name, price in body["prices"].items()}}


def visits() -> list[Any]:
    """Return messages of made-up visits, some of them cancelled, in blocks of a few."""
    given = [m.value or b"" for m in adt.messages(3, 60, partitions=1)]
    batches = (batch(given[at : at + 5], first_offset=at) for at in range(0, len(given), 5))
    return [decode(replace(each, partitions=1)) for each in batches]  # whatever their keys


def handovers() -> list[Any]:
    """Return handovers in which sessions end."""
    return [
        Handover("t", 2, {n % 2: n * 50 * NS}, [], [SessionClose(n * 40 * NS, f"S{n % 3}", 1.0)])
        for n in range(1, 40)
    ]


def orders() -> list[Any]:
    """Return sequenced orders and what the controls go by; each account begins with an order."""
    rows = sequence(7, 400)
    return [RowBlock("market.sequenced", 1, rows[at : at + 20]) for at in range(0, len(rows), 20)]


DAILY = Market(
    daily=True,
    events=("market.closes", "market.portfolios"),
    risk=Risk(window=20, methods=("historical", "ewma-normal")),
)


@dataclass(frozen=True)
class Case:
    """How a logic is made, the items for it, and the outputs that it declares."""

    make: Callable[[], Logic]
    items: Callable[[], list[Any]]
    outputs: Sequence[Output] = ()


CASES = {
    "shard": Case(partial(make_shard, WITH_PORTFOLIOS), blocks),
    "combined": Case(
        partial(make_combined, WITH_PORTFOLIOS),
        lambda: handed(make_shard(WITH_PORTFOLIOS), blocks()),
    ),
    "closes": Case(Closes, handovers),
    "merge": Case(partial(EventMerge, ["market.closes"]), events),
    "daily": Case(
        partial(make_daily, DAILY, alone=True),
        lambda: handed(EventMerge(["market.closes"]), events()),
    ),
    "decide": Case(
        lambda: Decider(Controls(ControlSettings()), "hash", frozenset({"state"})), orders
    ),
    "timeline": Case(partial(Timeline, 16), visits, ADT_OUTPUTS),
}
