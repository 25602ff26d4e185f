"""Trades that are cancelled or corrected, against the reference and by hand."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from pydantic import ValidationError

from flows.market.settings import Market
from state.clock import NS
from tests.driver import Driver
from tests.operators.market.test_against_reference import driver_by_seed, market_settings, vary
from tests.reference import market as reference
from tests.reference.compare import first_difference
from tests.reference.streams import CONDITIONS, TRADE_SIZES, random_stream
from tests.reference.vocabulary import ReferenceSettings, Tick

AGE_NS = 4 * NS


def corrected(ticks: list[Tick], rng: random.Random) -> list[Tick]:
    """Return the ticks with corrections of earlier trades between them, some of which miss."""
    found: list[Tick] = []
    trades: dict[int, list[Tick]] = {}
    for tick in ticks:
        found.append(tick)
        known = trades.setdefault(tick.partition, [])
        if tick.kind == "trade":
            known.append(tick)
        numbers = range(1, 1 + rng.choice([0, 0, 0, 1, 2])) if known else range(0)
        found += [correction(tick, rng.choice(known[-10:]), number, rng) for number in numbers]
    return found


def correction(after: Tick, trade: Tick, number: int, rng: random.Random) -> Tick:
    """Return a correction of a trade that arrives behind the tick ``after``."""
    cancel = rng.random() < 0.4
    by_time = trade.seq is None or rng.random() < 0.6
    return Tick(
        partition=after.partition,
        offset=after.offset,
        sequence=number,
        kind="correction",
        ts_ns=after.ts_ns - rng.choice([0, 0, 1, NS, 10 * NS]),
        timestamp_ns=after.timestamp_ns,
        symbol=trade.symbol,
        venue=trade.venue if rng.random() < 0.9 else "N",
        condition="" if cancel else rng.choice(["", "", *CONDITIONS]),
        price=0.0 if cancel else rng.randint(9990, 10010) / 100,
        size=0.0 if cancel else rng.choice(TRADE_SIZES),
        seq=rng.choice([None, None, None, trade.seq, (trade.seq or 0) + 1]),
        retried=rng.random() < 0.1,
        trade_ts_ns=trade.ts_ns + rng.choice([0] * 9 + [1]) if by_time else 0,
        trade_seq=trade.seq if rng.random() < 0.5 or not by_time else None,
    )


@pytest.mark.parametrize("seed", range(24))
def test_corrected_bars_equal_the_definition(seed: int) -> None:
    rng = random.Random(seed)
    ours = replace(vary(seed), correctable_ns=rng.choice([1, NS, AGE_NS]))
    ours = replace(ours, symbol_ttl_ns=max(ours.symbol_ttl_ns, 15 * NS))
    ticks = corrected(random_stream(seed, 800, ours).ticks, rng)
    market = market_settings(ours).model_copy(update={"correctable": ours.correctable_ns})
    driver = driver_by_seed(market, ours.partitions, seed, rng, restarts=0.1)
    found, right = driver.run(ticks), reference.run(ticks, ours)
    assert first_difference(right, found) is None
    if ours.correctable_ns == AGE_NS:
        assert {record["version"] for record in found["corrected_bars"]} >= {2}
    assert "unknown trade" in {record["reason"] for record in found["late"]}


def bars_of(corrections: list[Tick], correctable_ns: int = AGE_NS) -> dict[str, list[object]]:
    """Return the bars of the second after four trades of it and some corrections."""
    trades = [
        Tick(0, i, "trade", NS + i, symbol="A", venue="N", price=price, size=10.0, seq=7 + i)
        for i, price in enumerate([100.0, 105.0, 95.0, 101.0])
    ]
    end = Tick(0, 90, "heartbeat", 4 * NS)
    excluded = frozenset({"odd"})
    settings = ReferenceSettings(
        lateness_ns=0, intervals_ns=(NS, 60 * NS), excluded_conditions=excluded
    )
    market = market_settings(settings).model_copy(update={"correctable": correctable_ns})
    found = Driver(market, 1).run([*trades, *corrections, end])
    shape = ("open", "high", "low", "close", "volume", "vwap", "trades")
    return {
        name: [tuple(bar[field] for field in shape) for bar in found[name]]
        for name in ("bars", "corrected_bars")
    } | {"late": [record["reason"] for record in found["late"]]}


def cancel(offset: int, seq: int, ts_ns: int = NS + 10) -> Tick:
    """Return the cancel of a trade by its number."""
    return Tick(0, offset, "correction", ts_ns, symbol="A", venue="N", trade_seq=seq)


def test_an_open_bar_takes_a_cancel_in() -> None:
    found = bars_of([cancel(10, 8)])
    assert found["bars"] == [(100.0, 101.0, 95.0, 101.0, 30.0, 296 / 3, 3)]
    assert found["corrected_bars"] == found["late"] == []


def test_an_open_bar_takes_a_correction_in() -> None:
    right = replace(cancel(10, 7), price=99.0, size=20.0)
    found = bars_of([right])
    assert found["bars"] == [(99.0, 105.0, 95.0, 101.0, 50.0, 99.8, 4)]


def test_a_closed_bar_gets_a_new_version() -> None:
    found = bars_of([cancel(10, 8, 2 * NS), cancel(11, 9, 2 * NS)])
    assert found["bars"] == [(100.0, 105.0, 95.0, 101.0, 40.0, 100.25, 4)]
    assert found["corrected_bars"] == [
        (100.0, 101.0, 95.0, 101.0, 30.0, 296 / 3, 3),
        (100.0, 101.0, 100.0, 101.0, 20.0, 100.5, 2),
    ]


def test_a_closed_bar_may_lose_all_of_its_trades() -> None:
    found = bars_of([cancel(10 + i, 7 + i, 2 * NS) for i in range(4)])
    assert found["corrected_bars"][-1] == (None, None, None, None, 0.0, None, 0)


def test_an_open_bar_without_trades_is_none() -> None:
    found = bars_of([cancel(10 + i, 7 + i) for i in range(4)])
    assert found["bars"] == found["corrected_bars"] == []


def test_a_trade_is_cancelled_once_while_it_is_young() -> None:
    found = bars_of([cancel(10, 8), cancel(11, 8), cancel(12, 99), cancel(13, 9, 9 * NS)])
    assert found["late"] == ["unknown trade"] * 3


def test_a_trade_that_never_counted_makes_no_bar_anew() -> None:
    odd = Tick(0, 5, "trade", NS + 9, symbol="B", price=1.0, size=1.0, condition="odd")
    gone = Tick(0, 20, "correction", 3 * NS, symbol="B", trade_ts_ns=NS + 9)
    found = bars_of([odd, gone])
    assert found["corrected_bars"] == found["late"] == []


def test_the_numbers_that_a_cancel_reveals_as_missing_are_those_of_trades() -> None:
    trade = Tick(0, 0, "trade", NS, symbol="A", price=1.0, size=1.0, seq=1)
    gone = Tick(0, 1, "correction", NS + 1, symbol="A", trade_seq=1, seq=5)
    gaps = Driver(Market(), 1).run([trade, gone])["gaps"]
    assert [(gap["type"], gap["count"]) for gap in gaps] == [("trade", 3)]


def test_nothing_is_corrected_where_that_is_off() -> None:
    found = bars_of([cancel(10, 8)], correctable_ns=0)
    assert found["bars"] == [(100.0, 105.0, 95.0, 101.0, 40.0, 100.25, 4)]
    assert found["late"] == ["unknown trade"]


def test_symbols_outlive_what_can_be_corrected() -> None:
    with pytest.raises(ValidationError, match="symbol_ttl must exceed lateness"):
        Market(symbol_ttl=3600 * NS, correctable=3540 * NS)
