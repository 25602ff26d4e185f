"""Patients, and numbers that were merged."""

from __future__ import annotations

from itertools import permutations

import pytest

from operators.adt.fhir.resources import Resources
from tests.operators.adt.fhir.records import DOMAIN, change, hashed, retracted, the, told
from tests.operators.adt.fhir.rules import check


def patients(*changes):
    """Each Patient as a server holds it after these changes, by its number."""
    held = {}
    for bundle in told(*changes):
        for entry in bundle["entry"]:
            is_told = entry["request"]["method"] == "PUT" or entry["fullUrl"] not in held
            if is_told and entry["resource"]["resourceType"] == "Patient":
                held[entry["fullUrl"]] = entry["resource"]
    numbers = {url: each["identifier"][1]["value"] for url, each in held.items()}
    for each in held.values():
        for link in each.get("link", []):
            link["other"] = numbers[link["other"]["reference"]]
    return {numbers[url]: each for url, each in held.items()}


def row(number, merged=(), ts_ns=1):
    return change(
        "patients", patient=f"{number}^^^GH", merged=[f"{m}^^^GH" for m in merged], ts_ns=ts_ns
    )


def gone(number):
    return retracted("patients", f"{number}^^^GH|{DOMAIN}")


def test_who_it_is():
    bundle = told(
        change(
            "patients",
            family="Doe",
            given="Jo Ann",
            sex="f",
            birth_date="1961-04",
            phone="555 1",
            died="2024-03-05T08:00:00Z",
            deceased=True,
            address={"line": "1 Way", "city": "Town", "zip": "1000"},
        )
    )[0]
    check(bundle)
    found = the(bundle, "Patient")
    assert found["name"] == [{"family": "Doe", "given": ["Jo", "Ann"]}]
    assert found["gender"] == "female"
    assert found["birthDate"] == "1961-04"
    assert found["deceasedDateTime"] == "2024-03-05T08:00:00Z"
    assert "deceasedBoolean" not in found
    assert found["address"] == [{"line": ["1 Way"], "city": "Town", "postalCode": "1000"}]
    assert found["telecom"] == [{"system": "phone", "value": "555 1", "use": "home"}]
    assert found["active"] is True


@pytest.mark.parametrize(
    ("patient", "system", "value"),
    [
        ("1^^^1.2.840.1", "urn:oid:1.2.840.1", "1"),
        ("1^^^GH A", "urn:headrace:authority:GH%20A", "1"),
        ("1", "urn:headrace:domain:GH", "1"),
        ("1\\S\\2\\F\\3^^^GH", "urn:headrace:authority:GH", "1^2|3"),
    ],
)
def test_a_number_and_its_authority(patient, system, value):
    bundle = told(change("patients", patient=patient))[0]
    check(bundle)
    found = the(bundle, "Patient")["identifier"][1]
    assert (found["system"], found["value"]) == (system, value)


def test_merged_numbers_and_the_survivor_link_to_each_other():
    merges = row("1", merged=["2", "3"])
    check(told(merges)[0])
    found = patients(merges)
    assert found["1"]["link"] == [
        {"other": "2", "type": "replaces"},
        {"other": "3", "type": "replaces"},
    ]
    for number in ("2", "3"):
        assert found[number]["active"] is False
        assert found[number]["link"] == [{"other": "1", "type": "replaced-by"}]


def orders(*sequences):
    """Every order of some changes in which those of one key keep theirs."""
    steps = [(which, n) for which, each in enumerate(sequences) for n in range(len(each))]
    for order in permutations(steps):
        if all([n for w, n in order if w == which] == list(range(len(each)))
               for which, each in enumerate(sequences)):  # fmt: skip
            yield [sequences[which][n] for which, n in order]


def test_a_chain_of_merges_ends_the_same_in_whatever_order_the_topic_is_read():
    ends = [
        patients(*order)
        for order in orders(
            [row("2"), gone("2")],
            [row("1"), row("1", ["2"], ts_ns=5), gone("1")],
            [row("3"), row("3", ["2", "1"], ts_ns=9)],
        )
    ]
    assert len(ends) > 50
    assert all(end == ends[0] for end in ends)
    assert ends[0]["2"]["link"] == [{"other": "3", "type": "replaced-by"}]
    assert ends[0]["1"]["active"] is False


def test_a_merge_taken_back_frees_the_number():
    for order in orders([row("2"), row("2", ts_ns=9)], [row("1", ["2"]), row("1", ts_ns=9)]):
        found = patients(*order)
        assert found["2"]["active"] is True
        assert "link" not in found["2"]
        assert "link" not in found["1"]


def test_a_patient_taken_back_is_not_active():
    check(told(row("1"), gone("1"))[-1])
    found = patients(row("1"), gone("1"))["1"]
    assert found["active"] is False
    assert "link" not in found


def test_nothing_is_kept_of_what_is_gone():
    logic = Resources(8, hashed)
    told(row("1", ["2"]), gone("1"), change("encounters"), logic=logic)
    told(retracted("encounters", "V1^^^GH|1001^^^GH|GH"), logic=logic)
    assert len(logic.entities) == 0
