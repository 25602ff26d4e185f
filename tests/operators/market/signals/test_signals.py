"""All signals at once: against the reference, and under the contract of operators."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.market.signals.order_flow import OrderFlow
from operators.market.signals.signals import Signals
from state.clock import NS
from tests.contracts import operators as contract
from tests.driver import Driver
from tests.operators.market.signals.making import OURS, operators, side_by_offset, with_pairs
from tests.operators.market.test_against_reference import market_settings
from tests.reference.compare import first_difference
from tests.reference.signals import SignalSettings, features
from tests.reference.streams import (
    MILLISECOND_NS,
    Stream,
    build,
    choose_step,
    random_stream,
    reference_settings,
    streams,
)
from tests.reference.vocabulary import ReferenceSettings, Tick

KINDS = {
    "order-flow-imbalance",
    "micro-price",
    "realised-variance",
    "kyle-lambda",
    "hawkes",
    "cusum",
    "vpin",
}


def exact(ticks: list[Tick]) -> list[Tick]:
    """Return the ticks with sizes whose sums are exact.

    Whether a trade completes a bucket would otherwise be a matter of rounding.
    """
    return [replace(tick, size=max(0.25, round(tick.size * 4) / 4)) for tick in ticks]


def difference(
    stream: Stream, theirs: ReferenceSettings, ours: SignalSettings, seed: int, largest: int
) -> str | None:
    """Return where the operator first differs from the definition, or None."""
    rng, ticks = random.Random(seed), exact(stream.ticks)
    driver = Driver(
        with_pairs(market_settings(theirs), ours),
        theirs.partitions,
        shards=1 + seed % 2,
        cut=lambda: rng.randint(1, largest),
        restart=lambda: rng.random() < 0.2,
        in_order=operators(ours),
    )
    found = driver.run(ticks).get("features", [])
    found.sort(key=lambda record: (record["ts_ns"], record["id"]))
    expected = features(ticks, theirs, ours, side_by_offset)
    return first_difference({"features": expected}, {"features": found}, 1e-12, 1e-12)


def dense_stream(seed: int, count: int, theirs: ReferenceSettings) -> Stream:
    """Return a stream like `random_stream`, of busy symbols whose book is seldom crossed."""
    rng = random.Random(seed)
    steps = [choose_step(rng.choice, theirs) for _ in range(count)]
    return build(
        [
            replace(
                step,
                advance_ns=rng.choice((0, 1, 5 * MILLISECOND_NS, 20 * MILLISECOND_NS)),
                behind_ns=min(step.behind_ns, theirs.lateness_ns + 1),
                snap="no",
                seq=rng.choice(("none", step.seq)),
                cents=step.cents - 10 if step.kind == "quote" else step.cents,
                ask_cents=step.ask_cents + 10,
                bid_size=max(step.bid_size, 1.0),
                ask_size=max(step.ask_size, 1.0),
            )
            for step in steps
        ],
        theirs,
    )


@settings(max_examples=60)
@given(
    stream=streams(reference_settings()),
    seed=st.integers(0, 2**32),
    largest=st.sampled_from([1, 3, 17, 4096]),
)
def test_signals_equal_the_definition(stream: Stream, seed: int, largest: int) -> None:
    assert difference(stream, reference_settings(), OURS, seed, largest) is None


def vary(seed: int) -> tuple[ReferenceSettings, SignalSettings]:
    """Return settings that differ by seed in what decides about borders."""
    rng = random.Random(seed)
    theirs = replace(
        reference_settings(rng.choice([1, 2, 3])),
        lateness_ns=rng.choice([0, 1, NS // 2, NS, 3 * NS + 7]),
        symbol_ttl_ns=rng.choice([10 * NS, 20 * NS, 1000 * NS]),
    )
    ours = replace(
        OURS,
        interval_ns=rng.choice([NS, 5 * NS]),
        grid_ns=rng.choice([NS // 10, NS // 4]),
        price=rng.choice(["mid", "trade"]),
        kyle_trades=rng.choice([2, 7, 50]),
        cusum_threshold=rng.choice([0.5, 2.0]) if seed % 2 else 0.0005,
        cusum_of_sigma=seed % 2 == 1,
        vpin_buckets=rng.choice([1, 4]),
        vpin_volume=rng.choice([22.75, 100.0, 1000.0]),
    )
    return theirs, ours


@pytest.mark.parametrize("seed", range(10))
def test_signals_equal_the_definition_on_long_streams(seed: int) -> None:
    theirs, ours = vary(seed)
    assert difference(random_stream(seed, 700, theirs), theirs, ours, seed, 5 ** (seed % 5)) is None


@pytest.mark.parametrize("seed", range(6))
def test_signals_equal_the_definition_of_busy_symbols(seed: int) -> None:
    theirs, ours = vary(seed)
    assert difference(dense_stream(seed, 700, theirs), theirs, ours, seed, 5 ** (seed % 5)) is None


def test_the_streams_make_every_kind_of_signal() -> None:
    theirs = reference_settings()
    for make in (random_stream, dense_stream):
        found = features(make(3, 900, theirs).ticks, theirs, OURS, side_by_offset)
        count = Counter(record["kind"] for record in found)
        assert set(count) == KINDS | {"pairs"}
        assert min(count.values()) >= 10, count
    micro = [(r["value"], r["details"]) for r in found if r["kind"] == "micro-price"]
    assert any(value != details["weighted_mid"] for value, details in micro)
    assert any(record["details"].get("jump_z") is not None for record in found)


def test_the_operator_keeps_the_contract() -> None:
    contract.check(in_order=operators(OURS))


def test_it_keeps_it_when_lateness_exceeds_an_interval() -> None:
    market = contract.MARKET.model_copy(update={"lateness": 3_500_000_000})
    contract.check_cuts_and_restarts(contract.none, market, operators(OURS))


def test_an_identity_comes_once() -> None:
    theirs = reference_settings()
    driver = Driver(market_settings(theirs), 2, in_order=operators(OURS))
    found = driver.run(random_stream(5, 2000, theirs).ticks)["features"]
    assert len({record["id"] for record in found}) == len(found) > 1000


def test_a_window_without_a_trade_still_has_the_signals_of_its_quotes() -> None:
    theirs = reference_settings(1)
    quotes = [
        Tick(0, i, "quote", 10 * NS + i, symbol="A", bid=9.0, bid_size=1.0 + i, ask=10.0,
             ask_size=1.0)
        for i in range(3)
    ]  # fmt: skip
    end = Tick(0, 3, "heartbeat", 20 * NS)
    driver = Driver(market_settings(theirs), 1, in_order=operators(OURS))
    found = {r["kind"]: r for r in driver.run([*quotes, end])["features"]}
    assert set(found) == {"order-flow-imbalance", "micro-price", "realised-variance"}
    assert found["order-flow-imbalance"] == {
        "id": f"A|order-flow-imbalance|{11 * NS}",
        "ts_ns": 11 * NS,
        "symbol": "A",
        "kind": "order-flow-imbalance",
        "value": 2.0,
        "details": {"quotes": 3},
    }


def test_a_slot_that_passes_to_another_partition_takes_no_window_along() -> None:
    """Its new symbol is at the time at which the old one was, as its partition is behind."""
    theirs = replace(reference_settings(2), symbol_ttl_ns=10 * NS)
    old = Tick(0, 0, "quote", 100 * NS, symbol="A", bid=9.0, bid_size=1.0, ask=10.0, ask_size=1.0)
    new = replace(old, partition=1, symbol="B", ts_ns=100 * NS + 5)
    ticks = [
        old,
        Tick(0, 1, "heartbeat", 200 * NS),
        new,
        replace(new, offset=1, ts_ns=100 * NS + 6),
        Tick(1, 2, "heartbeat", 200 * NS),
    ]
    driver = Driver(market_settings(theirs), 2, cut=lambda: 1, in_order=operators(OURS))
    found = [record["symbol"] for record in driver.run(ticks)["features"]]
    assert found == ["A"] * 3 + ["B"] * 3
    assert driver._shards[0].symbols.names == ["B"]


def test_ticks_that_do_not_come_in_order_are_found_out() -> None:
    theirs = replace(reference_settings(1), lateness_ns=50 * NS, symbol_ttl_ns=100 * NS)
    driver = Driver(market_settings(theirs), 1, more=operators(OURS))
    ticks = [Tick(0, i, "trade", (90 + i) * NS, symbol="A", price=1.0, size=1.0) for i in range(5)]
    with pytest.raises(AssertionError, match="order of event time"):
        driver.run(ticks)


def test_two_signals_of_one_kind_are_refused() -> None:
    with pytest.raises(ValueError, match="two signals"):
        Signals(NS, [OrderFlow(), OrderFlow()])


def test_what_is_shown_of_a_symbol_is_short() -> None:
    theirs = reference_settings(1)
    driver = Driver(market_settings(theirs), 1, in_order=operators(OURS))
    driver.run(random_stream(3, 200, theirs).ticks)
    shown = driver._shards[0].describe("AAA")["0"]["in_order"]["signals"]
    assert set(shown) == KINDS | {"prices"}
    assert set(shown["kyle-lambda"]) == {"pending", "count", "sums"}
