"""Every tick is kept, a duplicate or late; nothing leaves without a trace."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from replay.accounts import accounts, since
from state.errors import Broken
from state.metrics import KEPT, RECORDS
from tests.driver import Driver
from tests.operators.market.test_against_reference import market_settings, vary
from tests.reference.streams import random_stream


@pytest.mark.parametrize("seed", range(20, 32))
def test_every_trade_is_in_a_bar_of_each_interval_or_told_of(seed: int) -> None:
    ours, rng = vary(seed), random.Random(seed)
    ticks = [
        replace(tick, condition="")
        for tick in random_stream(seed, 1500, ours).ticks
        if tick.kind != "quote" and not tick.retried
    ]
    before = accounts()
    found = Driver(
        market_settings(ours), ours.partitions, 1 + seed % 3, cut=lambda: rng.randint(1, 40)
    ).run(ticks)
    (account,) = since(before)
    trades = sum(tick.kind == "trade" for tick in ticks)
    assert (account.records, account.heartbeats) == (len(ticks), len(ticks) - trades)
    assert account.late == len(found["late"]) > 0
    assert account.duplicates > 0
    in_bars = Counter[str]()
    for bar in found["bars"]:
        in_bars[bar["interval"]] += bar["trades"]
    kept = trades - account.late - account.duplicates
    assert max(in_bars.values()) == account.kept == kept
    # By window, a late trade may find the bar of the minute open and that of the second closed.
    assert set(in_bars.values()) == {kept} or ours.late == "window"


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_missing_of_quotes_conditions_and_retried_ticks(seed: int) -> None:
    ours = vary(seed)
    ticks = random_stream(seed, 1500, ours).ticks
    before = accounts()
    found = Driver(market_settings(ours), ours.partitions, cut=lambda: 17).run(ticks)
    (account,) = since(before)
    assert account.late == len(found["late"])
    assert account.missing() == 0


def test_a_record_that_is_missing_is_an_error() -> None:
    before = accounts()
    RECORDS.labels("lost").inc(3)
    KEPT.labels("lost").inc(2)
    with pytest.raises(Broken, match="1 records of lost have left without a trace"):
        since(before)
    KEPT.labels("lost").inc(1)
    assert [account.topic for account in since(before)] == ["lost"]
