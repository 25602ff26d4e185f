"""Limit Up-Limit Down: the operator against its definition, the rules' figures, the contract."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from flows.market.settings import Market, Risk
from operators.market.kernels import bands as kernel
from operators.market.luld import ROOM, LimitUpDown
from operators.market.operator import Operator
from state.clock import NS
from tests.contracts import operators as contract
from tests.driver import Driver
from tests.reference import luld as reference
from tests.reference.luld import Rules
from tests.reference.vocabulary import Kind, Record, ReferenceSettings, Tick

MINUTE = 60 * NS
START = 1_381_321_800 * NS
"""A whole half minute."""
OURS = ReferenceSettings(
    partitions=2,
    lateness_ns=NS // 2,
    symbol_ttl_ns=400 * NS,
    intervals_ns=(NS,),
    risk_interval_ns=NS,
    excluded_conditions=frozenset({"odd"}),
)
MARKET = Market(
    intervals=(NS,),
    lateness=NS // 2,
    symbol_ttl=400 * NS,
    excluded_conditions=("odd",),
    risk=Risk(interval=NS),
)
RULES_ALWAYS = Rules(tiers={"A": 1})
LEVELS = {"A": 50.0, "B": 2.5, "C": 3.0, "D": 0.5, "E": 0.125}
RULES = Rules(
    tiers={"A": 1, "D": 1},
    sessions=(
        (START + 2 * MINUTE, START + 60 * MINUTE),
        (START + 61 * MINUTE, START + 62 * MINUTE),
        (START + 65 * MINUTE, START + 1000 * MINUTE),
    ),
)


def operators_of(rules: Rules, ttl_ns: int = 400 * NS) -> list[Operator]:
    opens = np.array([o for o, _ in rules.sessions], np.int64)
    closes = np.array([c for _, c in rules.sessions], np.int64)
    return [LimitUpDown(rules.tiers, opens, closes, ttl_ns)]


class WildMarket:
    """Makes ticks of a market that runs into its bands, is quick to turn, and falls silent.

    Prices are eighths, so that sums of them are exact in any order.
    """

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.now_ns = START
        self.offsets = [0, 0]
        self.ticks: list[Tick] = []

    def stream(self, count: int) -> list[Tick]:
        for _ in range(count):
            self._wait()
            symbol = self.rng.choice("AAABBCCDDE")
            act = self.rng.random()
            if act < 0.4:
                self._trade(symbol)
            elif act < 0.8:
                self._quote(symbol, self.rng.choice("NQX"), 1.0)
            elif act < 0.84:
                self._excursion(symbol)
            else:
                self._add("heartbeat")
        self.now_ns += 900 * NS
        for partition in (0, 1):
            tick = Tick(partition, self.offsets[partition], "heartbeat", self.now_ns)
            self.ticks.append(tick)
        return self.ticks

    def _add(self, kind: Kind, symbol: str = "", **fields: Any) -> None:
        partition = ord(symbol) % 2 if symbol else self.rng.randrange(2)
        behind_ns = self.rng.choice([0, 0, 0, 0, NS // 4, NS // 2, 2 * NS]) if symbol else 0
        offset, ts_ns = self.offsets[partition], self.now_ns - behind_ns
        self.ticks.append(Tick(partition, offset, kind, ts_ns, symbol=symbol, **fields))
        self.offsets[partition] += 1

    def _wait(self) -> None:
        steps = [0, 0, 1, NS // 10, NS // 3, NS, NS, 2 * NS]
        silences = [5 * NS, 15 * NS, 15 * NS - 1, 30 * NS, 100 * NS, 299 * NS, 300 * NS, 401 * NS]
        self.now_ns += self.rng.choice(steps if self.rng.random() < 0.97 else silences)
        if self.rng.random() < 0.1:
            self.now_ns -= self.now_ns % (15 * NS)

    def _trade(self, symbol: str) -> None:
        price = LEVELS[symbol] * self.rng.choice([1, 1, 1, 1, 1, 1.05, 0.97, 1.25, 0.75])
        self._add(
            "trade",
            symbol,
            price=max(round(price * 8) / 8, 0.125),
            size=1.0,
            condition=self.rng.choice(["", "", "", "odd"]),
            retried=self.rng.random() < 0.05,
        )

    def _quote(self, symbol: str, venue: str, tilt: float) -> None:
        """Quote both sides at the usual level, or only the side that may reach a band."""
        fields = {"bid": LEVELS[symbol] * tilt, "bid_size": 1.0}
        if tilt <= 1.0:
            fields = {} if tilt < 1.0 else fields
            fields |= {"ask": (LEVELS[symbol] + 0.125) * tilt, "ask_size": 1.0}
        self._add("quote", symbol, venue=venue, **fields)

    def _excursion(self, symbol: str) -> None:
        """Quote far off, in one moment or until the venue quotes again."""
        for tilt in self.rng.choice(
            [(2.0,), (0.5,), (1.25,), (0.75,), (2.0, 1.0), (0.5, 1.0, 1.5)]
        ):
            self._quote(symbol, "X", tilt)
            self.now_ns += self.rng.choice([0, 0, NS, 14 * NS])


def bands_of(ticks: list[Tick], rules: Rules, seed: int, largest: int) -> list[Record]:
    rng = random.Random(seed)
    driver = Driver(
        MARKET,
        2,
        shards=1 + seed % 2,
        cut=lambda: rng.randint(1, largest),
        restart=lambda: rng.random() < 0.1,
        in_order=lambda: operators_of(rules),
    )
    return driver.run(ticks)["bands"]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("rules", [RULES, RULES_ALWAYS], ids=["sessions", "always open"])
def test_the_operator_equals_the_definition(seed: int, rules: Rules) -> None:
    ticks = WildMarket(seed).stream(2500)
    expected = reference.run(ticks, OURS, rules)
    assert bands_of(ticks, rules, seed, 4 ** (1 + seed % 5)) == expected
    states = {(record["state"], record["reference"] is None) for record in expected}
    assert states == {
        ("open", False),
        ("open", True),
        ("limit_up", False),
        ("limit_down", False),
        ("paused", False),
    }


def test_order_and_counters_do_not_depend_on_the_cuts() -> None:
    ticks = WildMarket(6).stream(2500)

    def emitted(size: int) -> list[tuple[str, int, str]]:
        driver = Driver(MARKET, 2, cut=lambda: size, in_order=lambda: operators_of(RULES))
        driver.run(ticks)
        batches = [b for b in driver.batches if b.output == "bands"]
        return sorted((b.origin, b.first + i, b.ids[i]) for b in batches for i in range(len(b)))

    assert emitted(1) == emitted(7) == emitted(4096)


def test_symbols_that_change_at_one_row_come_by_name_however_many_they_are() -> None:
    names = [f"S{i:03}" for i in range(2 * ROOM + 10)]
    random.Random(1).shuffle(names)
    ticks = [Tick(0, i, "trade", START, symbol=n, price=9.0, size=1.0) for i, n in enumerate(names)]
    ticks.append(Tick(0, len(names), "heartbeat", START + 60 * MINUTE))
    driver = Driver(MARKET, 1, in_order=lambda: operators_of(Rules()))
    driver.run(ticks)
    ids = [i for b in driver.batches if b.output == "bands" for i in b.ids]
    assert ids[: len(names)] == [f"{name}|{START}|000000" for name in names]
    expiry_ns = START + 400 * NS + 1
    assert ids[len(names) :] == [f"{name}|{expiry_ns}|000000" for name in sorted(names)]


@pytest.mark.parametrize(
    ("reference_price", "tier", "width"),
    [
        *((100.0, 1, 5.0), (100.0, 2, 10.0), (3.01, 1, 0.1505), (3.01, 2, 0.301)),
        *((3.0, 1, 0.6), (3.0, 2, 0.6), (0.75, 1, 0.15), (0.75, 2, 0.15)),
        *((0.74, 1, 0.15), (0.2, 2, 0.15), (0.16, 1, 0.12), (0.04, 2, 0.03)),
    ],
)
def test_the_width_is_that_of_the_plans_table(
    reference_price: float, tier: int, width: float
) -> None:
    """LULD Plan, appendix A: percentage parameters of tier 1 and tier 2."""
    assert kernel.band_width.signatures
    assert kernel.band_width(reference_price, tier) == pytest.approx(width, rel=1e-12)


def story(*ticks: Tick, rules: Rules = RULES_ALWAYS) -> list[tuple[float, str, Any, Any]]:
    """Return (seconds from the start, state, lower, upper) of each change."""
    market = MARKET.model_copy(update={"symbol_ttl": 86_400 * NS})
    driver = Driver(market, 1, in_order=lambda: operators_of(rules, market.symbol_ttl))
    records = driver.run([replace(t, offset=i) for i, t in enumerate(ticks)])["bands"]
    return [((r["ts_ns"] - START) / NS, r["state"], r["lower"], r["upper"]) for r in records]


def trade(seconds: float, price: float, symbol: str = "A") -> Tick:
    ts_ns = START + int(seconds * NS)
    return Tick(0, 0, "trade", ts_ns, symbol=symbol, price=price, size=100.0)


def quote(seconds: float, bid: float, ask: float) -> Tick:
    return Tick(
        partition=0,
        offset=0,
        kind="quote",
        ts_ns=START + int(seconds * NS),
        symbol="A",
        venue="N",
        bid=bid,
        bid_size=1.0,
        ask=ask,
        ask_size=1.0,
    )


def beat(seconds: float) -> Tick:
    """Let the watermark reach a time."""
    return Tick(0, 0, "heartbeat", START + int(seconds * NS) + MARKET.lateness)


def test_a_limit_state_of_15_seconds_pauses_for_5_minutes_without_a_tick_of_the_symbol() -> None:
    before = [trade(0, 100.0), quote(1, 105.0, 106.0)]
    assert story(*before, beat(15.9)) == [(0, "open", 95.0, 105.0), (1, "limit_up", 95.0, 105.0)]
    after = story(*before, beat(16), beat(316), trade(317, 110.0), trade(318, 105.0))
    assert after[2:] == [
        (16, "paused", 95.0, 105.0),
        (316, "open", None, None),
        (317, "open", 104.5, 115.5),
    ]


def test_leaving_the_limit_state_in_time_prevents_the_pause() -> None:
    ticks = [trade(0, 100.0), quote(1, 94.0, 95.0), quote(15.9, 94.0, 95.01), beat(40)]
    assert [(at, state) for at, state, *_ in story(*ticks)] == [
        (0, "open"),
        (1, "limit_down"),
        (15.9, "open"),
    ]


def test_the_reference_moves_by_1_percent_or_not_at_all_and_at_half_minutes() -> None:
    assert story(trade(0, 100.0), trade(1, 101.98), beat(600)) == [(0, "open", 95.0, 105.0)]
    assert story(trade(0, 100.0), trade(1, 102.0), beat(29.9)) == [(0, "open", 95.0, 105.0)]
    assert story(trade(0, 100.0), trade(1, 102.0), beat(600)) == [
        (0, "open", 95.0, 105.0),
        (30, "open", 95.95, 106.05),
    ]


def test_what_is_older_than_5_minutes_does_not_count_and_silence_changes_nothing() -> None:
    ticks = [trade(0, 100.0), trade(45, 104.0), beat(5000)]
    assert story(*ticks) == [
        (0, "open", 95.0, 105.0),
        (60, "open", 96.9, 107.1),
        (330, "open", 98.8, 109.2),
    ]


def test_bands_are_doubled_in_the_first_15_and_the_last_25_minutes_of_a_session() -> None:
    day = Rules(tiers={"A": 1}, sessions=[(START, START + 390 * MINUTE)])
    ticks = [trade(-10, 99.0), trade(0, 100.0), beat(390 * 60), trade(390 * 60, 101.0)]
    assert story(*ticks, rules=day) == [
        (0, "open", 90.0, 110.0),
        (15 * 60, "open", 95.0, 105.0),
        (365 * 60, "open", 90.0, 110.0),
        (390 * 60, "open", None, None),
    ]


def test_bands_stand_still_in_a_limit_state_and_follow_when_it_is_left() -> None:
    day = Rules(tiers={"A": 1}, sessions=[(START, START + 390 * MINUTE)])
    border = 15 * 60
    ticks = [trade(0, 100.0), quote(border - 10, 110.0, 111.0), beat(border + 1)]
    assert story(*ticks, quote(border + 2, 104.0, 111.0), beat(border + 3), rules=day)[1:] == [
        (border - 10, "limit_up", 90.0, 110.0),
        (border + 2, "open", 95.0, 105.0),
    ]
    # Back within the old bands, it is at a new one: it has not left the limit state.
    assert story(*ticks, quote(border + 2, 105.0, 111.0), beat(border + 10), rules=day)[2:] == [
        (border + 2, "limit_up", 95.0, 105.0),
        (border + 5, "paused", 95.0, 105.0),
    ]


def test_a_doubled_band_below_nothing_is_never_reached() -> None:
    """LULD Plan, appendix A: doubled, 150 % below $0.75 limits upwards only."""
    day = Rules(sessions=[(START, START + 390 * MINUTE)])
    assert story(trade(0, 0.1), quote(1, 0.01, 0.02), rules=day) == [(0, "open", 0.0, 0.25)]


def test_an_upper_band_that_is_rounded_to_nothing_is_never_reached() -> None:
    ticks = [trade(0, 0.001), quote(1, 0.0009, 0.0011), beat(40)]
    assert story(*ticks) == [(0, "open", 0.0, 0.0)]


def test_it_keeps_the_contract() -> None:
    ttl_ns = contract.MARKET.symbol_ttl
    contract.check(in_order=lambda: operators_of(Rules(), ttl_ns))
