"""``headrace try adt``: cases in every order, and the first difference of one that fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from flows.__main__ import main
from tests.operators.adt.test_timeline import ADMITTED, CANCELLED, MOVED

STAYS = [
    {"visit": "V1", "location": "W^1^A", "end": "2024-03-05T11:00:00+01:00"},
    {"visit": "V1", "location": "W^2^B", "start": "2024-03-05T10:00:00Z", "end": None},
]


def case(*raws: bytes, **expect: Any) -> dict[str, Any]:
    files = [{"name": "a.hl7", "bytes": raw.decode("latin-1")} for raw in raws]
    return {"title": "A stay", "input": {"files": files}, "expect": {"any_order": True, **expect}}


def tried(tmp_path: Path, *cases: dict[str, Any], words: tuple[str, ...] = ()) -> int:
    for number, each in enumerate(cases):
        (tmp_path / f"c{number}.json").write_bytes(orjson.dumps(each))
    return main(["try", "adt", str(tmp_path), *words])


def test_a_case_that_holds(tmp_path, capsys):
    checks = [{"no_anomaly": "double_booked"}, {"field": "PV1-3", "equals": "W^1^A"}, {"score": 1}]
    right = case(
        ADMITTED, MOVED, records=2, dead=[], tables={"location_visits": STAYS}, checks=checks
    )
    assert tried(tmp_path, right) == 0
    told = capsys.readouterr().out
    assert told == "c0 ok (3 orders) A stay. Not checked: score.\n1 cases, 0 failed.\n"


@pytest.mark.parametrize(
    ("raws", "expect", "told"),
    [
        ([ADMITTED], {"records": 2}, "1 records, not 2"),
        ([b"MSH|"], {"dead": []}, "dead letters: ['Malformed"),
        ([ADMITTED], {"tables": {"location_visits": STAYS}}, "location_visits has no row"),
        ([ADMITTED, MOVED], {"tables": {"location_visits": STAYS[:1]}}, "2 rows, not the 1 wanted"),
        ([ADMITTED], {"checks": [{"anomaly": "double_booked"}]}, "this does not hold"),
        ([ADMITTED], {"checks": [{"bed": {"location": "W^9^A"}}]}, "this does not hold"),
        ([ADMITTED], {"checks": [{"field": "PV1-3", "equals": "X"}]}, "this does not hold"),
        ([ADMITTED], {"checks": [{"fhir_security": {"Encounter": "R"}}]}, "this does not hold"),
        ([ADMITTED], {"checks": [{"boarding_minutes": 1}]}, "this does not hold"),
        ([ADMITTED], {"checks": [{"observation": {"code": "K"}}]}, "this does not hold"),
        ([ADMITTED], {"checks": [{"metric": "adt_x", "at_least": 1}]}, "this does not hold"),
    ],
)
def test_a_case_that_fails_says_the_first_difference(tmp_path, capsys, raws, expect, told):
    assert tried(tmp_path, case(*raws, **expect)) == 1
    out = capsys.readouterr().out
    assert out.startswith("c0 FAILED: ")
    assert told in out
    assert out.endswith("1 cases, 1 failed.\n")


@pytest.mark.parametrize(("absent", "failed"), [(["W^1"], 0), (["in-progress"], 1)])
def test_a_case_may_look_at_deidentified_tables(tmp_path, capsys, absent, failed):
    checks = [{"absent": {"deidentified": absent}}, {"present": {"deidentified": ["2024"]}}]
    looked = case(ADMITTED, checks=checks) | {"settings": {"adt.deidentify": "safe_harbor"}}
    assert tried(tmp_path, looked) == failed
    assert "Not checked" not in capsys.readouterr().out
    assert tried(tmp_path, case(ADMITTED, checks=checks)) == 0
    assert "Not checked: absent, present." in capsys.readouterr().out


def test_results_as_json_and_cases_of_another_kind(tmp_path, capsys):
    dialogue: dict[str, Any] = {"input": {"dialogue": []}, "expect": {}}
    cancelled = case(ADMITTED, CANCELLED, tables={"location_visits": []})
    assert tried(tmp_path, cancelled, dialogue, words=("--json",)) == 0
    answer = orjson.loads(capsys.readouterr().out)
    assert answer["others"] == ["c1"]
    [result] = answer["results"]
    assert (result["name"], result["orders"], result["difference"]) == ("c0", 3, "")


@pytest.mark.parametrize("content", ["", "[]", '{"input": {}}'])
def test_what_is_no_case_is_misuse(tmp_path, capsys, content):
    (tmp_path / "broken.json").write_text(content)
    assert main(["try", "adt", str(tmp_path)]) == 2
    assert "broken.json is no case" in capsys.readouterr().err


def test_a_directory_without_cases_is_misuse(tmp_path, capsys):
    assert main(["try", "adt", str(tmp_path)]) == 2
    assert "there is no case" in capsys.readouterr().err
