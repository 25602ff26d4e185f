"""Ticks that are far ahead of their partition: held, then believed or refuted."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pytest

from connectors.market.ticks import tick_of
from flows.market.settings import Market
from operators.market.jumps import Jumps
from state.clock import MAX_TIME_NS, MS, NS
from state.market.ticks import ZERO, TickBlock
from state.records import DeadLetter
from tests.driver import Driver, block_of
from tests.reference.vocabulary import Tick

START = 1_700_000_000 * NS
HOUR, MINUTE = 3600 * NS, 60 * NS
JUMP, LATENESS = 10 * MINUTE, NS


def trade(offset: int, ts_ns: int, symbol: str = "A", partition: int = 0, venue: str = "") -> Tick:
    return Tick(partition, offset, "trade", ts_ns, symbol=symbol, venue=venue, price=10.0, size=1.0)


def beat(offset: int, ts_ns: int, partition: int = 0) -> Tick:
    return Tick(partition, offset, "heartbeat", ts_ns)


class Sifted:
    """What has gone on and what was refuted, of ticks that come in blocks."""

    def __init__(self, ticks: Iterable[Tick], cut: Callable[[], int] = lambda: 4096) -> None:
        self.passed: list[int] = []
        self.refuted: list[DeadLetter] = []
        jumps, newest = Jumps(JUMP, LATENESS), np.full(2, -(1 << 62), np.int64)
        rest = list(ticks)
        while rest:
            size = max(1, cut())
            block, dead = jumps.sift(block_of(rest[:size], 2), newest)
            rest = rest[size:]
            self._take(block, newest)
            self.refuted += dead
            again = Jumps(JUMP, LATENESS)
            again.restore(pickle.loads(pickle.dumps(jumps.snapshot())))
            jumps = again
        self.held = len(jumps.rest() or ())

    def _take(self, block: TickBlock, newest: np.ndarray) -> None:
        self.passed += block.offset.tolist()
        np.maximum.at(newest, block.partition, block.ts_ns)

    @property
    def dead(self) -> list[int]:
        return [letter.coordinates.offset for letter in self.refuted]


def test_one_producer_an_hour_ahead_makes_no_tick_of_the_others_late() -> None:
    bad = {n for n in range(3, 600) if n % 3 == 0}
    ticks = [
        trade(n, START + n * 100 * MS + (HOUR if n in bad else 0), "B" if n in bad else "A")
        for n in range(600)
    ]
    good = [tick for tick in ticks if tick.offset not in bad]
    found, alone = Driver(Market(), 1), Driver(Market(), 1)
    outputs = found.run(ticks)
    assert outputs == alone.run(good)
    assert outputs["bars"]
    assert outputs["late"] == []
    assert [letter.coordinates.offset for letter in found.dead] == sorted(bad)
    assert {letter.error for letter in found.dead} == {"AheadOfOthers"}
    assert {letter.reason[:22] for letter in found.dead} == {"ts_ns is 3599 s ahead "}


def test_after_a_pause_all_go_on_in_their_order() -> None:
    ticks = [trade(n, START + n * NS) for n in range(5)]
    ticks += [trade(5 + n, START + HOUR + n * MINUTE // 4) for n in range(6)]
    found = Sifted(ticks)
    assert found.passed == list(range(11))
    assert found.dead == []
    assert Sifted(ticks[:9]).held == 4, "nothing has told yet"
    busy = [trade(n, START + (HOUR if n else 0) + n) for n in range(65)]
    assert (Sifted(busy[:64]).held, Sifted(busy).held) == (63, 0)


def test_a_heartbeat_tells_which_clock_is_right() -> None:
    ticks = [trade(0, START), trade(1, START + HOUR)]
    after = [*ticks, beat(2, START + HOUR + NS)]
    assert Sifted(after).passed == [0, 1, 2]
    before = [*ticks, beat(2, START + NS)]
    found = Sifted(before)
    assert (found.passed, found.dead) == ([0, 2], [1])


def test_neither_a_late_tick_nor_one_of_another_partition_is_evidence() -> None:
    late = trade(2, START - 2 * NS)
    other = trade(0, START, partition=1)
    found = Sifted([trade(0, START), trade(1, START + HOUR), late, other])
    assert (found.passed, found.dead, found.held) == ([0, 2, 0], [], 1)


def test_the_bound_is_exact_and_the_first_tick_is_believed() -> None:
    assert Sifted([trade(0, MAX_TIME_NS), trade(1, START)]).passed == [0, 1]
    assert Sifted([trade(0, START), trade(1, START + JUMP)]).passed == [0, 1]
    assert Sifted([trade(0, START), trade(1, START + JUMP + 1)]).held == 1


def test_the_ticks_of_one_message_bear_each_other_out_no_more_than_one_does() -> None:
    frame = [replace(trade(1, START + HOUR + n), sequence=n) for n in range(500)]
    found = Sifted([trade(0, START), *frame, trade(2, START)], lambda: 70)
    assert (found.passed, len(found.dead)) == ([0, 2], 500)


def test_what_the_end_of_a_recording_leaves_held_goes_on() -> None:
    driver = Driver(Market(), 1)
    driver.run([trade(0, START), trade(1, START + HOUR)])
    (shard,) = driver._shards
    assert int(shard.watermarks.current[0]) == START - NS
    list(shard.finish(driver._outputs[0]))
    assert int(shard.watermarks.current[0]) == START + HOUR - NS


def test_a_refuted_tick_can_be_sent_again_as_it_was() -> None:
    quote = Tick(
        0, 1, "quote", START + HOUR, symbol="A", venue="N", bid=9.0, bid_size=2.0, ask=0.0,
        ask_size=0.0, seq=0,
    )  # fmt: skip
    odd = Tick(
        0, 2, "trade", START + HOUR, symbol="A", venue="N", price=10.5, size=0.5, condition="@"
    )
    found = Sifted([trade(0, START), quote, odd, trade(3, START)])
    one, two = (tick_of(orjson.loads(letter.value), MAX_TIME_NS) for letter in found.refuted)
    assert (one.symbol, one.venue, one.price, one.size, one.ask, one.seq) == ("A", "N", 9, 2, 0, 0)
    assert (two.price, two.size, two.condition, two.seq) == (10.5, 0.5, "@", -1)
    assert [letter.key for letter in found.refuted] == [b"A", b"A"]


def test_a_refuted_correction_and_a_price_of_zero_are_sent_again_as_they_were() -> None:
    common: dict[str, Any] = {"symbol": "A", "ts_ns": START + HOUR}
    right = Tick(0, 1, "correction", price=9.0, size=2.0, trade_ts_ns=START, **common)
    cancel = Tick(0, 2, "correction", trade_seq=7, seq=8, **common)
    zeros = Tick(0, 3, "quote", bid=ZERO, bid_size=2.0, **common)
    trades = Tick(0, 4, "trade", price=0.0, size=2.0, **common)
    found = Sifted([trade(0, START), right, cancel, zeros, trades, trade(5, START)], lambda: 2)
    assert [orjson.loads(letter.value) for letter in found.refuted] == [
        common | {"type": "correction", "trade_ts_ns": START, "price": 9.0, "size": 2.0},
        common | {"type": "cancel", "trade_seq": 7, "seq": 8},
        common | {"type": "quote", "bid": 0.0, "bid_size": 2.0},
        common | {"type": "trade", "price": 0.0, "size": 2.0},
    ]


def test_a_correction_that_waited_still_corrects() -> None:
    later = START + HOUR
    cancel = Tick(0, 2, "correction", later, symbol="A", trade_ts_ns=later - 1)
    ticks = [trade(0, START), trade(1, later - 1), cancel, beat(3, later + MINUTE)]
    bars = Driver(Market(correctable=MINUTE), 1).run(ticks)["bars"]
    assert {bar["start_ns"] for bar in bars} == {START, START - START % MINUTE}


def test_a_symbol_of_which_all_ticks_wait_is_not_known_yet() -> None:
    driver = Driver(Market(), 2)
    driver.run([trade(0, START), trade(1, START + HOUR, "B"), beat(2, START)])
    symbols = driver._shards[0].symbols
    assert (symbols.partitions_of("A"), symbols.partitions_of("B")) == ([0], [])
    held = Driver(Market(), 2)
    held.run([trade(0, START), trade(1, START + HOUR, "B"), beat(2, START + HOUR)])
    assert held._shards[0].symbols.partitions_of("B") == [0]


def by_definition(ticks: list[Tick]) -> tuple[list[int], list[int]]:
    """Return the offsets that go on, and those that are refuted, of one partition."""
    passed: list[Tick] = []
    refuted: list[Tick] = []
    held: list[Tick] = []
    newest = None
    for tick in ticks:
        if newest is not None and tick.kind != "heartbeat" and tick.ts_ns - newest > JUMP:
            held.append(tick)
            if len(held) == 64 or abs(tick.ts_ns - held[0].ts_ns) >= JUMP // 10:
                passed += held
                newest = max(each.ts_ns for each in held)
                held = []
            continue
        moved = tick.ts_ns if newest is None else max(newest, tick.ts_ns)
        if newest is None or tick.ts_ns >= newest - LATENESS:
            believed = [each for each in held if each.ts_ns <= moved + JUMP]
            refuted += [each for each in held if each.ts_ns > moved + JUMP]
            passed += believed
            moved = max([moved, *(each.ts_ns for each in believed)])
            held = []
        passed.append(tick)
        newest = moved
    return [t.offset for t in passed], [t.offset for t in refuted]


@pytest.mark.parametrize("seed", range(6))
def test_any_stream_is_judged_as_defined_wherever_it_is_cut(seed: int) -> None:
    rng = random.Random(seed)
    now, ticks = START, []
    for offset in range(500):
        now += rng.choice([0, MS, NS, NS, MINUTE if rng.random() < 0.05 else MS])
        now += HOUR if rng.random() < 0.005 else 0
        wrong = rng.choice([0, 0, 0, -2 * NS, -HOUR, HOUR, HOUR, JUMP, JUMP + 1])
        if rng.random() < 0.1:
            ticks.append(beat(offset, now))
        else:
            ticks.append(trade(offset, now + wrong, rng.choice("ABC"), venue=rng.choice("NQ")))
    expected = by_definition(ticks)
    letters = Sifted(ticks).refuted
    for cut in (lambda: 1, lambda: 7, lambda: rng.randrange(60), lambda: 4096):
        found = Sifted(ticks, cut)
        assert (found.passed, found.dead) == expected
        assert found.refuted == letters
    assert expected[1], "something was refuted"
