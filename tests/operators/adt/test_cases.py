"""The tables are right about the cases from the field, in every order and with each message twice.

Those of ``../shared/data/adt/cases``; what they insist on is read as by the reference's test.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from connectors.hl7.files import contents
from tests.operators.adt.tables import Rows, tables
from tests.reference.adt import Timeline
from tests.reference.test_adt_cases import BY_NAME, check, needs_cases, orders


def raws_of(file: dict[str, str]) -> list[bytes]:
    return contents(file["bytes"].encode("latin-1")).messages


def of_case(case: dict[str, Any], files: Any) -> dict[str, Rows]:
    zone = ZoneInfo(case.get("settings", {}).get("adt.timezone", "UTC"))
    return tables([raw for file in files for raw in file], zone)


@needs_cases
@pytest.mark.parametrize("name", BY_NAME)
def test_a_case_in_any_order(name):
    case = BY_NAME[name]
    files = [raws_of(file) for file in case["input"]["files"]]
    as_sent = of_case(case, files)
    check(case["expect"], Timeline(**{each.name: as_sent[each.name] for each in fields(Timeline)}))
    if "any_order" in case["expect"]:
        for order in orders(files):
            assert of_case(case, order) == as_sent
            assert of_case(case, [*order, *order]) == as_sent
