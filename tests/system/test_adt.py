"""A second system, which the engine does not know: its outputs are retracted and sealed."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import orjson
import pytest

from state.sealing import Keyring
from tests.flows.runs import headrace, settings
from tests.replay.recordings import write
from tests.system.adt import CANARY, STAY, expected, key, messages
from tests.system.market import records, written

MESSAGES = messages(1, 120)


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    directory = tmp_path_factory.mktemp("adt")
    keys = directory / "keys.toml"
    keys.write_text(Keyring.generate().text())
    return settings("127.0.0.1:1", "redis://127.0.0.1:1", directory) | {
        "HEADRACE_SEALING__KEYS_FILE": str(keys)
    }


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("recorded") / "adt.parquet"
    return write(path, {"adt.raw": 2}, MESSAGES)


@pytest.fixture(scope="module")
def replayed(env: dict[str, str], recording: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    out = tmp_path_factory.mktemp("replayed")
    return out, written(env, "replay", "adt", recording, "--out", out)


def test_nothing_of_a_patient_is_in_clear(replayed: Any) -> None:
    out, files = replayed
    assert files["location_visits.jsonl"][0] > 150
    assert files["dead.jsonl"][0] == 2
    for path in out.rglob("*.jsonl"):
        assert CANARY.encode() not in path.read_bytes(), path


def test_the_table_is_that_of_the_set_of_messages(
    env: dict[str, str], recording: Path, tmp_path: Path
) -> None:
    written(env, "replay", "adt", recording, "--out", tmp_path, "--plaintext")
    wanted = expected(MESSAGES)
    assert 20 < len(wanted) < 100
    found: dict[str, list[Any]] = defaultdict(list)
    for line in (tmp_path / "tables/location_visits.jsonl").open("rb"):
        row = orjson.loads(line)
        assert row.keys() == {"domain", "patient", "visit", *STAY}
        found[row["visit"]].append({each: row[each] for each in STAY})
    assert found == wanted
    retracted = [r for r in records(tmp_path, "location_visits") if r.get("retracted")]
    assert {r["key"] for r in retracted} - set(map(key, wanted))


@pytest.mark.parametrize(("batch", "workers"), [("1", "2"), ("7", "1"), ("4096", "2")])
def test_neither_batches_nor_workers_change_a_sealed_byte(
    env: dict[str, str], recording: Path, replayed: Any, tmp_path: Path, batch: str, workers: str
) -> None:
    words = ("--batch", batch, "--workers", workers)
    assert written(env, "replay", "adt", recording, "--out", tmp_path, *words) == replayed[1]


def test_without_a_key_it_does_not_start(
    env: dict[str, str], recording: Path, tmp_path: Path
) -> None:
    bare = {name: value for name, value in env.items() if "SEALING" not in name}
    done = headrace(bare, "replay", "adt", str(recording), "--out", str(tmp_path))
    assert done.returncode == 2
    assert "headrace keys new" in done.stderr
    assert done.stderr.count("\n") == 1
