"""Session closes handed over by a shard, however its input is cut and interrupted."""

from __future__ import annotations

import pickle
import random

import numpy as np

from flows.market.flow import make_shard
from flows.market.settings import Market, Risk
from operators.market.session_closes import SessionCloses
from operators.market.shard import TickShard
from operators.outputs import Outputs
from state.clock import NS
from tests.driver import block_of
from tests.reference.vocabulary import Tick

OPENS = np.array([100, 1000, 2000], np.int64) * NS
CLOSES = np.array([700, 1600, 2600], np.int64) * NS
MARKET = Market(intervals=(10 * NS,), risk=Risk(interval=10 * NS))
Handed = set[tuple[int, str, float]]


def shard() -> TickShard:
    made = make_shard(MARKET, lambda: [SessionCloses(0, OPENS, CLOSES)])
    made._hands_over = True
    return made


def ticks() -> list[Tick]:
    rng = random.Random(5)
    made, offsets = [], [0, 0]
    now = 0
    while now < 3000 * NS:
        now += rng.randrange(1, 30) * NS
        symbol = rng.choice(["A", "B", "C"])
        partition = 0 if symbol == "A" else 1
        price = float(rng.randrange(50, 150))
        made.append(
            Tick(
                partition=partition, offset=offsets[partition], kind="trade", ts_ns=now,
                symbol=symbol, price=price, size=1.0,
            )
        )  # fmt: skip
        offsets[partition] += 1
    return made


def defined(made: list[Tick]) -> Handed:
    """Return the last price of each symbol in each session."""
    found = {}
    for tick in made:
        for open_ns, close_ns in zip(OPENS.tolist(), CLOSES.tolist(), strict=True):
            if open_ns <= tick.ts_ns < close_ns:
                found[close_ns, tick.symbol] = tick.price
    return {(close_ns, symbol, price) for (close_ns, symbol), price in found.items()}


def handed(made: list[Tick], cut: int, *, restart: bool) -> list[tuple[int, str, float]]:
    ours = shard()
    found: list[tuple[int, str, float]] = []
    for start in range(0, len(made), cut):
        for handover in ours.process(block_of(made[start : start + cut], 2), Outputs()):
            found += handover.sessions
        if restart:
            parts = pickle.loads(pickle.dumps(ours.snapshot()))
            ours = shard()
            ours.restore(parts)
    return found


def test_each_symbol_and_session_is_handed_over_once_at_any_cut():
    made = ticks()
    wanted = defined(made)
    assert len(wanted) == 9
    for cut, restart in ((1, False), (7, True), (50, True), (10_000, False)):
        found = handed(made, cut, restart=restart)
        assert len(found) == len(wanted)
        assert set(found) == wanted


def test_a_session_that_is_not_over_is_held():
    made = [tick for tick in ticks() if tick.ts_ns < 1500 * NS]
    assert {close_ns for close_ns, _, _ in handed(made, 7, restart=False)} == {700 * NS}
