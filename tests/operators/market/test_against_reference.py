"""The operators against the reference written from the definition, wherever a block is cut."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.market.settings import Market, Risk
from state.clock import NS
from tests.driver import Driver
from tests.reference import market as reference
from tests.reference.compare import first_difference
from tests.reference.streams import Stream, random_stream, reference_settings, streams
from tests.reference.vocabulary import ReferenceSettings, Tick


def market_settings(ours: ReferenceSettings) -> Market:
    """Return the flow's settings that mean what the reference's do."""
    return Market(
        topic=ours.topic,
        intervals=ours.intervals_ns,
        lateness=ours.lateness_ns,
        symbol_ttl=ours.symbol_ttl_ns,
        quote_ttl=ours.quote_ttl_ns,
        late=ours.late,
        sequences=ours.sequences,
        sequence_restart_after=ours.sequence_restart_after,
        excluded_conditions=tuple(ours.excluded_conditions),
        excluded_bits=ours.excluded_bits,
        risk=Risk(
            interval=ours.risk_interval_ns,
            **{"lambda": ours.ewma_lambda},  # type: ignore[arg-type]  # a word of Python's
            confidences=ours.confidences,
            horizons=ours.horizons,
            min_observations=ours.min_observations,
            breach_confidence=ours.breach_confidence,
        ),
        portfolios={name: dict(weights) for name, weights in ours.portfolios.items()},
    )


def difference(
    stream: Stream, ours: ReferenceSettings, seed: int, largest: int, shards: int
) -> str | None:
    """Return where the operators first differ from the definition, or None."""
    rng = random.Random(seed)
    driver = Driver(
        market_settings(ours),
        ours.partitions,
        shards,
        cut=lambda: rng.randint(1, largest),
        restart=lambda: rng.random() < 0.2,
    )
    return first_difference(reference.run(stream.ticks, ours), driver.run(stream.ticks))


@settings(max_examples=150)
@given(
    stream=streams(reference_settings()),
    seed=st.integers(0, 2**32),
    largest=st.sampled_from([1, 3, 17, 4096]),
)
def test_operators_equal_the_definition(stream: Stream, seed: int, largest: int) -> None:
    assert difference(stream, reference_settings(), seed, largest, shards=1 + seed % 2) is None


def vary(seed: int) -> ReferenceSettings:
    """Return settings that differ by seed in what decides about borders."""
    rng = random.Random(seed)
    return replace(
        reference_settings(rng.choice([1, 2, 3, 5])),
        lateness_ns=rng.choice([0, 1, NS // 2, NS, 3 * NS + 7]),
        symbol_ttl_ns=rng.choice([10 * NS, 20 * NS, 1000 * NS]),
        min_observations=rng.choice([2, 5]),
        breach_confidence=rng.choice([0.6, 0.9, 0.99]),
        quote_ttl_ns=rng.choice([0, 1, NS, 3 * NS]),
        late=rng.choice(["record", "window"]),
        sequences=rng.choice(["daily", "continuous"]),
        sequence_restart_after=rng.choice([0, 1, 3]),
    )


def driver_by_seed(
    market: Market, partitions: int, seed: int, rng: random.Random, restarts: float
) -> Driver:
    """Return a driver whose shards and blocks differ by seed; ``restarts`` is their share."""
    return Driver(
        market,
        partitions,
        shards=1 + seed % 2,
        cut=lambda: rng.randint(1, [1, 7, 4096][seed % 3]),
        restart=lambda: rng.random() < restarts,
    )


@pytest.mark.parametrize("seed", range(12))
def test_operators_equal_the_definition_on_long_streams(seed: int) -> None:
    ours = vary(seed)
    stream = random_stream(seed, 1500, ours)
    assert difference(stream, ours, seed, 5 ** (seed % 5), shards=1 + seed % 3) is None


@pytest.mark.parametrize("late", ["record", "window"])
@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("size", [1, 7, 4096])
def test_both_late_rules_equal_their_definition(
    late: Literal["record", "window"], shards: int, size: int
) -> None:
    ours = replace(reference_settings(3), late=late, lateness_ns=NS // 4)
    for seed in range(4):
        stream = random_stream(50 + seed, 600, ours)
        driver = Driver(market_settings(ours), 3, shards, cut=lambda: size)
        found = driver.run(stream.ticks)
        assert first_difference(reference.run(stream.ticks, ours), found) is None
        assert ("window closed" in {r["reason"] for r in found["late"]}) or late == "record"


def test_a_late_trade_counts_for_every_bar_that_is_open() -> None:
    trades = [
        Tick(0, i, "trade", seconds * NS, symbol="A", price=price, size=1.0)
        for i, (seconds, price) in enumerate([(600, 1.0), (610, 3.0), (605, 9.0), (550, 7.0)])
    ]
    beat = Tick(0, 9, "heartbeat", 1000 * NS)
    found = {}
    for late in ("record", "window"):
        market = Market(
            lateness=NS,
            intervals=(NS, 60 * NS),
            symbol_ttl=999 * NS,
            late=late,
        )
        outputs = Driver(market, 1).run([*trades, beat])
        minute = [b["trades"] for b in outputs["bars"] if b["interval"] == "1m"]
        found[late] = minute, [(r["offset"], r["reason"]) for r in outputs["late"]]
    behind = "behind the watermark"
    assert found["record"] == ([2], [(2, behind), (3, behind)])
    assert found["window"] == ([3], [(3, "window closed")])


def test_a_forecast_of_nothing_is_breached_by_any_move() -> None:
    trades = [
        Tick(0, i, "trade", i * NS, symbol="A", price=10.0 + (i == 4), size=1.0) for i in range(5)
    ]
    market = Market(
        lateness=0, intervals=(NS,), risk=Risk(interval=NS, min_observations=2), symbol_ttl=9 * NS
    )
    signals = Driver(market, 1).run(trades)["signals"]
    assert [(s["kind"], s["ts_ns"], s["threshold"]) for s in signals] == [
        ("breach_up", 4 * NS, 0.0)
    ]
