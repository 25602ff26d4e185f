"""Prices at and below zero, of the symbols that may have them."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest
from pydantic import ValidationError

from connectors.market.decode import TickDecoder
from connectors.market.ticks import Signed
from flows.market.settings import Market, Risk, Signals
from state.clock import NS
from state.market.ticks import ZERO, Correction, TickBlock
from tests.connectors.market.batches import AHEAD_NS, NOW_NS, messages
from tests.driver import Driver
from tests.operators.market.test_against_reference import market_settings, vary
from tests.reference.streams import random_stream
from tests.reference.vocabulary import Record, Tick

SHIFT = 10_000


def shifted(tick: Tick, shift: int) -> Tick:
    """Return a tick with prices in whole cents, less ``shift``; a side without a price has none."""

    def moved(price: float) -> float:
        return (round(price * 100) - shift or ZERO) if price else 0.0

    if tick.kind == "trade":
        return replace(tick, price=float(round(tick.price * 100) - shift))
    return replace(tick, bid=moved(tick.bid), ask=moved(tick.ask))


def back(record: Record) -> Record:
    """Return a record as it would be without the shift; a mean is rounded."""
    prices = {
        name: record[name] + SHIFT
        for name in ("open", "high", "low", "close", "bid", "ask")
        if record.get(name) is not None
    }
    mean = {"vwap": pytest.approx(record["vwap"] + SHIFT)} if "vwap" in record else {}
    return record | prices | mean


@pytest.mark.parametrize("seed", range(6))
def test_bars_and_nbbo_of_shifted_prices_are_shifted(seed: int) -> None:
    ours = vary(seed)
    ticks = random_stream(seed, 1000, ours).ticks
    market = market_settings(ours)
    above, around = (
        Driver(market, ours.partitions).run([shifted(tick, shift) for tick in ticks])
        for shift in (0, SHIFT)
    )
    for name in ("bars", "nbbo"):
        assert above[name] == [back(record) for record in around[name]]
    low = [bar["low"] for bar in around["bars"]]
    assert min(low) < 0 < max(low)
    assert 0.0 in {quote["bid"] for quote in around["nbbo"]}


def decoded(*fields: dict[str, object]) -> TickBlock:
    """Return the block of some records of the symbol CLK20, which may be below zero."""
    common = {"symbol": "CLK20", "ts_ns": NOW_NS}
    values = [orjson.dumps(common | each) for each in fields]
    return TickDecoder(AHEAD_NS, None, Signed(("CL*",))).decode(messages(values))


def test_a_trade_may_be_below_zero() -> None:
    prices = [-37.63, 0, -1e15, 12.5]
    block = decoded(*({"type": "trade", "price": price, "size": 1} for price in prices))
    assert (block.price.tolist(), block.dead) == (prices, [])


def test_a_quote_of_zero_is_a_price_where_it_has_a_size() -> None:
    block = decoded(
        {"type": "quote", "bid": 0, "bid_size": 3, "ask": 0.01, "ask_size": 1},
        {"type": "quote", "bid": -0.02, "bid_size": 3, "ask": 0, "ask_size": 0},
        {"type": "quote", "bid": None, "ask": 0, "ask_size": 2},
        {"type": "quote", "bid": 0, "ask": 1, "ask_size": 2},
    )
    assert block.dead == []
    assert block.price.tolist() == [ZERO, -0.02, 0.0, 0.0]
    assert block.ask.tolist() == [0.01, ZERO, ZERO, 1.0]
    assert block.ask_size.tolist() == [1.0, 0.0, 2.0, 2.0]


def test_a_correction_may_be_below_zero() -> None:
    block = decoded({"type": "correction", "trade_seq": 4, "price": -3, "size": 1})
    assert block.corrections == [Correction(0, 4, -3.0, 1.0)]


@pytest.mark.parametrize("price", [-1e16, 1e-16, -1e-16])
def test_a_price_that_cannot_be_is_a_dead_letter(price: float) -> None:
    block = decoded({"type": "trade", "price": price, "size": 1})
    assert [letter.error for letter in block.dead] == ["OutOfRange"]


def test_other_symbols_stay_above_zero() -> None:
    block = decoded(
        {"type": "trade", "symbol": "IBM", "price": -1, "size": 1},
        {"type": "quote", "symbol": "IBM", "bid": 0, "bid_size": 1, "ask": 2, "ask_size": 1},
    )
    assert [letter.error for letter in block.dead] == ["OutOfRange"]
    assert block.price.tolist() == [0.0]


def run(prices: list[float]) -> dict[str, list[Record]]:
    """Return what a trade a second makes, with every signal on."""
    signals = Signals(kinds=("realised-variance", "kyle-lambda", "cusum", "micro-price"))
    market = Market(
        lateness=0,
        signed=("*",),
        luld={"enabled": True},  # type: ignore[arg-type]  # as from a file
        intervals=(NS, 60 * NS),
        risk=Risk(interval=NS, min_observations=2),
        signals=signals,
    )
    ticks = [
        tick
        for n, price in enumerate(prices)
        for tick in (
            Tick(0, 2 * n, "trade", (n + 1) * NS, symbol="CL", price=price, size=1.0),
            Tick(0, 2 * n + 1, "quote", (n + 1) * NS + 1, symbol="CL", bid=price - 0.5 or ZERO,
                 bid_size=1.0, ask=price + 0.5 or ZERO, ask_size=1.0),
        )
    ]  # fmt: skip
    return Driver(market, 1).run([*ticks, Tick(0, 999, "heartbeat", 200 * NS)])


def test_there_is_no_return_from_or_to_a_price_that_is_not_above_zero() -> None:
    found = run([10.0, 10.1, 10.0, 10.1, -5.0, 0.0, -1.0, 10.0, 10.1])
    times = [record["ts_ns"] // NS for record in found["risk"]]
    assert times == [3, 4, 5, 9, 10]  # ends of the bars that close above zero, behind a return
    [fall] = [record for record in found["signals"] if record["ts_ns"] == 5 * NS]
    assert (fall["kind"], fall["value"]) == ("breach_down", pytest.approx(-5 / 10.1 - 1))
    assert {record["ts_ns"] for record in found["signals"]}.isdisjoint({6 * NS, 7 * NS, 8 * NS})


def test_signals_and_bands_look_past_a_quote_of_zero() -> None:
    quotes = [(1.0, 2.0), (ZERO, ZERO), (1.0, 2.0)]
    ticks = [
        Tick(
            0,
            n,
            "quote",
            (1 + 6 * n) * NS,
            symbol="CL",
            bid=bid,
            bid_size=1.0,
            ask=ask,
            ask_size=1.0,
        )
        for n, (bid, ask) in enumerate(quotes)
    ]
    market = Market(
        lateness=0,
        luld={"enabled": True},  # type: ignore[arg-type]  # as from a file
        signals=Signals(kinds=("realised-variance", "order-flow-imbalance")),
    )
    found = Driver(market, 1).run([*ticks, Tick(0, 9, "heartbeat", 200 * NS)])
    assert found["features"]
    for record in found["features"]:
        assert None not in (record["value"], record["details"].get("bv", 0.0))
    assert {record["state"] for record in found["bands"]} <= {"open"}


def test_order_flow_is_of_any_price() -> None:
    def value(shift: float) -> float:
        market = Market(lateness=0, signals=Signals(kinds=("order-flow-imbalance",)))
        ticks = [
            Tick(0, n, "quote", NS + n, symbol="CL", bid=n - shift, bid_size=1.0, ask=9.0 - shift,
                 ask_size=1.0)
            for n in range(1, 6)
        ]  # fmt: skip
        found = Driver(market, 1).run([*ticks, Tick(0, 9, "heartbeat", 200 * NS)])["features"]
        return float(found[0]["value"])

    assert value(20.0) == value(0.0) == 4.0


@pytest.mark.parametrize(
    "held", [{"portfolios": {"P": {"CLM5": 1.0}}}, {"signals": Signals(pairs={"P": ("A", "CLM5")})}]
)
def test_weights_and_pairs_need_prices_above_zero(held: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="CLM5 is in a portfolio or pair"):
        Market(signed=("CL*",), **held)  # type: ignore[arg-type]  # one of two
