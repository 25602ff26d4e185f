"""Cases from the field (../shared/data/market/cases), through the commands that a user types."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import orjson
import pytest

from flows.__main__ import main
from state.clock import NS

CASES = Path(__file__).resolve().parents[3] / "shared" / "data" / "market" / "cases"
TICKS = CASES.parent / "us_equity_tick"
needs_cases = pytest.mark.skipif(not CASES.exists(), reason=f"{CASES} is not there")


def records(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


class Replayed:
    """What a replay of JSON lines wrote."""

    def __init__(self, directory: Path, lines: Path, config: Path | None = None) -> None:
        recording = directory / "r.parquet"
        fields = ("--key", "symbol", "--timestamp", "ts_ns")
        words = ("import", "jsonl", lines, "--topic", "market.ticks", *fields, "--out", recording)
        assert main([str(word) for word in words]) == 0
        options = ("--config", config) if config else ()
        words = ("replay", "market", recording, "--out", directory / "out", *options)
        self.code = main([str(word) for word in words])
        self._out = directory / "out"

    def __getitem__(self, output: str) -> list[dict[str, Any]]:
        return records(self._out / f"{output}.jsonl")

    def trades(self) -> int:
        return sum(bar["trades"] for bar in self["bars"] if bar["interval"] == "1m")


@needs_cases
def test_1_numbers_that_begin_again_each_day_lose_no_trade(tmp_path):
    found = Replayed(tmp_path, CASES / "sequence_restarts_each_day.jsonl")
    assert (found.trades(), found["late"], found["gaps"]) == (9, [], [])


def test_1_duplicates_are_listed_where_one_asks_for_them(tmp_path, capsys):
    tick = '{"type":"trade","symbol":"A","ts_ns":17095644%d00000000,"price":1,"size":1,"seq":%d}\n'
    lines, config = tmp_path / "twice.jsonl", tmp_path / "list.toml"
    lines.write_text("".join(tick % (n - n % 2, n - n % 2) for n in range(10, 18)))
    assert Replayed(tmp_path, lines)["duplicates"] == []
    (tmp_path / "r.parquet").unlink()
    config.write_text("[market]\nlist_duplicates = true\n")
    found = Replayed(tmp_path, lines, config)
    assert [(d["offset"], d["seq"]) for d in found["duplicates"]] == [
        (1, 10), (3, 12), (5, 14), (7, 16)
    ]  # fmt: skip
    assert found.trades() == 4
    assert "8 records: 4 kept, 4 duplicates, 0 late" in capsys.readouterr().err


def test_a_cancelled_trade_leaves_the_bars_and_none_leaves_without_a_trace(tmp_path, capsys):
    trades = [
        {"type": "trade", "price": 10 + n, "size": 1, "seq": n, "ts_ns": 60 * NS + n * NS // 4}
        for n in range(1, 9)
    ]
    rest = [
        {"type": "cancel", "trade_seq": 4, "ts_ns": 62 * NS},
        {"type": "correction", "trade_ts_ns": 62 * NS, "price": 5, "size": 2, "ts_ns": 62 * NS},
        {"type": "cancel", "trade_seq": 99, "ts_ns": 62 * NS},
        {"type": "cancel", "ts_ns": 62 * NS},
        {"type": "cancel", "trade_seq": 1, "ts_ns": 64 * NS},
    ]
    lines, config = tmp_path / "ticks.jsonl", tmp_path / "correct.toml"
    lines.write_bytes(b"".join(orjson.dumps({"symbol": "A"} | t) + b"\n" for t in trades + rest))
    config.write_text('[market]\ncorrectable = "1m"\n')
    found = Replayed(tmp_path, lines, config)
    shape = ("interval", "start_ns", "open", "high", "low", "close", "volume", "trades")
    assert [tuple(bar[field] for field in shape) for bar in found["bars"]] == [
        ("1m", 60 * NS, 12.0, 17.0, 5.0, 5.0, 7.0, 6),
        ("1s", 60 * NS, 11.0, 13.0, 11.0, 13.0, 3.0, 3),
        ("1s", 61 * NS, 15.0, 17.0, 15.0, 17.0, 3.0, 3),
        ("1s", 62 * NS, 5.0, 5.0, 5.0, 5.0, 2.0, 1),
    ]
    (bar,) = found["corrected_bars"]
    assert (bar["id"], bar["open"], bar["volume"]) == (f"A|1s|{60 * NS}|2", 12.0, 2.0)
    assert bar["cause"] == "market.ticks/0/12/0"
    assert [late["reason"] for late in found["late"]] == ["unknown trade"]
    assert [letter["error"] for letter in found["dead"]] == ["WrongType"]
    assert "12 records: 11 kept, 0 duplicates, 1 late" in capsys.readouterr().err


@needs_cases
def test_2_a_correction_of_a_close_is_late_and_a_session_has_one_profit(tmp_path, capsys):
    recording, config = tmp_path / "r.parquet", tmp_path / "held.toml"
    lines = (
        "import",
        "jsonl",
        CASES / "late_close.jsonl",
        "--topic",
        "market.closes",
        "--key",
        "type",
    )
    assert main([*map(str, lines), "--timestamp", "ts_ns", "--out", str(recording)]) == 0
    config.write_text("[market.portfolios]\nP = {A = 1.0}\n")
    words = ("replay", "market", recording, "--out", tmp_path / "out", "--config", config)
    assert main([str(word) for word in words]) == 0
    found = records(tmp_path / "out" / "pnl.jsonl")
    assert [(r["ts_ns"], r["return"]) for r in found] == [
        (1709672400000000000, pytest.approx(0.01)),
        (1709758800000000000, pytest.approx(102 / 101 - 1)),
    ]
    (late,) = records(tmp_path / "out" / "late.jsonl")
    assert (late["type"], late["offset"]) == ("closes", 2)
    assert "market.closes: 4 records: 3 kept, 0 duplicates, 1 late" in capsys.readouterr().err


@needs_cases
def test_3_an_older_quote_that_comes_later_does_not_replace_a_newer_one(tmp_path):
    found = Replayed(tmp_path, CASES / "older_quote_replaces_newer.jsonl")
    assert [(q["bid"], q["ask"]) for q in found["nbbo"]] == [(100.03, 100.05), (100.03, 100.05)]


@needs_cases
def test_4_a_calendar_that_begins_later_than_ours_has_its_sessions(tmp_path):
    found = Replayed(tmp_path, CASES / "tokyo.jsonl", CASES / "tokyo.toml")
    assert found.code == 0


@needs_cases
@pytest.mark.parametrize(("file", "trades"), [("sydney_session", 2000), ("midnight", 6)])
def test_8_sessions_that_span_midnight_lose_nothing_and_have_no_gap(tmp_path, file, trades):
    found = Replayed(tmp_path, CASES / f"{file}.jsonl")
    assert (found.trades(), found["late"], found["gaps"]) == (trades, [], [])


IBM_CLOSES = [182.01, 178.72, 181.32, 184.77, 186.16]
"""The official ones of 7 to 11 October 2013."""


@pytest.mark.skipif(not TICKS.exists(), reason=f"{TICKS} is not there")
def test_11_the_close_is_that_of_the_auction(tmp_path):
    recording, config = tmp_path / "r.parquet", tmp_path / "auction.toml"
    archives = sorted(TICKS.glob("ibm_201310*_trade.zip"))
    assert main(["import", "lean", *map(str, archives), "--out", str(recording)]) == 0
    config.write_text(
        '[market]\ncalendar = "XNYS"\ncloses = "ticks"\ndaily = true\n'
        '[market.auction]\nwithin = "2m"\nbits = 0x80\n'
        "[market.portfolios]\nP = {IBM = 1.0}\n"
    )
    words = ("replay", "market", recording, "--out", tmp_path / "out", "--config", config)
    assert main([str(word) for word in words]) == 0
    found = [r["return"] for r in records(tmp_path / "out" / "pnl.jsonl")]
    assert found == pytest.approx([b / a - 1 for a, b in itertools.pairwise(IBM_CLOSES)])


@pytest.mark.parametrize("workers", [1, 2])
def test_12_a_symbol_in_two_partitions_is_refused_loudly(tmp_path, capfd, workers):
    tick = '{"type":"trade","symbol":"IBM","ts_ns":%d,"price":1,"size":1,"venue":"%s"}\n'
    lines, recording = tmp_path / "keyed.jsonl", tmp_path / "r.parquet"
    lines.write_text("".join(tick % (1709564400 * NS + n, "NQXYZABC"[n % 8]) for n in range(99)))
    words = ("import", "jsonl", lines, "--topic", "market.ticks", "--key", "venue")
    options = ("--timestamp", "ts_ns", "--partitions", "4", "--out", recording)
    assert main([str(word) for word in (*words, *options)]) == 0
    words = ("replay", "market", recording, "--out", tmp_path / "out", "--workers", workers)
    assert main([str(word) for word in words]) == 1
    said = capfd.readouterr().err.splitlines()[-1]
    assert "market.ticks: ticks of 'IBM' are in partitions" in said
    assert "key messages by symbol" in said


@needs_cases
def test_14_the_largest_time_has_its_bars(tmp_path):
    found = Replayed(tmp_path, CASES / "largest_time.jsonl")
    assert len(found["bars"]) == 2
    assert found["dead"] == []


@needs_cases
def test_15_a_mean_price_lies_between_low_and_high(tmp_path):
    bars = Replayed(tmp_path, CASES / "vwap_above_high.jsonl")["bars"]
    assert bars
    assert all(bar["low"] <= bar["vwap"] <= bar["high"] for bar in bars)


def test_16_fields_that_nobody_reads_do_not_matter(tmp_path):
    tick = b'{"type":"trade","symbol":"A","ts_ns":1709564400000000000,"size":1,'
    lines = tmp_path / "odd.jsonl"
    odd = (b"9" * 5000, b"[" * 2000 + b"]" * 2000)
    lines.write_bytes(b"".join(tick + b'"price":1,"x":%b}\n' % value for value in odd))
    found = Replayed(tmp_path, lines)
    assert (found.trades(), found["dead"]) == (2, [])
