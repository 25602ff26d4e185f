"""Which observations stand, in whatever order messages told of them."""

from __future__ import annotations

import json
import random
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.adt.observations import results
from connectors.hl7.files import contents
from connectors.hl7.message import Message
from operators.adt.observed import Observed, observed
from state.adt.observations import CODED, NUMBER, STATUSES, TEXT, Observation
from tests.reference.test_adt_cases import CASES, needs_cases

KEY = ("7^^^GH", "V1^^^GH")
HOUR_NS = 3600 * 10**9
PLAIN = Observation(
    recorded_ns=10 * HOUR_NS,
    clinical_ns=9 * HOUR_NS,
    digest="m1 000000",
    patient="7^^^GH",
    visit="V1^^^GH",
    filler="FL7",
    code="2823-3",
    system="LN",
    text="Potassium",
    sub_id="",
    timed=True,
    kind=NUMBER,
    value="6.1",
    comparator=None,
    unit="mmol/L",
    status="final",
    confirms=False,
)


def made(hour: int, value: str | None = "6.1", status: str = "F", **fields: Any) -> Observation:
    """Return an observation of a message of its own, recorded at an hour."""
    told = PLAIN._replace(
        recorded_ns=hour * HOUR_NS, digest=f"m{hour} 000000", value=value, status=STATUSES[status]
    )
    return told._replace(**fields)


def lines(hour: int, *values: str, status: str = "F", **fields: Any) -> list[Observation]:
    """Return several observations of one message."""
    return [
        made(hour, value, status, **{"digest": f"m{hour} {place:06}", **fields})
        for place, value in enumerate(values)
    ]


def standing(*told: Observation) -> list[tuple[str | None, str]]:
    """Return value and status of what stands, the same in each order and told twice."""
    rows = observed(KEY, told)
    for order in permutations(told):
        assert observed(KEY, order) == rows
    assert observed(KEY, told + told) == rows
    return [(row.value, row.status) for row in rows]


def test_a_row_says_all_that_the_output_has():
    assert observed(("8", "V2"), [made(10, "118", unit="g/L", code="718-7", text="Hb")]) == [
        Observed(
            patient="8",
            visit="V2",
            code="718-7",
            system="LN",
            text="Hb",
            value="118",
            comparator=None,
            unit="g/L",
            value_ucum=11.8,
            unit_ucum="g/dL",
            status="final",
            time="1970-01-01T09:00:00Z",
            filler="FL7",
            sub_id=None,
            reason=None,
            nth=0,
        )
    ]
    assert observed(KEY, []) == []


def test_the_newest_recorded_counts():
    assert standing(made(10, "6.1"), made(11, "6.8"), made(12, "6.4")) == [("6.4", "final")]


def test_a_correction_replaces_and_a_wrong_or_deleted_one_is_entered_in_error():
    first, second = made(10, "6.1"), made(11, "6.8", "C")
    assert standing(first, second) == [("6.8", "corrected")]
    for status in "WD":
        wrong = made(12, "6.8", status)
        assert standing(first, second, wrong) == [("6.8", "entered-in-error")]
    assert standing(made(12, "6.8", "W"), made(13, "4.1")) == [("4.1", "final")]


@pytest.mark.parametrize("pending", ["P", "R", "S", "I", "O"])
@pytest.mark.parametrize("result", ["F", "C", "A", "V", "W", "D", "X", "N"])
def test_what_is_not_final_gives_way_whenever_it_was_recorded(pending, result):
    for hour in (9, 12):
        told = standing(made(hour, "6.0", pending), made(10, "6.1", result))
        assert told == [("6.1", STATUSES[result])]


def test_what_is_pending_gives_way_to_what_is_preliminary():
    assert standing(made(12, None, "I"), made(10, "6.0", "P")) == [("6.0", "preliminary")]
    assert standing(made(9, "5.9", "P"), made(10, "6.0", "P")) == [("6.0", "preliminary")]


def test_of_one_recorded_time_the_later_clinical_and_then_the_digest_counts():
    assert standing(made(10, "6.0", digest="m20 000000"), made(10, "6.1")) == [("6.0", "final")]
    early = made(10, "6.0", digest="m2 000000", **by_sending(8))
    later = made(10, "6.2", digest="m0 000000", **by_sending(10))
    assert standing(later, early) == [("6.2", "final")]
    assert standing(later, made(11, "6.3", **by_sending(9))) == [("6.3", "final")]


@pytest.mark.parametrize(
    "other",
    [
        {"filler": "FL8"},
        {"code": "2951-2"},
        {"system": "L"},
        {"sub_id": "2"},
        {"clinical_ns": 8 * HOUR_NS},
    ],
)
def test_what_a_correction_does_not_name_stays(other):
    told = standing(made(10, "6.1"), made(11, "6.8", "C", **other))
    assert sorted(told) == [("6.1", "final"), ("6.8", "corrected")]


def test_loinc_has_two_names():
    assert standing(made(10), made(11, "6.8", "C", system="LOINC")) == [("6.8", "corrected")]


def test_what_corrects_or_takes_back_and_names_no_time_is_about_each_one_of_its_order():
    told = made(10, "6.1"), made(10, "5.5", clinical_ns=8 * HOUR_NS, digest="m0 000000")
    gone = made(12, None, "D", **by_sending(12))
    assert standing(*told, gone) == [(None, "entered-in-error")] * 2
    assert [row.time[11:13] for row in observed(KEY, [*told, gone])] == ["08", "09"]
    assert standing(gone) == [(None, "entered-in-error")]
    assert len(standing(*told, gone._replace(filler=""))) == 3
    for status in "CAXW":
        assert (
            standing(*told, made(12, "1", status, **by_sending(12)))
            == [("1", STATUSES[status])] * 2
        )
    confirms = made(12, None, "U", confirms=True, kind="", **by_sending(12))
    assert standing(made(10, "6.1", "P"), confirms) == [("6.1", "final")]


def test_without_an_order_and_a_time_each_one_is_an_observation_of_its_own():
    told = [made(hour, str(hour), filler="", **by_sending(hour)) for hour in (10, 11)]
    assert standing(*told) == [("10", "final"), ("11", "final")]


def test_results_of_an_order_without_times_are_one_and_leave_those_with_a_time():
    preliminary, final = made(12, "6.0", "P", **by_sending(12)), made(13, "6.2", **by_sending(13))
    assert standing(preliminary, final) == [("6.2", "final")]
    assert [row.time[11:13] for row in observed(KEY, [preliminary, final])] == ["13"]
    assert standing(preliminary, final, made(10)) == [("6.1", "final"), ("6.2", "final")]
    wrong = made(14, None, "W", **by_sending(14))
    assert standing(preliminary, final, made(10), wrong) == [(None, "entered-in-error")] * 2
    at_once = made(10, "6.3", clinical_ns=13 * HOUR_NS)
    assert standing(final, at_once) == [("6.2", "final")]


def by_sending(hour: int) -> dict[str, Any]:
    return {"timed": False, "clinical_ns": hour * HOUR_NS}


def test_a_confirmation_makes_what_was_preliminary_final():
    confirms = made(11, None, "U", confirms=True, kind="", unit=None)
    for hour in (10, 12):
        assert standing(made(hour, "6.0", "P"), confirms) == [("6.0", "final")]
    assert standing(made(10, "6.1"), confirms) == [("6.1", "final")]
    assert standing(made(10, "6.1", "W"), confirms) == [("6.1", "entered-in-error")]
    assert standing(confirms) == [(None, "final")]


def test_the_lines_of_a_report_are_one_text_and_the_newest_report_counts():
    old = lines(10, "one", "two", "three", kind=TEXT, unit=None)
    new = lines(11, "ein", "zwei", kind=TEXT, unit=None, status="C")
    assert standing(*old) == [("one\ntwo\nthree", "final")]
    assert standing(*old, *new) == [("ein\nzwei", "corrected")]


def test_several_of_one_message_that_nothing_tells_apart_all_stand():
    germs = lines(10, "A", "B", "A", kind=CODED, unit=None)
    assert standing(*germs) == [("A", "final"), ("B", "final")]
    assert [row.nth for row in observed(KEY, germs)] == [0, 1]
    assert standing(*germs, made(11, None, "D", kind="")) == [(None, "entered-in-error")]


def test_in_one_message_the_later_line_of_another_status_counts():
    wrong, right = lines(10, "6.1", "6.8")
    wrong, right = wrong._replace(status="entered-in-error"), right._replace(status="corrected")
    assert standing(wrong, right) == [("6.8", "corrected")]


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"unit": "frob"}, (None, None, "2823-3: unit frob")),
        ({"unit": None}, (None, None, "2823-3: no unit")),
        ({"kind": TEXT, "unit": "frob"}, (None, None, None)),
        ({"unit": "umol/L"}, (0.0061, "mmol/L", None)),
        ({"unit": "umol/L", "system": ""}, (0.0061, "mmol/L", None)),
        ({"unit": "umol/L", "system": "99LAB"}, (6.1, "umol/L", None)),
        ({"unit": "umol/L", "comparator": "<"}, (0.0061, "mmol/L", None)),
    ],
)
def test_a_number_is_in_ucum_or_says_why_not(fields, wanted):
    [row] = observed(KEY, [made(10, **fields)])
    assert (row.value_ucum, row.unit_ucum, row.reason) == wanted
    assert (row.value, row.unit) == ("6.1", fields.get("unit", "mmol/L"))


def test_only_results_are_for_scores():
    told = {status for status in STATUSES if observed(KEY, [made(10, "6.1", status)])[0].is_result}
    assert told == set("ABCFUV")


SOME = st.builds(
    made,
    st.integers(8, 12),
    st.sampled_from(["1", "2", None]),
    st.sampled_from(sorted(STATUSES)),
    clinical_ns=st.sampled_from([8 * HOUR_NS, 9 * HOUR_NS]),
    digest=st.builds("m{} {:06}".format, st.integers(0, 2), st.integers(0, 2)),
    filler=st.sampled_from(["FL7", "FL8", ""]),
    sub_id=st.sampled_from(["", "1"]),
    timed=st.booleans(),
    kind=st.sampled_from([NUMBER, TEXT, CODED]),
    confirms=st.booleans(),
)


def place(each: Observation) -> tuple[object, ...]:
    return each[:3]


@given(st.lists(SOME, max_size=6, unique_by=place), st.randoms())
def test_any_set_stands_the_same_in_all_orders_and_under_keys_of_their_own(told, rng):
    rows = observed(KEY, told)
    for _ in range(20):
        order = [*told, *told]
        rng.shuffle(order)
        assert observed(KEY, order) == rows
    keys = [(row.filler, row.code, row.system, row.sub_id, row.time, row.nth) for row in rows]
    assert len(set(keys)) == len(keys)
    assert bool(rows) == bool(told)
    for status in {row.status for row in rows} - {"final"}:
        assert status in {each.status for each in told}


@given(st.lists(SOME, min_size=1, max_size=4, unique_by=place))
def test_a_newer_deletion_without_a_time_takes_away_all_results_of_its_order(told):
    told = [each._replace(filler="FL7", sub_id="") for each in told]
    gone = made(20, None, "D", timed=False, kind="")
    assert {row.status for row in observed(KEY, [*told, gone])} == {"entered-in-error"}


def read(name: str) -> tuple[list[Observation], dict[str, Any]]:
    """Return the observations of a case, and what it expects of them by the kind of check."""
    case = json.loads((CASES / f"{name}.json").read_text())
    files = [file["bytes"].encode("latin-1") for file in case["input"]["files"]]
    raws = [raw for file in files for raw in contents(file).messages]
    checks = {kind: told for each in case["expect"]["checks"] for kind, told in each.items()}
    return [each for raw in raws for each in results(Message(raw)).observations], checks


@needs_cases
def test_case_d44_final_corrected_then_wrong():
    told, wanted = read("d44")
    assert len(told) == 3
    for order in permutations(told):
        [row] = observed(KEY, order)
        assert (row.code, row.status) == tuple(wanted["observation"].values())
        assert wanted["scores_use"] == {row.code: row.value_ucum if row.is_result else None}
        assert row.value == "6.8"


@needs_cases
def test_case_d45_haemoglobin_in_three_units():
    told, wanted = read("d45")
    for order in permutations(told):
        *known, unknown = observed(KEY, order)
        assert [[row.value, row.unit, row.value_ucum, row.unit_ucum] for row in known] == wanted[
            "observation_ucum"
        ]
        code, why = str(unknown.reason).split(": ")
        [missing] = wanted["score_missing"]["HOSPITAL"]
        assert missing == f"{code} at {unknown.time[11:16]}: {why}"
        assert (unknown.value, unknown.unit) == ("11.8", "frob")
        assert (unknown.value_ucum, unknown.unit_ucum) == (None, None)


@needs_cases
def test_d44_with_some_of_its_messages():
    told, _ = read("d44")
    assert standing(*told[:2]) == [("6.8", "corrected")]
    assert standing(told[0], told[2]) == [("6.8", "entered-in-error")]
    shuffled = told[:]
    random.Random(3).shuffle(shuffled)
    assert observed(KEY, shuffled) == observed(KEY, told)
