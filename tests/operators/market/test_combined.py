"""A symbol lives in one partition: what combines them notices where it does not."""

from __future__ import annotations

import pytest

from flows.market.flow import make_combined, make_shard
from flows.market.settings import Market
from operators.market.handover import Handover
from operators.outputs import Outputs
from state.clock import NS
from state.errors import SplitSymbol
from tests.driver import block_of
from tests.reference.vocabulary import Tick

MARKET = Market(symbol_ttl=90 * NS, intervals=(60 * NS,))


def tick(partition: int, seconds: int, symbol: str = "A") -> Tick:
    return Tick(partition, seconds, "trade", seconds * NS, symbol=symbol, price=1.0, size=1.0)


def handed(ticks: list[Tick], *, restart: bool = False) -> list[Handover]:
    shard = make_shard(MARKET)
    found: list[Handover] = []
    for each in ticks:
        found += shard.process(block_of([each], 2), Outputs())
        if restart:
            kept = shard.snapshot()
            shard = make_shard(MARKET)
            shard.restore(kept)
    return found


def combine(handovers: list[Handover], *, restart: bool = False) -> None:
    combined = make_combined(MARKET)
    for handover in handovers:
        list(combined.process(handover, Outputs()))
        if restart:
            kept = combined.snapshot()
            combined = make_combined(MARKET)
            combined.restore(kept)


@pytest.mark.parametrize("restart", [False, True])
def test_a_symbol_in_two_partitions_stops_the_flow(restart: bool) -> None:
    apart = handed([tick(0, 1), tick(0, 2, "B")], restart=restart)
    other = handed([tick(1, 1, "C"), tick(1, 2)], restart=restart)
    for order in (apart + other, other + apart, handed([tick(0, 1), tick(1, 1)])):
        with pytest.raises(SplitSymbol, match="'A' are in partitions 0 and 1"):
            combine(order, restart=restart)


def test_a_symbol_that_expired_keeps_its_home() -> None:
    combine(handed([tick(0, 1), tick(0, 200), tick(0, 400), tick(1, 400, "B")], restart=True))
    apart = handed([tick(0, 1), tick(0, 200, "B"), tick(0, 201, "B")])
    other = handed([tick(1, 300)])
    for order in (apart + other, other + apart):
        with pytest.raises(SplitSymbol):
            combine(order)


def test_a_shard_of_before_homes_tells_all_of_its_symbols() -> None:
    shard = make_shard(MARKET)
    list(shard.process(block_of([tick(0, 1), tick(0, 1, "B")], 2), Outputs()))
    kept = shard.snapshot()
    del kept["symbols"]["homes"]
    shard = make_shard(MARKET)
    shard.restore(kept)
    (handover,) = shard.process(block_of([tick(0, 2)], 2), Outputs())
    with pytest.raises(SplitSymbol, match="'B' are in partitions 0 and 1"):
        combine([handover, *handed([tick(1, 1, "B")])])
