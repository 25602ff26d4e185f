"""Show 3: the same recording gives the same bytes, in replay and through real servers."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from connectors.redis.reader import RedisReader
from flows.servers import KafkaBroker, Valkey
from replay.market.session import TOPIC
from tests.daily_events import topics
from tests.flows.runs import Run, settings
from tests.replay.recordings import write
from tests.system.market import (
    EVERYTHING,
    PORTFOLIOS,
    daily_messages,
    done,
    records,
    wait_until_done,
    written,
)
from tests.waiting import eventually

COUNT, PARTITIONS = 20_000, 4

Files = dict[str, tuple[int, str]]


@pytest.fixture(scope="module")
def directory(tmp_path_factory) -> Path:
    path: Path = tmp_path_factory.mktemp("determinism")
    return path


@pytest.fixture(scope="module")
def env(directory: Path) -> dict[str, str]:
    """Settings that reach no server."""
    config = directory / "headrace.toml"
    config.write_text(EVERYTHING + PORTFOLIOS)
    return settings("127.0.0.1:1", "redis://127.0.0.1:1/0", directory, HEADRACE_CONFIG=str(config))


@pytest.fixture(scope="module")
def recording(env, directory: Path) -> Path:
    path = directory / "session.parquet"
    simulated = ("simulate", "market", "--seed", "1", "--count", str(COUNT), "--out", path)
    done(env, *simulated, "--partitions", str(PARTITIONS))
    return path


@pytest.fixture(scope="module")
def events(directory: Path) -> Path:
    made = daily_messages()
    return write(directory / "events.parquet", topics(made), made)


@pytest.fixture(scope="module")
def expected(env, recording, events, directory) -> Files:
    return written(env, "replay", "market", recording, events, "--out", directory / "expected")


def test_the_session_reaches_every_output(expected, directory):
    # The session has no cancels: `tests/operators/market/test_corrections.py` has.
    empty = {name for name, (lines, _) in expected.items() if not lines}
    assert empty <= {"corrected_bars.jsonl"}
    scopes = {record["scope"] for record in records(directory / "expected", "risk")}
    assert {"portfolio:broad", "portfolio:spread"} < scopes
    signals = {record["scope"] for record in records(directory / "expected", "signals")}
    assert any(scope.startswith("portfolio:") for scope in signals)


@pytest.mark.parametrize(
    ("batch", "workers", "shards"), [(1, 1, 4), (1, 2, 4), (7, 1, 3), (7, 2, 4), (4096, 2, 4)]
)
def test_neither_batches_nor_workers_nor_shards_change_a_byte(
    env, recording, events, expected, tmp_path, batch, workers, shards
):
    cut = ("--batch", str(batch), "--workers", str(workers))
    other = env | {"HEADRACE_KAFKA__SHARDS": str(shards)}
    replay = ("replay", "market", recording, events, "--out", tmp_path)
    assert written(other, *replay, *cut) == expected


def test_the_late_rule_by_window_is_as_deterministic(env, recording, expected, tmp_path):
    by_window = env | {"HEADRACE_MARKET__LATE": "window"}
    replay = ("replay", "market", recording, "--out")
    whole = written(by_window, *replay, tmp_path / "whole")
    assert whole["late.jsonl"][0] < expected["late.jsonl"][0]
    for batch, workers in (("1", "1"), ("7", "2"), ("4096", "2")):
        cut = ("--batch", batch, "--workers", workers)
        assert written(by_window, *replay, tmp_path / batch, *cut) == whole


@pytest.fixture(scope="module")
def live(
    env: dict[str, str], recording, events, own_kafka: KafkaBroker, own_valkey: Valkey
) -> dict[str, str]:
    """Settings that reach servers with the recording published."""
    reach = {
        "HEADRACE_KAFKA__BOOTSTRAP": own_kafka.bootstrap,
        "HEADRACE_REDIS__URL": own_valkey.url,
    }
    done(env | reach, "publish", recording, events)
    return env | reach


@pytest.mark.parametrize("workers", [1, 2])
def test_live_through_kafka_and_a_kill_gives_the_bytes_of_a_replay(
    live, own_kafka, own_valkey, expected, tmp_path, workers
):
    generation = str(workers)
    words = ("market", "--workers", str(workers), "--generation", generation, "--from", "earliest")
    models = live | {"HEADRACE_RUN__HTTP_PORT": "0"}
    with Run(live, words, tmp_path / "log") as run:
        run.ready(workers)
        reader = RedisReader(SecretStr(own_valkey.url), "market", int(generation))
        # Killed while requests are open: the answers must still find them after the restart.
        eventually(lambda: list(reader.entries("requests")))
        run.workers()[0].kill()
        eventually(lambda: run.probe("/ready")[0] == 200)
        with Run(models, ("models", "--generation", generation), tmp_path / "models") as answers:
            wait_until_done(own_kafka.bootstrap, TOPIC, f"headrace.market.{generation}", PARTITIONS)
            eventually(lambda: len(list(reader.entries("pnl"))) == expected["pnl.jsonl"][0])
            assert answers.end() == 0, answers.log.read_text()
        assert run.end() == 0, run.log.read_text()
    export = ("export", "market", "--generation", generation, "--out", tmp_path / "out")
    assert written(live, *export) == expected
