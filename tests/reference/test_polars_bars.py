"""The bars of polars equal the bars by definition."""

from __future__ import annotations

import math
import random

import polars as pl
import pytest

from benchmarks.market.polars_bars import polars_bars
from tests.reference.market import ReferenceSettings, Tick, run

S = 1_000_000_000


def random_trades(seed: int, count: int) -> list[Tick]:
    generator = random.Random(seed)
    return [
        Tick(
            partition=0,
            offset=offset,
            kind="trade",
            ts_ns=generator.randrange(0, 20 * S, S // 10),
            symbol=generator.choice(("A", "B")),
            price=generator.randrange(9000, 11000) / 100,
            size=generator.choice((1.0, 0.1, 100.0, 33.3)),
        )
        for offset in range(count)
    ]


@pytest.mark.parametrize("interval_ns", [S, 7 * S])
def test_polars_bars_equal_the_reference(interval_ns: int) -> None:
    settings = ReferenceSettings(
        lateness_ns=30 * S, intervals_ns=(interval_ns,), risk_interval_ns=interval_ns
    )
    trades = random_trades(interval_ns, 500)
    expected = run([*trades, Tick(0, 500, "heartbeat", 100 * S)], settings)["bars"]
    frame = pl.DataFrame(
        {
            "symbol": [trade.symbol for trade in trades],
            "ts_ns": [trade.ts_ns for trade in trades],
            "row": [trade.offset for trade in trades],
            "price": [trade.price for trade in trades],
            "size": [trade.size for trade in trades],
        }
    ).sample(fraction=1.0, shuffle=True, seed=1)
    bars = sorted(polars_bars(frame, interval_ns).to_dicts(), key=lambda bar: bar["start_ns"])
    assert len(bars) == len(expected)
    for bar, record in zip(bars, expected, strict=True):
        for name in ("symbol", "start_ns", "open", "high", "low", "close", "trades"):
            assert bar[name] == record[name], (name, bar, record)
        for name in ("volume", "vwap"):
            assert math.isclose(bar[name], record[name], rel_tol=1e-12)
        assert bar["notional"] == pytest.approx(bar["vwap"] * bar["volume"], rel=1e-12)


def test_no_trades_give_no_bars() -> None:
    schema = {
        "symbol": pl.String,
        "ts_ns": pl.Int64,
        "row": pl.Int64,
        "price": pl.Float64,
        "size": pl.Float64,
    }
    assert polars_bars(pl.DataFrame(schema=schema), S).height == 0
