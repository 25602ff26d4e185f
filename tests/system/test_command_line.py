"""Wrong input, command by command: one line that names the fault, code 2, no trace."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from flows.__main__ import main
from tests.flows.runs import ROOT, settings
from tests.replay.recordings import message, write


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with some files, and settings that reach no server."""
    env = settings("127.0.0.1:1", "redis://127.0.0.1:1/0", tmp_path)
    for name, value in env.items():
        if name.startswith("HEADRACE_"):
            monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "t.parquet", {"t": 1}, [message(offset) for offset in range(3)])
    Path("text.parquet").write_text("no recording")
    Path("lines.jsonl").write_text('{"key": "a", "time": 5}\n{"key": "a"}\n')
    Path("empty").mkdir()
    Path("filled").mkdir()
    Path("filled/bars.jsonl").write_text("{}\n")
    Path("wrong.toml").write_text("[market]\nlatness = '1s'\n")
    Path("secret.toml").write_text("[redis]\nurl = 'redis://:hush@host'\n")
    return tmp_path


SIMULATE = ["simulate", "market", "--out", "x.parquet"]
IMPORT = ["import", "jsonl", "lines.jsonl", "--out", "x.parquet", "--topic"]
FIELDS = ["--key", "key", "--timestamp", "time"]
REPLAY = ["replay", "market", "t.parquet", "--out", "out"]
CUT = ["cut", "t.parquet", "--out", "x.parquet"]


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ([*SIMULATE, "--seed", "-1", "--count", "5"], "--seed must be a whole number"),
        ([*SIMULATE, "--seed", "1", "--count", "0"], "--count: must be at least 1"),
        ([*SIMULATE, "--seed", "1", "--count", "many"], "--count: invalid"),
        ([*SIMULATE, "--seed", "1"], "required: --count"),
        (["simulate", "moon", "--seed", "1", "--count", "5", "--out", "x"], "'moon'"),
        (
            ["simulate", "market", "--seed", "1", "--count", "5", "--out", "/proc/x/y.parquet"],
            "cannot write /proc/x/y.parquet",
        ),
        ([*IMPORT, "t", *FIELDS], "lines.jsonl:2 has no field 'time'"),
        ([*IMPORT, "a topic", *FIELDS], "--topic 'a topic'"),
        (
            [*IMPORT, "t", "--key", "key"],
            "import jsonl: the following arguments are required: --timestamp",
        ),
        (["import", "lean", "lines.jsonl", "--out", "x"], "lines.jsonl is no zip file"),
        (["import", "lean", "none.zip", "--out", "x"], "there is no file none.zip"),
        (REPLAY, "market.ticks"),
        ([*REPLAY, "--batch", "0"], "--batch: must be at least 1"),
        ([*REPLAY, "--speed", "nan"], "--speed: must be above 0"),
        ([*REPLAY, "--config", "wrong.toml"], "market.latness (wrong.toml:2)"),
        ([*REPLAY, "--config", "secret.toml"], "HEADRACE_REDIS__URL"),
        (["replay", "market", "none.parquet", "--out", "o"], "there is no recording none.parquet"),
        (["replay", "market", "text.parquet", "--out", "o"], "text.parquet is no recording"),
        (["replay", "market", "t.parquet", "t.parquet", "--out", "o"], "overlap"),
        (["replay", "moon", "t.parquet", "--out", "o"], "there is no system 'moon'"),
        (["replay", "history", "t.parquet", "--out", "o"], "history has no outputs of its own"),
        (["replay", "market", "t.parquet", "--out", "wrong.toml"], "cannot write to wrong.toml"),
        ([*CUT, "--from", "noon", "--to", "2024-03-04T15:00:00Z"], "'noon' is no time"),
        (
            [*CUT, "--from", "2024-03-04T16:00:00Z", "--to", "2024-03-04T15:00:00Z"],
            "--from must be before --to",
        ),
        (["diff", "filled", "none"], "there is no directory none"),
        (["diff", "filled", "empty"], "empty holds no .jsonl file"),
        (["record", "t", "--out", "x", "--count", "0"], "--count: must be at least 1"),
        (["publish", "none.parquet"], "there is no recording none.parquet"),
        (["export", "moon", "--out", "o"], "'moon'"),
        (["export", "market", "--out", "o"], "Redis cannot be reached"),
        (["heartbeat", "t", "--every", "0"], "--every must be above 0"),
        (["dead", "retry"], "say which letters to retry"),
        (["state", "show", "market", "A"], "there are no snapshots"),
        (["state", "show", "adt", "a", "visit", "V1"], "say one key"),
        (["state", "show", "market", "A", "--generation", "0"], "generations count from 1"),
        (["run", "market", "--generation", "-3"], "generations count from 1"),
        (["demo", "moon"], "there is no demo of 'moon'"),
        (["demo", "--recording", "none.parquet"], "there is no recording none.parquet"),
        (["bench", "moon"], "there is no benchmark 'moon'"),
        (["bench", "week", "--data", "empty"], "no Lean ticks in empty"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_misuse_is_one_line_and_code_two(here, words, fault, capsys):
    try:
        code: object = main(words)
    except SystemExit as end:  # argparse's own way out
        code = end.code
    out, err = capsys.readouterr()
    assert fault in err
    assert err.startswith("headrace")
    assert err.count("\n") == 1
    assert "hush" not in err
    assert code == 2
    assert out == ""


def test_a_reader_that_has_enough_is_no_error():
    command = f"'{sys.executable}' -m flows config market | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 141)
    assert done.stderr == ""


def test_diff_tells_the_first_difference_and_fails(here, capsys):
    Path("other").mkdir()
    Path("other/bars.jsonl").write_text('{"a":1}\n')
    assert main(["diff", "filled", "other"]) == 1
    assert capsys.readouterr().out.startswith("bars.jsonl: line 1 differs")
    assert main(["diff", "filled", "filled"]) == 0
    assert capsys.readouterr().out == "bars.jsonl: same\n"
