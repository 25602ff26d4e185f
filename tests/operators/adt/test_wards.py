"""Who may read a record: the wards in which the patient is or was, and that of a bed."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from operators.adt.timeline import Timeline
from operators.outputs import Outputs
from state.adt.outputs import ENCOUNTERS, OUTPUTS
from tests.operators.adt.tables import told
from tests.operators.adt.test_timeline import message, visit

ADMITTED = message("A01", "0800", visit("A^1^1"))
MOVED = message("A02", "1000", visit("B^2^1"))
ELSEWHERE = message("A01", "0800", visit("B^1^1"), "0900")
NOT_MOVED = message("A12", "1000", visit("B^2^1"), "1200")
OTHER = message("A01", "0900", visit("A^1^1", "2", "V2"))
PLANNED = message("A05", "0700", visit("A^1^1"))


def emitted(output: str, raws: list[bytes]) -> list[dict[str, Any]]:
    """Return all records of an output, and its retractions."""
    outputs, logic, found = Outputs(OUTPUTS), Timeline(8), []
    for block in told(raws):
        list(logic.process(block, outputs))
        for batch in outputs.take():
            found += [orjson.loads(value) for value in batch.values if batch.output == output]
    return found


@pytest.mark.parametrize("output", ["location_visits", "encounters"])
def test_a_visit_is_read_where_the_patient_is_or_was(output):
    assert [r["wards"] for r in emitted(output, [ADMITTED, MOVED])] == [["A"], ["A", "B"]]


@pytest.mark.parametrize("output", ["location_visits", "encounters"])
def test_a_move_that_is_taken_back_takes_its_ward_away(output):
    wards = [record["wards"] for record in emitted(output, [ADMITTED, MOVED, NOT_MOVED])]
    assert wards == [["A"], ["A", "B"], ["A"]]


def test_another_ward_alone_makes_a_record_of_the_encounter():
    """Nothing else of it changes, and who may read it does."""
    first, second = emitted("encounters", [ADMITTED, ELSEWHERE])
    assert (first["wards"], second["wards"]) == (["A"], ["B"])
    passing = {column.name for column in ENCOUNTERS.columns if column.passing}
    assert all(first[name] == second[name] for name in first.keys() - passing)


def test_a_visit_without_a_stay_is_of_no_ward():
    [planned] = emitted("encounters", [PLANNED])
    assert (planned["status"], planned["wards"]) == ("planned", [])


def test_beds_and_what_is_strange_in_them_are_of_their_ward():
    assert {tuple(r["wards"]) for r in emitted("beds", [ADMITTED, OTHER])} == {("A",)}
    double = emitted("anomalies", [ADMITTED, OTHER])
    assert {(r["kind"], *r["wards"]) for r in double} == {("double_booked", "A")}
    [strange] = emitted("anomalies", [NOT_MOVED])
    assert (strange["kind"], strange["wards"]) == ("cancel_without_target", [])
