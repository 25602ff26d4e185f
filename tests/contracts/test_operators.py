"""The contract suite on the market's own operators."""

from __future__ import annotations

from flows.market.settings import Market
from tests.contracts import operators as contract

FEW = Market(intervals=(60_000_000_000,), lateness=2_000_000_000, symbol_ttl=120_000_000_000)


def test_the_markets_operators_keep_the_contract() -> None:
    contract.check(contract.none)


def test_they_keep_it_when_lateness_exceeds_an_interval() -> None:
    market = contract.MARKET.model_copy(update={"lateness": 3_500_000_000})
    contract.check_cuts_and_restarts(contract.none, market)


def test_they_keep_it_with_long_windows() -> None:
    contract.check_memory_is_bounded(contract.none, FEW)
