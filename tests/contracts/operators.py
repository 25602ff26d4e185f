"""The contract of every operator of the hot path, for ours and for one's own.

An operator joins by being listed in test_operators.py, or by a test that calls `check`.
"""

from __future__ import annotations

import copy
import pickle
import random
from collections.abc import Callable
from dataclasses import fields
from functools import partial

import numpy as np

from flows.market.flow import make_shard
from flows.market.settings import Market, Risk
from operators.market.operator import Operator
from operators.outputs import Outputs
from state.clock import NS
from state.records import OutputBatch
from tests.driver import Driver, block_of
from tests.reference.streams import random_stream, reference_settings
from tests.reference.vocabulary import Tick

MakeOperators = Callable[[], list[Operator]]
Counted = list[tuple[str, str, int, str, bytes]]

MARKET = Market(
    lateness=NS // 2,
    symbol_ttl=20 * NS,
    intervals=(NS, 5 * NS),
    risk=Risk(interval=NS, min_observations=2, breach_confidence=0.9),
)


def none() -> list[Operator]:
    """Return no operator besides those of the market."""
    return []


def check(
    more: MakeOperators = none, market: Market = MARKET, in_order: MakeOperators = none
) -> None:
    """Check operators that run behind those of the market; raises AssertionError."""
    for part in (
        check_cuts_and_restarts,
        check_input_is_left_alone,
        check_snapshot_is_a_copy,
        check_memory_is_bounded,
    ):
        part(more, market, in_order)


def check_cuts_and_restarts(
    more: MakeOperators, market: Market, in_order: MakeOperators = none
) -> None:
    """Every record, its order and its counter are the same however the input is cut."""
    ours = reference_settings()
    ticks = random_stream(7, 1200, ours).ticks
    rng = random.Random(7)
    expected = _counted(Driver(market, ours.partitions, more=more, in_order=in_order), ticks)
    assert expected, "the stream makes no output"
    for smallest, largest, restarts in ((1, 1, 0.02), (7, 7, 0.0), (1, 200, 0.5)):
        cut = partial(rng.randint, smallest, largest)
        restart = partial(_happens, rng, restarts)
        again = Driver(
            market, ours.partitions, cut=cut, restart=restart, more=more, in_order=in_order
        )
        assert _counted(again, ticks) == expected


def check_input_is_left_alone(
    more: MakeOperators, market: Market, in_order: MakeOperators = none
) -> None:
    """No operator writes into the block that it is given."""
    ours = reference_settings()
    block = block_of(random_stream(8, 400, ours).ticks, ours.partitions)
    before = copy.deepcopy(block)
    make_shard(market, more, in_order).process(block, Outputs())
    for field in fields(block):
        now, then = getattr(block, field.name), getattr(before, field.name)
        assert np.array_equal(now, then) if isinstance(now, np.ndarray) else now == then, field.name


def check_snapshot_is_a_copy(
    more: MakeOperators, market: Market, in_order: MakeOperators = none
) -> None:
    """What follows a snapshot does not change it, and it holds plain values alone."""
    ours = reference_settings()
    ticks = random_stream(9, 800, ours).ticks
    shard = make_shard(market, more, in_order)
    shard.process(block_of(ticks[:400], ours.partitions), Outputs())
    kept = shard.snapshot()
    then = pickle.dumps(kept)
    shard.process(block_of(ticks[400:], ours.partitions), Outputs())
    assert pickle.dumps(kept) == then
    assert_plain(kept)


def check_memory_is_bounded(
    more: MakeOperators, market: Market, in_order: MakeOperators = none
) -> None:
    """Symbols that come and go leave nothing behind."""
    shard = make_shard(market, more, in_order)
    sizes = []
    for period in range(12):
        start_ns = (1_000_000 + period) * 2 * market.symbol_ttl
        ticks = [
            Tick(
                partition=0,
                offset=i,
                kind="trade",
                ts_ns=start_ns + i * NS // 50,
                symbol=f"{period}.{i % 40}",
                price=1.0 + i,
                size=1.0,
                seq=i,
            )
            for i in range(400)
        ]
        shard.process(block_of(ticks, 1), Outputs())
        sizes.append(len(pickle.dumps(shard.snapshot())))
    assert max(sizes[4:]) <= 1.05 * max(sizes[:4]), sizes


def _happens(rng: random.Random, probability: float) -> bool:
    return rng.random() < probability


def _counted(driver: Driver, ticks: list[Tick]) -> Counted:
    driver.run(ticks)
    return sorted(row for batch in driver.batches for row in _rows(batch))


def _rows(batch: OutputBatch) -> Counted:
    if not batch.first:  # the driver does not count what the portfolios emit
        return []
    return [
        (batch.output, batch.origin, batch.first + i, batch.ids[i], batch.values[i])
        for i in range(len(batch))
    ]


def assert_plain(value: object) -> None:
    """Raise AssertionError where a snapshot holds anything but plain values."""
    if isinstance(value, dict):
        for key, part in value.items():
            assert_plain(key)
            assert_plain(part)
    elif isinstance(value, list | tuple):
        for part in value:
            assert_plain(part)
    else:
        assert value is None or type(value) in (bool, int, float, str, bytes), type(value)
