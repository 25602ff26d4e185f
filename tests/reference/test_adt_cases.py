"""The reference of the timeline is right about the cases from the field."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import permutations
from math import factorial
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import pytest

from connectors.hl7.files import contents
from connectors.hl7.message import Message
from tests.reference.adt import Timeline, timeline

CASES = Path(__file__).parents[3] / "shared/data/adt/cases"
ORDERS = 120
"""So many orders of five files there are; of more files as many are drawn."""
TABLES = ("location_visits", "encounters")
Raw = TypeVar("Raw")


def read_cases() -> dict[str, dict[str, Any]]:
    found = {path.stem: json.loads(path.read_text()) for path in sorted(CASES.glob("d*.json"))}
    return {
        name: case
        for name, case in found.items()
        if "files" in case["input"] and "tables" in case["expect"]
    }


BY_NAME = read_cases()
needs_cases = pytest.mark.skipif(not BY_NAME, reason="there is no ../shared/data/adt/cases")


def messages_of(file: dict[str, str]) -> list[Message]:
    return [Message(raw) for raw in contents(file["bytes"].encode("latin-1")).messages]


def of_case(case: dict[str, Any], files: Sequence[list[Message]]) -> Timeline:
    zone = case.get("settings", {}).get("adt.timezone", "UTC")
    return timeline([message for file in files for message in file], ZoneInfo(zone))


def orders(files: list[list[Raw]]) -> Iterator[Sequence[list[Raw]]]:
    if factorial(len(files)) <= ORDERS:
        yield from permutations(files)
        return
    rng = random.Random(20240305)
    for _ in range(ORDERS):
        yield rng.sample(files, len(files))


def comparable(name: str, value: Any) -> Any:
    """Return what a case compares: numbers without their authority, beds without facility."""
    if value is None or name not in ("patient", "visit", "location", "start", "end"):
        return value
    if name in ("patient", "visit"):
        return value.split("^")[0]
    if name == "location":
        return value.split("^")[:3]
    return datetime.fromisoformat(value)


def fits(wanted: dict[str, Any], row: dict[str, Any]) -> bool:
    return all(comparable(name, wanted[name]) == comparable(name, row[name]) for name in wanted)


def matched(wanted: list[dict[str, Any]], rows: list[dict[str, Any]]) -> bool:
    """Return whether each row is wanted, and each wanted row is there, one to one."""
    if len(wanted) != len(rows):
        return False
    if not wanted:
        return True
    return any(
        matched(wanted[1:], rows[:place] + rows[place + 1 :])
        for place, row in enumerate(rows)
        if fits(wanted[0], row)
    )


def check(expected: dict[str, Any], found: Timeline) -> None:
    for name in TABLES:
        if name in expected["tables"]:
            assert matched(expected["tables"][name], getattr(found, name)), getattr(found, name)
    for wanted in expected.get("checks", []):
        if "anomaly" in wanted:
            row = {"kind": wanted["anomaly"], **wanted}
            del row["anomaly"]
            assert any(fits(row, other) for other in found.anomalies), found.anomalies
        elif "no_anomaly" in wanted:
            assert wanted["no_anomaly"] not in [row["kind"] for row in found.anomalies]
        elif "bed" in wanted:
            assert any(fits(wanted["bed"], row) for row in found.beds), found.beds


@needs_cases
@pytest.mark.parametrize("name", BY_NAME)
def test_a_case_from_the_field(name):
    case = BY_NAME[name]
    check(case["expect"], of_case(case, [messages_of(file) for file in case["input"]["files"]]))


@needs_cases
@pytest.mark.parametrize(
    "name", [name for name in BY_NAME if "any_order" in BY_NAME[name]["expect"]]
)
def test_a_case_in_any_order_and_each_message_twice(name):
    case = BY_NAME[name]
    files = [messages_of(file) for file in case["input"]["files"]]
    as_sent = of_case(case, files)
    check(case["expect"], as_sent)
    for order in orders(files):
        assert of_case(case, order) == as_sent
        assert of_case(case, [*order, *order]) == as_sent
