from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request

import orjson
import psutil  # type: ignore[import-untyped]  # it ships no types
import pytest
from rich.console import Console

from flows.market.dashboard import Figures, Latency, render
from flows.market.demo_world import recorded, simulated
from state.errors import Misuse
from tests.flows.runs import ROOT
from tests.waiting import PATIENCE_S, eventually

RISK = {
    "scope": "portfolio:broad",
    "confidence": 0.99,
    "var": 0.0012,
    "es": 0.0015,
    "valid": True,
}
SIGNAL = {
    "scope": "symbol:SIM0001",
    "ts_ns": 0,
    "kind": "breach_up",
    "value": 0.003,
    "threshold": 0.002,
}
BAR = {
    "symbol": "SIM0001",
    "start_ns": 3_661_000_000_000,
    "open": 1.0,
    "high": 2.5,
    "low": 0.5,
    "close": 2.0,
    "volume": 1200.0,
    "trades": 7,
}
FIGURES = Figures(
    seconds=12.0,
    ticks=60_000,
    ticks_per_second=5_012.4,
    lag=3,
    of_symbols=Latency(2.0, 7.5),
    of_portfolios=Latency(1002.0, 1007.5),
    signals=9,
    bars=[BAR],
    portfolios=[RISK],
    last_signals=[SIGNAL],
)


def test_the_line_holds_the_figures():
    line = FIGURES.line()
    for words in (
        "5,012 ticks/s",
        "lag 3",
        "symbols p50 2.0 ms  p99 7.5 ms",
        "portfolios p50 1002.0 ms  p99 1007.5 ms",
        "9 signals",
        "broad 0.1200%",
    ):
        assert words in line


def test_the_screen_holds_the_figures():
    console = Console(width=120, record=True, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    console.print(render(FIGURES, "Apache Kafka"))
    screen = console.export_text()
    for words in ("Apache Kafka", "5,012", "SIM0001", "01:01:01", "2.50", "0.1200%", "+0.3000%"):
        assert words in screen


def test_what_is_not_known_yet_is_said():
    unknown = Figures(portfolios=[RISK | {"valid": False}], waiting="the flow is starting")
    assert "symbols –  portfolios –" in unknown.line()
    assert unknown.line().endswith("the flow is starting")
    console = Console(width=120, record=True, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    console.print(render(unknown, "x"))
    assert "warming up" in console.export_text()


def test_simulated_portfolios_are_of_simulated_symbols():
    ticks = simulated(20)
    symbols = {symbol for weights in ticks.portfolios.values() for symbol in weights}
    assert symbols == {f"SIM{i:04d}" for i in range(20)}
    assert sum(ticks.portfolios["broad"].values()) == pytest.approx(1)
    assert sum(ticks.portfolios["hedged"].values()) == pytest.approx(0.2)


def test_a_recording_brings_its_topic_and_symbols(tmp_path):
    path = tmp_path / "session.parquet"
    words = ["simulate", "market", "--seed", "1", "--count", "2000", "--partitions", "2"]
    command = [sys.executable, "-m", "flows", *words, "--out", str(path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    ticks = recorded(path)
    assert (ticks.topic, ticks.partitions) == ("market.ticks", 2)
    assert set(ticks.portfolios["broad"]) <= {f"SIM{i:04d}" for i in range(20)}
    (tmp_path / "none").touch()
    with pytest.raises(Misuse):
        recorded(tmp_path / "none")


def test_the_demo_shows_figures_and_leaves_no_process_behind(tmp_path):
    (tmp_path / ".headrace").mkdir()
    (tmp_path / ".headrace/kafka").symlink_to(ROOT / ".headrace/kafka")
    own = {k: v for k, v in os.environ.items() if not k.startswith("HEADRACE_")}
    log = tmp_path / "out"
    with log.open("wb") as out:
        demo = subprocess.Popen(
            [sys.executable, "-m", "flows", "demo", "--no-tui"],
            cwd=tmp_path,
            env=own | {"PYTHONPATH": str(ROOT)},
            stdout=out,
            stderr=out,
        )
    try:
        eventually(lambda: " VaR broad " in log.read_text() or demo.poll() is not None)
        below = psutil.Process(demo.pid).children(recursive=True)
        assert len(below) >= 9, [child.cmdline() for child in below]
        (address,) = re.findall(r"(?m)^the page: (http://127\.0\.0\.1:\d+/)$", log.read_text())
        steps = [line.partition(" … ")[0] for line in log.read_text().splitlines()[:6]]
        flows = "flows: market, trading, history"
        assert steps[2].startswith("servers: ")
        assert steps[3:] == ["topics", flows, "first bar"]
        assert steps[1] == f"the page: {address}"
        assert "librdkafka" not in log.read_text()
        with urllib.request.urlopen(address, timeout=PATIENCE_S) as page:
            assert b"<title>Headrace</title>" in page.read()
        demo.send_signal(signal.SIGINT)
        assert demo.wait(PATIENCE_S) == 0, log.read_text()
    finally:
        demo.kill()
        demo.wait()
    assert not [child for child in below if child.is_running()]
    assert "all drained" in log.read_text().splitlines()[-1]


def test_the_demo_of_a_hospital_shows_its_page_and_leaves_no_process_behind(tmp_path):
    (tmp_path / ".headrace").mkdir()
    (tmp_path / ".headrace/kafka").symlink_to(ROOT / ".headrace/kafka")
    own = {k: v for k, v in os.environ.items() if not k.startswith("HEADRACE_")}
    log = tmp_path / "out"
    with log.open("wb") as out:
        demo = subprocess.Popen(
            [sys.executable, "-m", "flows", "demo", "adt"],
            cwd=tmp_path,
            env=own | {"PYTHONPATH": str(ROOT)},
            stdout=out,
            stderr=out,
        )
    try:
        figures = re.compile(r"(?m)^[\d,]+ messages: [\d,]+ visits, [1-9]\d* beds, \d+ anomalies$")
        eventually(lambda: figures.search(log.read_text()) or demo.poll() is not None)
        below = psutil.Process(demo.pid).children(recursive=True)
        (address,) = re.findall(r"(?m)^the page: (http://127\.0\.0\.1:\d+/)$", log.read_text())
        with urllib.request.urlopen(address, timeout=PATIENCE_S) as page:
            assert b'<meta name="tabs" content="adt">' in page.read()
        latest = f"{address}api/v1/latest/adt/beds"
        with urllib.request.urlopen(latest, timeout=PATIENCE_S) as answer:
            beds = orjson.loads(answer.read())["records"]
        assert beds
        assert all(record["location"] for record in beds), "the gateway has the keys"
        demo.send_signal(signal.SIGINT)
        assert demo.wait(PATIENCE_S) == 0, log.read_text()
    finally:
        demo.kill()
        demo.wait()
    assert not [child for child in below if child.is_running()]
    assert "all drained" in log.read_text().splitlines()[-1]
