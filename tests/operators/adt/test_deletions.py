"""What a deletion of a person (A29) leaves of the results: as of visits, nothing that stands."""

from __future__ import annotations

import random
from itertools import permutations
from typing import Any

import pytest

from connectors.hl7.message import Message
from operators.adt.timeline import Timeline
from operators.outputs import Outputs
from state.adt.outputs import OUTPUTS
from tests.operators.adt.tables import Rows, tables, told
from tests.reference.adt.results import observations
from tests.reference.adt.rows import table

COLUMNS = ("patient", "visit", "filler", "code", "time", "value", "status")
WRONG = "entered-in-error"


def adt(trigger: str, hour: int, patient: str = "1", visit: str = "V1", prior: str = "") -> bytes:
    segments = [
        rf"MSH|^~\&|PAS|GH|||20240305{hour:02}||ADT^{trigger}|1|P|2.5",
        f"EVN|{trigger}|20240305{hour:02}",
        f"PID|1||{patient}^^^GH^MR",
        *([f"MRG|{prior}^^^GH^MR||||{visit}"] if prior else []),
        f"PV1|1|I|W^1^A{'|' * 16}{visit}",
    ]
    return "\r".join(segments).encode()


def oru(
    hour: int, value: str, status: str = "F", patient: str = "1", visit: str = "V1", code: str = "K"
) -> bytes:
    segments = [
        rf"MSH|^~\&|LAB|GH|||20240305{hour:02}||ORU^R01|2|P|2.5",
        f"PID|1||{patient}^^^GH^MR",
        f"PV1|1|I|W{'|' * 16}{visit}",
        "OBR|1||F1",
        f"OBX|1|ST|{code}||{value}||||||{status}|||2024030501",
    ]
    return "\r".join(segments).encode()


def rows(*raws: bytes) -> Rows:
    """Return the observations, which are those of the reference."""
    found: Any = [{n: row[n] for n in COLUMNS} for row in tables(raws)["observations"]]
    assert table(found) == observations(map(Message, raws)), raws
    return table(found)


def stands(*raws: bytes) -> list[tuple[Any, ...]]:
    """Return patient, value and status in whatever order messages come."""
    found = [[tuple(r[n] for n in ("patient", "value", "status")) for r in rows(*order)]
             for order in permutations(raws)]  # fmt: skip
    assert all(each == found[0] for each in found)
    return found[0]


def test_results_of_a_deleted_person_are_entered_in_error():
    assert stands(adt("A01", 8), oru(9, "5"), adt("A29", 10)) == [("1^^^GH", "5", WRONG)]
    assert stands(oru(10, "5"), adt("A29", 10)) == [("1^^^GH", "5", WRONG)]


def test_what_is_recorded_after_the_deletion_stands():
    told = oru(9, "5"), adt("A29", 10), oru(11, "6", "P")
    assert stands(*told) == [("1^^^GH", "6", "preliminary")]
    other = oru(11, "7", code="Na")
    assert stands(*told[:2], other) == [("1^^^GH", "5", WRONG), ("1^^^GH", "7", "final")]


def test_a_deleted_visit_keeps_its_results():
    assert stands(oru(9, "5"), adt("A23", 10)) == [("1^^^GH", "5", "final")]


@pytest.mark.parametrize("deleted", ["1", "2"])
def test_who_is_merged_is_deleted_under_either_number(deleted):
    merge = adt("A40", 9, "2", "V9", prior="1")
    raws = oru(8, "5"), merge, adt("A29", 10, deleted)
    assert stands(*raws) == [("2^^^GH", "5", WRONG)]


def test_a_visit_that_moved_away_is_not_of_the_person_who_is_deleted():
    move = adt("A45", 9, "2", prior="1")
    assert stands(oru(8, "5"), move, adt("A29", 10, "1")) == [("2^^^GH", "5", "final")]


def test_the_deletion_is_among_the_reasons():
    outputs, logic, last = Outputs(OUTPUTS), Timeline(8), b""
    for block in told([oru(9, "5"), adt("A29", 10)]):
        list(logic.process(block, outputs))
        last = [b for b in outputs.take() if b.output == "observations"][-1].values[-1]
    assert b'"because":["adt.raw:0:0","adt.raw:0:1"]' in last


def test_random_histories_are_those_of_the_reference():
    rng = random.Random(9)
    seen = set()
    for _ in range(400):
        raws = [_message(rng) for _ in range(rng.randint(2, 7))]
        found = rows(*raws)
        rng.shuffle(raws)
        assert rows(*raws, *rng.sample(raws, 1)) == found
        seen |= {row["status"] for row in found}
    assert seen == {"final", "corrected", "preliminary", WRONG}


def _message(rng: random.Random) -> bytes:
    hour, patient, visit = rng.randint(8, 15), rng.choice("123"), rng.choice(("V1", "V2"))
    trigger = rng.choice(("A01", "A23", "A29", "A29", "A40", "A45", *["R01"] * 5))
    if trigger == "R01":
        return oru(hour, str(rng.randint(1, 9)), rng.choice("FPCW"), patient, visit)
    prior = rng.choice("123") if trigger in ("A40", "A45") else ""
    return adt(trigger, hour, patient, visit, prior)
