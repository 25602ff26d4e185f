"""Facilities that share an index of patients: what is merged across them, and what is not."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.flows.runs import headrace, settings
from tests.system.market import written

SHARED = {"GH": "trust", "GN": "trust"}
FACILITIES = ("GH", "GN", "GX", "GY")
"""The last two share nothing with anybody."""


def message(trigger: str, facility: str, hour: int, number: str, more: str = "") -> str:
    """Return a message of a patient with a number of this facility, in bed ICU^1^A of it."""
    time = f"20240305{hour:02}"
    segments = [
        rf"MSH|^~\&|PAS|{facility}|||{time}||ADT^{trigger}|{trigger}{facility}{hour}|P|2.5",
        f"EVN|{trigger}|{time}",
        f"PID|1||{number}^^^{facility}^MR",
        *filter(None, [more]),
        f"PV1|1|I|ICU^1^A{'|' * 16}V{number}",
    ]
    return "\r".join(segments) + "\r"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An admission in each facility, and a merge of the patient of GN into that of GH."""
    path: Path = tmp_path_factory.mktemp("hl7") / "a.hl7"
    admissions = [message("A01", each, 8 + n, str(n)) for n, each in enumerate(FACILITIES)]
    path.write_text("".join([*admissions, message("A40", "GH", 13, "0", "MRG|1^^^GN^MR")]))
    return path


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return settings("127.0.0.1:1", "redis://127.0.0.1:1", tmp_path_factory.mktemp("domains"))


def replayed(
    env: dict[str, str], files: Path, out: Path, domains: dict[str, str], workers: int
) -> tuple[dict[str, tuple[int, str]], dict[str, list[dict[str, Any]]]]:
    """Import and replay under a setting; return what was written, and the tables."""
    env = env | {"HEADRACE_ADT__DOMAINS": orjson.dumps(domains).decode()}
    recording = out / "adt.parquet"
    words = ("--partitions", "3", "--plaintext", "--out", str(recording))
    assert headrace(env, "import", "hl7", str(files), *words).returncode == 0
    options = ("--plaintext", "--workers", str(workers), "--out", out / "out")
    found = written(env, "replay", "adt", recording, *options)
    tables = defaultdict(list)
    for path in (out / "out/tables").glob("*.jsonl"):
        tables[path.stem] = [orjson.loads(line) for line in path.open("rb")]
    return found, tables


def test_with_the_setting_a_merge_crosses_facilities_at_one_and_two_workers(
    env: dict[str, str], files: Path, tmp_path: Path
) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    one, tables = replayed(env, files, tmp_path / "1", SHARED, 1)
    two, _ = replayed(env, files, tmp_path / "2", SHARED, 2)
    assert one == two
    assert one["dead.jsonl"][0] == 0
    stays = {row["visit"]: row for row in tables["location_visits"]}
    assert [stays[visit]["patient"] for visit in ("V0^^^GH", "V1^^^GN")] == ["0^^^GH"] * 2
    assert {row["domain"] for row in stays.values()} == {"trust", "GX", "GY"}
    places = ["ICU^1^A", "ICU^1^A", "ICU^1^A^GH", "ICU^1^A^GN"]
    assert sorted(row["location"] for row in stays.values()) == places
    assert tables["anomalies"] == [], "beds of one name in two facilities are two"
    wards = {(row["domain"], row["ward"]) for row in tables["census"]}
    assert {("trust", "ICU^^^GH"), ("trust", "ICU^^^GN")} <= wards


def test_without_it_each_facility_stays_its_own(
    env: dict[str, str], files: Path, tmp_path: Path
) -> None:
    _, tables = replayed(env, files, tmp_path, {}, 1)
    told = {row["visit"]: (row["patient"], row["domain"]) for row in tables["location_visits"]}
    assert told["V1^^^GN"] == ("1^^^GN", "GN")
    assert {row["location"] for row in tables["location_visits"]} == {"ICU^1^A"}
