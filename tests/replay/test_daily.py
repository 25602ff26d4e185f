"""Daily risk through the flow: the same files however a recording of events is replayed."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from operators.market.models import answer
from replay.message import Message
from tests.daily_events import close_ns, closes, messages, portfolio, topics
from tests.flows.runs import settings
from tests.replay.recordings import write
from tests.system.market import records, written

CONFIG = """
[market.risk]
window = 100
confidences = [0.95, 0.99]
horizons = [1, 10]
[market.models]
every = 7
[market.targets.P]
objective = "risk-parity"
every = 9
apply = true
"""
BAD = [
    b"{}",
    b'{"type":"closes","ts_ns":1600000000000000000,"prices":{}}',
    b'{"type":"closes","ts_ns":1600000000000000000,"prices":{"A":"1"}}',
    b'{"type":"closes","ts_ns":1600000000000000000,"prices":{"A":-1}}',
    b'{"type":"surprise","ts_ns":1600000000000000000}',
    b'{"type":"closes","ts_ns":9600000000000000000,"prices":{"A":1}}',
    b"secret",
]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Write a recording of 150 sessions, two portfolios and bad events."""
    directory: Path = tmp_path_factory.mktemp("daily")
    (directory / "headrace.toml").write_text(CONFIG)
    events = [
        *closes(5, 150),
        portfolio("P", {"A": 0.5, "B": 0.3, "C": 0.2}),
        portfolio("N", {"A": 0.5, "B": 0.5}, 20, rebalance="never"),
        {"type": "position", "portfolio": "Q", "symbol": "C", "quantity": 2.0}
        | {"ts_ns": close_ns(40) + 5},
        {"type": "dividend", "symbol": "B", "amount": 0.5, "ts_ns": close_ns(50) + 5},
    ]
    found = messages(events)
    last = max(m.offset for m in found if m.topic == "market.closes")
    at_ns = max(m.timestamp_ns for m in found)
    found += [
        Message("market.closes", 0, last + 1 + i, at_ns, None, value) for i, value in enumerate(BAD)
    ]
    write(directory / "events.parquet", topics(found), found)
    return directory


def replayed(directory: Path, *words: str, name: str = "") -> dict[str, tuple[int, str]]:
    config = {"HEADRACE_CONFIG": str(directory / "headrace.toml")}
    env = settings("127.0.0.1:1", "redis://127.0.0.1:1/0", directory, **config)
    recordings = [str(path) for path in sorted(directory.glob("*.parquet"))]
    out = directory / f"out{name}"
    return written(env, "replay", "market", *recordings, *words, "--out", out)


@pytest.fixture(scope="module")
def whole(made) -> dict[str, tuple[int, str]]:
    return replayed(made)


@pytest.mark.parametrize(("batch", "workers"), [("1", "1"), ("7", "2")])
def test_blocks_and_workers_change_no_byte(made, whole, batch, workers):
    assert replayed(made, "--batch", batch, "--workers", workers, name=batch) == whole


def test_the_outputs_are_there(made, whole):
    assert {output: whole[f"{output}.jsonl"][0] for output in ("pnl", "weights", "dead")} == {
        "pnl": 149 + 130 + 109, "weights": 6, "dead": len(BAD),
    }  # fmt: skip
    assert {r["horizon"] for r in records(made / "out", "risk")} == {1, 10}


def test_bad_events_are_dead_and_their_reasons_quote_nothing(made, whole):
    dead = records(made / "out", "dead")
    assert whole["dead.jsonl"][0] == len(dead)
    assert not any("secret" in r["reason"] or "surprise" in r["reason"] for r in dead)


def test_recorded_answers_are_used_instead_of_computed_ones(made, whole):
    requests = records(made / "out", "requests")
    answers = [
        Message("market.models", 0, i, r["ts_ns"], b"k", orjson.dumps(answer(r)))
        for i, r in enumerate(requests[:-2])
    ]
    other = answer(requests[0]) | {
        "status": "ok",
        "reason": "",
        "output": {"mu": 0.0, "omega": 1e-4, "alpha": 0.1, "beta": 0.8},
    }
    path = write(made / "models.parquet", {"market.models": 1}, answers)
    assert replayed(made, name="recorded") == whole
    first = Message("market.models", 0, 0, requests[0]["ts_ns"], b"k", orjson.dumps(other))
    write(path, {"market.models": 1}, [first, *answers[1:]])
    assert requests[0]["model"] == "garch"
    assert replayed(made, name="other")["risk.jsonl"] != whole["risk.jsonl"]
    path.unlink()
