"""Session closes handed over by a shard, however its input is cut and interrupted."""

from __future__ import annotations

import pickle
import random
from dataclasses import replace

import numpy as np

from flows.market.flow import make_shard
from flows.market.settings import Market, Risk
from operators.market.session_closes import Auction, SessionCloses
from operators.market.shard import TickShard
from operators.outputs import Outputs
from state.clock import NS
from state.snapshots import pack_array
from tests.driver import block_of
from tests.reference.vocabulary import Tick

OPENS = np.array([100, 1000, 2000], np.int64) * NS
CLOSES = np.array([700, 1600, 2600], np.int64) * NS
MARKET = Market(intervals=(10 * NS,), risk=Risk(interval=10 * NS))
Handed = set[tuple[int, str, float]]


AUCTION = Auction(60 * NS, frozenset({"cross"}), 0x80, but=frozenset({"suspicious"}))


def shard(auction: Auction | None = None) -> TickShard:
    made = make_shard(MARKET, lambda: [SessionCloses(0, OPENS, CLOSES, auction)])
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


def handed(
    made: list[Tick], cut: int, *, restart: bool, auction: Auction | None = None
) -> list[tuple[int, str, float]]:
    ours = shard(auction)
    found: list[tuple[int, str, float]] = []
    for start in range(0, len(made), cut):
        for handover in ours.process(block_of(made[start : start + cut], 2), Outputs()):
            found += handover.sessions
        if restart:
            parts = pickle.loads(pickle.dumps(ours.snapshot()))
            ours = shard(auction)
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


def with_auctions() -> list[Tick]:
    """Return ticks of which a third are of an auction, by word or by bit, some far too late."""
    rng = random.Random(6)
    return [
        replace(
            tick,
            size=float(rng.randrange(1, 1000)),
            condition=rng.choice(["", "20", "cross", "80", "A0", "odd:A0", "suspicious:80"]),
        )
        for tick in ticks()
    ]


def of_auctions(made: list[Tick]) -> Handed:
    """Return the largest price of each auction, else the last of the session."""
    found = {(close_ns, symbol): price for close_ns, symbol, price in defined(made)}
    sizes: dict[tuple[int, str], float] = {}
    for tick in made:
        for close_ns in CLOSES.tolist():
            named = tick.condition not in ("", "20", "suspicious:80")
            at = close_ns, tick.symbol
            in_time = close_ns <= tick.ts_ns < close_ns + AUCTION.within_ns
            if named and in_time and tick.size > sizes.get(at, 0.0):
                sizes[at], found[at] = tick.size, tick.price
    assert len(sizes) >= 4
    return {(close_ns, symbol, price) for (close_ns, symbol), price in found.items()}


def test_the_close_is_that_of_the_auction_at_any_cut():
    made = with_auctions()
    for cut, restart in ((1, False), (7, True), (50, True), (10_000, False)):
        found = handed(made, cut, restart=restart, auction=AUCTION)
        assert len(found) == len(set(found))
        assert set(found) == of_auctions(made)


def test_a_session_waits_for_its_auction():
    made = [tick for tick in with_auctions() if tick.ts_ns < 1600 * NS + 30 * NS]
    beat = Tick(0, 9999, "heartbeat", 1600 * NS + 59 * NS + MARKET.lateness)
    both = [*made, beat, replace(beat, partition=1)]
    assert {close_ns for close_ns, _, _ in handed(both, 7, restart=False)} == {
        700 * NS, 1600 * NS
    }  # fmt: skip
    found = handed(both, 7, restart=False, auction=AUCTION)
    assert {close_ns for close_ns, _, _ in found} == {700 * NS}


def test_what_was_held_before_there_were_auctions_is_held():
    old = {
        "price": pack_array(np.array([0.0, 5.0])),
        "close_ns": pack_array(np.array([0, 700 * NS])),
        "partition": pack_array(np.array([0, 1], np.int32)),
    }
    closes = SessionCloses(0, OPENS, CLOSES)
    closes.restore(old)
    assert closes.describe(1) == {str(700 * NS): {"last": 5.0, "auction": 0.0}}
