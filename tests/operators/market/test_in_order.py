"""Ticks in the order of event time: the operator by its definition, and what follows from it."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from flows.market.settings import Luld, Market, Risk
from operators.market.in_order import InOrder
from operators.market.kernels import in_order as kernel
from operators.market.operator import Operator, Stateless
from operators.market.shard import TickShard
from operators.market.symbols import Symbols
from operators.market.work import Work
from operators.outputs import Outbox, Outputs
from operators.watermark import Watermarks
from state.clock import NS
from state.market.ticks import HEARTBEAT
from tests.driver import Driver, block_of
from tests.operators.market.signals.making import OURS, operators
from tests.operators.market.test_against_reference import difference
from tests.reference.streams import random_stream, reference_settings
from tests.reference.vocabulary import Kind, Record, Tick

Seen = list[tuple[int, int, int]]
"""(partition, event time, offset) of a tick; offset -1 of a watermark."""
KINDS: tuple[Kind, ...] = ("trade", "quote", "quote", "quote")


class Watch(Stateless):
    """Writes down what it is given, by partition."""

    name = "watch"

    def __init__(self) -> None:
        self.seen: Seen = []

    def process(self, work: Work, outbox: Outbox) -> None:
        """Write down the rows."""
        block = work.block
        assert (work.watermark == block.ts_ns).all()
        assert (work.keep == (block.kind != HEARTBEAT)).all()
        columns = block.partition.tolist(), block.ts_ns.tolist(), block.offset.tolist()
        self.seen += zip(*columns, strict=True)


class Everything(Stateless):
    """Keeps every tick that is not late, as a shard's first operators would."""

    name = "everything"

    def process(self, work: Work, outbox: Outbox) -> None:
        """Let trades count."""
        work.counts = work.keep & (work.block.kind == 1)


def shard_of(lateness_ns: int) -> tuple[TickShard, Watch]:
    watch = Watch()
    chain: list[Operator] = [Everything(), InOrder([watch], trades=True)]
    return TickShard(Watermarks(lateness_ns), Symbols(1000 * NS), chain), watch


def seen_of(ticks: list[Tick], lateness_ns: int, cut: Callable[[], int], restarts: float) -> Seen:
    rng = random.Random(5)
    shard, watch = shard_of(lateness_ns)
    seen: Seen = []
    rest = ticks
    while rest:
        size = cut()
        list(shard.process(block_of(rest[:size], 3), Outputs()))
        rest = rest[size:]
        if rng.random() < restarts:
            kept = shard.snapshot()
            seen += watch.seen
            shard, watch = shard_of(lateness_ns)
            shard.restore(kept)
    return seen + watch.seen


def sorted_ticks(ticks: list[Tick], lateness_ns: int) -> dict[int, Seen]:
    """Return what must come by partition: by (event time, number, arrival), up to the watermark."""
    found: dict[int, Seen] = {}
    for partition in range(3):
        mine = [t for t in ticks if t.partition == partition]
        newest = -(10**18)
        held: list[Tick] = []
        for t in mine:
            newest = max(newest, t.ts_ns)
            if t.ts_ns >= newest - lateness_ns and t.kind != "heartbeat":
                held.append(t)
        held = [t for t in held if t.ts_ns < newest - lateness_ns]
        held.sort(key=lambda t: (t.ts_ns, -1 if t.seq is None else t.seq))
        found[partition] = [(partition, t.ts_ns, t.offset) for t in held]
    return found


def skewed(seed: int, count: int, skews_ns: list[int]) -> list[Tick]:
    """Return ticks of venues whose clocks differ, a few of them heartbeats, in three partitions."""
    rng = random.Random(seed)
    ticks: list[Tick] = []
    now_ns = 1000 * NS
    for offset in range(count):
        now_ns += rng.choice([0, 0, 1, 1000, NS // 500])
        partition = rng.choice([0, 0, 0, 1, 1, 2])
        ts_ns = now_ns - rng.choice(skews_ns)
        kind: Kind = "heartbeat" if rng.random() < 0.01 else rng.choice(KINDS)
        ticks.append(
            Tick(
                partition, offset, kind, ts_ns, symbol=f"S{partition}{rng.randrange(3)}",
                venue=rng.choice("NQ"), seq=rng.choice([None, rng.randrange(100)]), price=1.0,
                size=1.0, bid=1.0, bid_size=1.0, ask=1.5, ask_size=1.0,
            )
        )  # fmt: skip
    return ticks


@pytest.mark.parametrize("skews", [[0], [0, NS // 3], [0, 0, NS], [0, NS // 3, NS // 2, 3 * NS]])
@pytest.mark.parametrize("size", [1, 7, 500, 4096])
def test_ticks_come_sorted_once_the_watermark_has_passed_them(skews: list[int], size: int) -> None:
    assert kernel.merge.signatures
    ticks = skewed(size, 6000 if size > 7 else 1500, skews)
    seen = seen_of(ticks, NS, lambda: size, 0.05)
    expected = sorted_ticks(ticks, NS)
    for partition in range(3):
        mine = [s for s in seen if s[0] == partition]
        assert [s for s in mine if s[2] >= 0] == expected[partition]
        # A watermark comes behind all that it has passed, and before all that it has not.
        for (_, before, was), (_, after, offset) in itertools.pairwise(mine):
            assert before <= after if was < 0 or offset >= 0 else before < after


def test_what_is_held_fits_however_much_it_grows_and_shrinks() -> None:
    ticks: list[Tick] = []
    for round_ in range(6):
        at_ns = (1000 + 100 * round_) * NS
        burst = 10 ** (1 + round_ % 4)
        ticks += [
            Tick(0, len(ticks) + i, "trade", at_ns - i, symbol="A", price=1.0, size=1.0)
            for i in range(burst)
        ]
    for cut in (lambda: 3, lambda: 1000):
        seen = [s for s in seen_of(ticks, 10 * NS, cut, 0.1) if s[2] >= 0]
        assert seen == sorted_ticks(ticks, 10 * NS)[0]


def test_only_what_is_held_is_kept_in_a_snapshot() -> None:
    shard, _ = shard_of(NS)
    ticks = [Tick(0, i, "trade", i * NS // 10, symbol="A", price=1.0, size=1.0) for i in range(500)]
    list(shard.process(block_of(ticks, 1), Outputs()))
    parts = shard.snapshot()["operators"]["in_order"]
    assert parts["partition"][1] == (11,)
    assert shard.describe("A")["0"]["in_order"] == {"held": 11}


def shuffled(ticks: list[Tick], within_ns: int, seed: int) -> list[Tick]:
    """Return the ticks as they may arrive, each up to ``within_ns`` late; heartbeats stay last."""
    rng = random.Random(seed)
    return sorted(ticks, key=lambda t: t.ts_ns + rng.randrange(within_ns))


def test_no_order_of_arrival_within_the_lateness_changes_what_follows_event_time() -> None:
    market = Market(
        lateness=NS,
        intervals=(NS,),
        symbol_ttl=100 * NS,
        risk=Risk(interval=NS, min_observations=2),
        luld=Luld(enabled=True),
    )
    rng = random.Random(1)
    ticks = [
        replace(t, ts_ns=(1000 * NS + i * NS // 40), offset=i, seq=None, partition=0)
        for i, t in enumerate(skewed(1, 3000, [0]))
        if t.kind != "heartbeat"
    ]
    ticks = [
        replace(t, price=100.0 + rng.randrange(9), bid=90.0 + rng.randrange(40), ask=131.0)
        for t in ticks
    ]
    end = Tick(0, 5000, "heartbeat", 2000 * NS)

    def outputs(arrival: list[Tick]) -> dict[str, list[Record]]:
        driver = Driver(market, 1, cut=lambda: 97, in_order=operators(OURS))
        found = driver.run([*arrival, end])
        assert not found["late"]
        return {name: found[name] for name in ("nbbo", "features", "bands")}

    expected = outputs(ticks)
    assert all(len(records) > 50 for records in expected.values())
    for seed in range(5):
        assert outputs(shuffled(ticks, NS, seed)) == expected


@pytest.mark.parametrize("first", range(0, 200, 20))
def test_the_nbbo_and_all_else_equal_the_oracle_on_200_random_streams(first: int) -> None:
    for seed in range(first, first + 20):
        ours = replace(
            reference_settings(), lateness_ns=[0, NS // 2, NS, 3 * NS][seed % 4],
            symbol_ttl_ns=[20 * NS, 1000 * NS][seed % 2], quote_ttl_ns=[0, 0, NS][seed % 3],
        )  # fmt: skip
        stream = random_stream(1000 + seed, 250, ours)
        assert difference(stream, ours, seed, 64, shards=1) is None


def test_the_smallest_and_the_largest_times_and_numbers_keep_their_order() -> None:
    assert kernel.append.signatures
    times = [-(1 << 61), 0, 1, (1 << 62) - 1]
    numbers = [None, 0, 1, (1 << 63) - 1]
    ticks = [
        Tick(0, i, "trade", ts_ns, symbol="A", price=1.0, size=1.0, seq=seq)
        for i, (ts_ns, seq) in enumerate((t, s) for t in times for s in numbers)
    ]
    seen = seen_of([*ticks, Tick(0, 99, "heartbeat", (1 << 62))], 0, lambda: 3, 0.0)
    assert [offset for _, _, offset in seen if offset >= 0] == list(range(len(ticks)))
    assert np.iinfo(np.int64).max == numbers[-1]
