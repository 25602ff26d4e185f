"""Closes taken from ticks give the daily risk that the same closes as events give."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import orjson
import pytest

from flows.market.calendar import sessions_of
from flows.market.settings import Market
from replay.heartbeats import heartbeat
from replay.message import Message
from state.clock import NS
from tests.daily_events import DAY_NS, topics
from tests.flows.runs import headrace, settings
from tests.replay.recordings import write
from tests.system.market import records, written

SYMBOLS = {"A": 0, "B": 1, "C": 1}
MINUTE_NS = 60 * NS
CONFIG = """
[market]
calendar = "XNYS"
daily = true
closes = "{closes}"
[market.risk]
window = 25
methods = ["historical", "ewma-normal"]
[market.portfolios.P]
A = 0.5
B = 0.3
C = 0.2
"""


def sessions() -> list[tuple[int, int]]:
    """Return (open, close) of fifty sessions around Thanksgiving 2013, with its half day."""
    opens, closes = sessions_of("XNYS")
    first = int(np.searchsorted(opens, 1_383_000_000 * NS))
    return list(
        zip(opens[first : first + 50].tolist(), closes[first : first + 50].tolist(), strict=True)
    )


def trades() -> Iterator[tuple[int, str, float]]:
    """Yield (time, symbol, price) before, in and after sessions; some days lack a symbol."""
    rng = np.random.default_rng(11)
    price = dict.fromkeys(SYMBOLS, 100.0)
    for day, (open_ns, close_ns) in enumerate(sessions()):
        times = [open_ns - 1, open_ns, close_ns - 1, close_ns, close_ns + MINUTE_NS]
        times += rng.integers(open_ns - 3600 * NS, close_ns + 3600 * NS, 40).tolist()
        for ts_ns in sorted(times):
            for symbol in SYMBOLS:
                price[symbol] *= float(np.exp(rng.normal(0.0, 0.01)))
                if symbol != "C" or day % 7:
                    yield ts_ns, symbol, price[symbol]


def expected_closes() -> dict[int, dict[str, float]]:
    """Return the last price in [open, close) of each symbol, by close: the definition."""
    found: dict[int, dict[str, float]] = {}
    for open_ns, close_ns in sessions():
        inside = [(s, p) for ts_ns, s, p in trades() if open_ns <= ts_ns < close_ns]
        found[close_ns] = dict(inside)
    return found


@pytest.fixture(scope="module")
def directory(tmp_path_factory) -> Path:
    """Write the ticks, and the same closes as events."""
    path: Path = tmp_path_factory.mktemp("closes")
    end_ns = sessions()[-1][1] + DAY_NS
    offsets = [0, 0]
    ticks = []
    for ts_ns, symbol, price in trades():
        partition = SYMBOLS[symbol]
        body = {"type": "trade", "symbol": symbol, "ts_ns": ts_ns, "price": price, "size": 1}
        value = orjson.dumps(body)
        ticks.append(
            Message("market.ticks", partition, offsets[partition], ts_ns, symbol.encode(), value)
        )
        offsets[partition] += 1
    ticks += [heartbeat("market.ticks", p, offset, end_ns) for p, offset in enumerate(offsets)]
    write(path / "ticks.parquet", {"market.ticks": 2}, ticks)
    events = [
        Message("market.closes", 0, i, close_ns, b"k", orjson.dumps(
            {"type": "closes", "ts_ns": close_ns, "prices": prices}))
        for i, (close_ns, prices) in enumerate(sorted(expected_closes().items()))
    ]  # fmt: skip
    events.append(heartbeat("market.closes", 0, len(events), end_ns))
    write(path / "events.parquet", topics(events), events)
    for kind in ("ticks", "events"):
        (path / f"{kind}.toml").write_text(CONFIG.format(closes=kind))
    return path


def replayed(directory: Path, kind: str, *words: str) -> Path:
    config = {"HEADRACE_CONFIG": str(directory / f"{kind}.toml")}
    env = settings("127.0.0.1:1", "redis://127.0.0.1:1/0", directory, **config)
    out = directory / "-".join([kind, *words])
    written(env, "replay", "market", str(directory / f"{kind}.parquet"), *words, "--out", str(out))
    return out


def daily(out: Path) -> list[dict]:
    risk = [r for r in records(out, "risk") if r["interval"] == "session"]
    return [*records(out, "pnl"), *records(out, "backtest"), *risk]


@pytest.mark.parametrize("words", [(), ("--batch", "1"), ("--batch", "7", "--workers", "2")])
def test_closes_of_ticks_are_those_of_the_definition(directory, words):
    wanted = daily(replayed(directory, "events"))
    assert len([r for r in wanted if "pnl" in r]) == 49
    assert daily(replayed(directory, "ticks", *words)) == wanted


def test_closes_need_a_calendar_and_daily_risk():
    for market in ({"closes": "ticks", "daily": True}, {"closes": "ticks", "calendar": "XNYS"}):
        with pytest.raises(ValueError, match="closes from ticks need"):
            Market.model_validate(market)


def test_a_session_that_ends_within_a_bar_is_refused(directory, tmp_path):
    config = tmp_path / "headrace.toml"
    config.write_text(
        CONFIG.format(closes="ticks").replace(
            "daily = true", 'daily = true\nintervals = ["7m"]'
        ).replace("[market.risk]", '[market.risk]\ninterval = "7m"')
    )  # fmt: skip
    env = settings("127.0.0.1:1", "redis://127.0.0.1:1/0", tmp_path, HEADRACE_CONFIG=str(config))
    recording = str(directory / "ticks.parquet")
    result = headrace(env, "replay", "market", recording, "--out", str(tmp_path / "out"))
    assert result.returncode == 2
    assert "do not end with a bar" in result.stderr
