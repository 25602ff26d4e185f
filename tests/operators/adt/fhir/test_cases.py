"""Every bundle validates: of the cases from the field, of a simulated hospital, of any messages."""

from __future__ import annotations

import random
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from replay.adt.hospital import Hospital
from replay.adt.sending import sent
from tests.operators.adt.domains import history
from tests.operators.adt.fhir.messages import Followed, bundles
from tests.operators.adt.fhir.rules import check
from tests.operators.adt.test_cases import raws_of
from tests.reference.test_adt_cases import BY_NAME, needs_cases


def followed(case: dict[str, Any]) -> Followed:
    found = Followed(ZoneInfo(case.get("settings", {}).get("adt.timezone", "UTC")))
    for file in case["input"]["files"]:
        for raw in raws_of(file):
            for bundle in found.take(raw):
                check(bundle)
    return found


def tables_of(case: dict[str, Any], name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = case["expect"].get("tables", {}).get(name, [])
    return rows


@needs_cases
@pytest.mark.parametrize("name", BY_NAME)
def test_a_case_has_as_many_places_and_visits_as_it_wants(name):
    case = BY_NAME[name]
    found = followed(case)
    # What only a stub tells of, or what was taken back, is no row of a table.
    visits = [each for each in found.of("Encounter") if len(each["identifier"]) > 1]
    visits = [each for each in visits if each["status"] != "unknown"]
    places = sum(len(each.get("location", ())) for each in visits)
    if "location_visits" in case["expect"].get("tables", {}):
        assert places == len(tables_of(case, "location_visits"))
    statuses = sorted(each["status"] for each in visits)
    if "encounters" in case["expect"].get("tables", {}):
        wanted = [each["status"] for each in tables_of(case, "encounters") if "status" in each]
        assert [status for status in wanted if status not in statuses] == []
    for wanted in case["expect"].get("checks", ()):
        for kind, label in wanted.get("fhir_security", {}).items():
            [labelled] = found.of(kind)
            assert labelled["meta"]["security"][0]["code"] == label


def test_a_simulated_hospital():
    messages = islice(sent(Hospital(11), 11, 200), 200)
    found = bundles(each.value for each in messages)
    kinds = {entry["resource"]["resourceType"] for bundle in found for entry in bundle["entry"]}
    assert kinds >= {"Patient", "Encounter", "Location", "Observation", "Condition", "Provenance"}
    for bundle in found:
        check(bundle)


@pytest.mark.parametrize("seed", range(8))
def test_any_messages(seed):
    for bundle in bundles(history(random.Random(seed))):
        check(bundle)
