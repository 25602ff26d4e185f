"""A visit is right about each trigger."""

from __future__ import annotations

import random
from typing import Any

import pytest

from operators.adt.visit import Row, visit
from state.adt.facts import Fact
from state.adt.triggers import OF_VISITS, TRIGGERS


def fact(
    trigger: str, time: int, bed: str | None = None, recorded: int | None = None, **more: Any
) -> Fact:
    """Return a fact of a time in hours, recorded then unless told otherwise."""
    at = time if recorded is None else recorded
    named = f"{trigger}{time}{bed}{at}{sorted(more.items())}"
    return Fact(time, at, named, trigger, "P", "V", location=bed, **more)


def rows(*facts: Fact) -> list[tuple[str, int, int | None]]:
    return [(row.location, row.start_ns, row.end_ns) for row in visit(facts).rows]


def status(*facts: Fact) -> str:
    told = visit(facts).encounter
    return "" if told is None else told.status


ADMITTED = fact("A01", 8, "W1", patient_class="I")


def test_a_stay_has_a_row_for_each_bed():
    moves = [ADMITTED, fact("A02", 10, "W2"), fact("A17", 12, "W3"), fact("A03", 15, "W3")]
    assert rows(*moves) == [("W1", 8, 10), ("W2", 10, 12), ("W3", 12, 15)]
    assert {row.patient_class for row in visit(moves).rows} == {"I"}


def test_one_bed_and_class_is_one_row():
    assert rows(ADMITTED, fact("A02", 10, "W1"), fact("A02", 11, "W2")) == [
        ("W1", 8, 11),
        ("W2", 11, None),
    ]
    assert rows(ADMITTED, fact("A02", 10, "W2"), fact("A17", 10, "W1")) == [("W1", 8, None)]


def test_the_newest_of_one_trigger_and_time_counts():
    assert rows(ADMITTED, fact("A02", 10, "W2", 11), fact("A02", 10, "W3", 12)) == [
        ("W1", 8, 10),
        ("W3", 10, None),
    ]


def test_a_class_without_a_bed_keeps_the_bed():
    turned = visit([ADMITTED, fact("A07", 10, patient_class="O")]).rows
    assert [(row.location, row.patient_class) for row in turned] == [("W1", "I"), ("W1", "O")]


def test_a_transfer_that_comes_first_tells_of_the_bed_before():
    first = fact("A02", 10, "W2", prior="W1", admitted_ns=8, patient_class="I")
    [before, now] = visit([first]).rows
    assert before == Row("W1", "I", 8, 10, inferred=True)
    assert now == Row("W2", "I", 10, None)
    assert rows(first._replace(admitted_ns=None)) == [("W2", 10, None)]
    assert rows(first._replace(prior="W2")) == [("W2", 10, None)]


def test_of_a_discharge_alone_the_stay_is_inferred():
    assert visit([fact("A03", 15, "W1", admitted_ns=8)]).rows == [Row("W1", "", 8, 15, True)]
    assert visit([fact("A03", 15, "W1")]).rows == []
    assert status(fact("A03", 15, "W1")) == "finished"


def test_the_discharge_recorded_last_is_in_force():
    assert rows(ADMITTED, fact("A03", 15, recorded=16), fact("A03", 12, recorded=17)) == [
        ("W1", 8, 12)
    ]


def test_a_correction_counts_only_behind_its_discharge():
    early = fact("A08", 9, recorded=9, discharged_ns=11, disposition="20")
    discharge = fact("A03", 15, disposition="01")
    assert rows(ADMITTED, early) == [("W1", 8, None)]
    told = visit([ADMITTED, early, discharge]).encounter
    assert told is not None
    assert (told.discharged_ns, told.disposition) == (15, "01")
    late = fact("A08", 16, admitted_ns=7, discharged_ns=14, disposition="")
    told = visit([ADMITTED, discharge, late]).encounter
    assert told is not None
    assert (told.admitted_ns, told.discharged_ns, told.disposition) == (7, 14, "")
    assert rows(ADMITTED, discharge, late) == [("W1", 7, 14)]


def test_a_move_after_the_discharge_is_told_and_places_nobody():
    found = visit([ADMITTED, fact("A03", 15), fact("A02", 16, "W2")])
    assert [row.location for row in found.rows] == ["W1"]
    assert [row[:3] for row in found.moved_after_discharge] == [("W2", "I", 16)]


TWO_MOVES = [ADMITTED, fact("A02", 10, "W2", prior="W1"), fact("A02", 12, "W3", prior="W2")]


def test_a_cancelled_transfer_is_found_by_time_destination_origin_or_age():
    back = [("W1", 8, 12), ("W3", 12, None)]
    assert rows(*TWO_MOVES, fact("A12", 13, "W1", occurred_ns=10)) == back
    assert rows(*TWO_MOVES, fact("A12", 13, "X", prior="W2")) == back
    assert rows(*TWO_MOVES, fact("A12", 13, "W1")) == back
    assert rows(*TWO_MOVES, fact("A12", 13)) == [("W1", 8, 10), ("W2", 10, None)]


def test_a_cancel_that_is_sent_again_finds_no_other_target():
    cancel = fact("A12", 13, occurred_ns=12)
    again = fact("A12", 14, occurred_ns=12)
    assert rows(*TWO_MOVES, cancel, again) == [("W1", 8, 10), ("W2", 10, None)]


def test_what_is_entered_after_a_cancel_stands():
    later = fact("A02", 12, "W4", recorded=20)
    assert rows(*TWO_MOVES, fact("A12", 13, occurred_ns=12), later)[-1] == ("W4", 12, None)


def test_a_cancelled_admission_takes_its_moves_along():
    assert rows(*TWO_MOVES, fact("A11", 14, occurred_ns=8)) == []
    assert status(*TWO_MOVES, fact("A11", 14, occurred_ns=8)) == "cancelled"
    again = fact("A01", 15, "W9")
    assert rows(*TWO_MOVES, fact("A11", 14, occurred_ns=8), again) == [("W9", 15, None)]
    moved = fact("A02", 13, "W5", recorded=16)
    assert rows(ADMITTED, fact("A11", 14, occurred_ns=8), moved) == [("W5", 13, None)]


def test_of_two_admissions_a_cancel_takes_the_named_or_the_newest():
    both = [ADMITTED, fact("A04", 9, "W2")]
    assert rows(*both, fact("A11", 14, occurred_ns=8)) == [("W2", 9, None)]
    assert rows(*both, fact("A11", 14)) == [("W1", 8, None)]


def test_a_cancelled_discharge_brings_the_patient_back():
    left = [ADMITTED, fact("A03", 15), fact("A03", 14, recorded=16)]
    assert rows(*left, fact("A13", 17, "W1", occurred_ns=15)) == [("W1", 8, None)]
    assert status(*left, fact("A13", 17)) == "in-progress"
    assert rows(*left, fact("A13", 17, "W7")) == [("W1", 8, 17), ("W7", 17, None)]
    assert rows(*left, fact("A13", 17), fact("A03", 20)) == [("W1", 8, 20)]


def test_a_cancel_without_a_target_waits():
    cancel = fact("A13", 17)
    assert visit([ADMITTED, cancel]).cancels_without_target == [cancel]
    late = fact("A03", 15)
    assert visit([ADMITTED, cancel, late]).cancels_without_target == []
    assert rows(ADMITTED, cancel, late) == [("W1", 8, None)]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ([], ""),
        ([fact("A08", 9)], ""),
        ([fact("A05", 7)], "planned"),
        ([fact("A05", 7), fact("A38", 8)], "cancelled"),
        ([fact("A05", 7), ADMITTED], "in-progress"),
        ([fact("A05", 7), ADMITTED, fact("A11", 9)], "planned"),
        ([ADMITTED, fact("A21", 9)], "onleave"),
        ([ADMITTED, fact("A21", 9), fact("A22", 10)], "in-progress"),
        ([ADMITTED, fact("A21", 9), fact("A52", 10)], "in-progress"),
        ([ADMITTED, fact("A21", 9), fact("A22", 10), fact("A53", 11)], "onleave"),
        ([ADMITTED, fact("A21", 9), fact("A03", 10)], "finished"),
        ([ADMITTED, fact("A23", 9)], "entered-in-error"),
        ([ADMITTED, fact("A23", 9), fact("A01", 10, "W2")], "in-progress"),
    ],
)
def test_the_word_for_how_a_visit_stands(facts, expected):
    assert status(*facts) == expected


def test_a_deleted_visit_has_no_rows():
    assert rows(*TWO_MOVES, fact("A23", 14)) == []


def test_no_order_changes_a_visit():
    """Random histories, each in many orders and each fact twice; rows never overlap."""
    rng = random.Random(3)
    for _ in range(400):
        facts = [_random(rng) for _ in range(rng.randint(1, 9))]
        found = visit(facts)
        for _ in range(4):
            rng.shuffle(facts)
            assert visit(facts) == found
        assert visit({*facts}) == found
        for row, behind in zip(found.rows, found.rows[1:], strict=False):
            assert row.end_ns is not None
            assert row.start_ns < row.end_ns <= behind.start_ns


def _random(rng: random.Random) -> Fact:
    time = rng.randint(1, 12)
    return fact(
        rng.choice(sorted(OF_VISITS)),
        time,
        rng.choice(("W1", "W2", "W3", "", None)),
        time + rng.choice((0, 0, 1, 5)),
        prior=rng.choice(("W1", "W2", None)),
        patient_class=rng.choice(("I", "O", "", None)),
        occurred_ns=rng.choice((None, rng.randint(1, 12))),
        admitted_ns=rng.choice((None, rng.randint(0, 12))),
        discharged_ns=rng.choice((None, rng.randint(0, 12))),
        disposition=rng.choice((None, "", "01")),
    )


def test_each_trigger_of_the_table_does_something():
    assert all(TRIGGERS.values())
    assert len(OF_VISITS) == 19
