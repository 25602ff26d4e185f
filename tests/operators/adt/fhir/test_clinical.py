"""Diagnoses and observations, and the contract of the logic that tells them."""

from __future__ import annotations

import pytest

from operators.adt.fhir.resources import Resources
from tests.contracts.logics import check as check_logic
from tests.operators.adt.fhir.records import (
    block,
    change,
    hashed,
    record,
    retracted,
    stay,
    the,
    told,
)
from tests.operators.adt.fhir.rules import check


def observation(**fields):
    [bundle] = told(change("observations", **fields))
    check(bundle)
    return the(bundle, "Observation")


def condition(**fields):
    [bundle] = told(change("conditions", **fields))
    check(bundle)
    return the(bundle, "Condition")


def test_a_number_is_in_ucum_and_the_unit_as_sent_stays():
    found = observation()
    assert found["valueQuantity"] == {
        "value": 11.8, "unit": "g/dL", "system": "http://unitsofmeasure.org", "code": "g/dL",
    }  # fmt: skip
    assert found["note"] == [{"text": "As sent: 118 g/L"}]
    assert found["code"]["coding"] == [{"system": "http://loinc.org", "code": "718-7"}]
    assert found["effectiveDateTime"] == "2024-03-05T09:00:00Z"


def test_a_bound_keeps_its_comparator():
    assert observation(comparator="<")["valueQuantity"]["comparator"] == "<"


def test_a_number_of_an_unknown_unit_keeps_it_without_a_system():
    found = observation(value="7", unit="frob", value_ucum=None, unit_ucum=None, reason="x: frob")
    assert found["valueQuantity"] == {"value": 7.0, "unit": "frob"}


@pytest.mark.parametrize("value", ["positive", "1 in 5", "nan"])
def test_a_text_is_a_string(value):
    found = observation(value=value, unit=None, value_ucum=None, unit_ucum=None, reason="x")
    assert found["valueString"] == value


@pytest.mark.parametrize("value", [None, "", " "])
def test_without_a_value_there_is_a_reason(value):
    found = observation(value=value, unit=None, value_ucum=None, unit_ucum=None)
    assert found["dataAbsentReason"]["coding"][0]["code"] == "unknown"
    assert not [name for name in found if name.startswith("value")]


def test_an_observation_without_a_visit():
    assert "encounter" not in observation(visit=None)


def test_a_wrong_observation_says_so():
    assert observation(status="entered-in-error")["status"] == "entered-in-error"
    [bundle] = told(retracted("observations", record("observations")["observation"]))
    check(bundle)
    assert the(bundle, "Observation")["status"] == "entered-in-error"


@pytest.mark.parametrize(
    ("system", "address"),
    [
        ("I10C", "http://hl7.org/fhir/sid/icd-10-cm"),
        ("SCT", "http://snomed.info/sct"),
        ("99LOC", "urn:headrace:codes:GH:99LOC"),
        (None, "urn:headrace:codes:GH:local"),
    ],
)
def test_the_system_of_a_code(system, address):
    assert condition(system=system)["code"]["coding"][0]["system"] == address


@pytest.mark.parametrize(
    ("sent", "verified"), [("F", "confirmed"), ("A", "provisional"), (None, "unconfirmed")]
)
def test_how_sure_a_diagnosis_is(sent, verified):
    found = condition(type=sent)
    assert found["verificationStatus"]["coding"][0]["code"] == verified
    assert found["category"][0]["coding"][0]["code"] == "encounter-diagnosis"
    assert found["recordedDate"] == "2024-03-05T09:00:00Z"


def test_a_diagnosis_taken_back_is_entered_in_error_without_a_clinical_status():
    [bundle] = told(retracted("conditions", record("conditions")["condition"]))
    check(bundle)
    found = the(bundle, "Condition")
    assert found["verificationStatus"]["coding"][0]["code"] == "entered-in-error"
    assert "clinicalStatus" not in found


def test_the_visit_of_a_diagnosis_is_added_where_it_is_missing_and_else_left_alone():
    [bundle] = told(change("conditions"))
    [stub] = [e for e in bundle["entry"] if e["resource"]["resourceType"] == "Encounter"]
    assert stub["request"]["method"] == "POST"
    assert stub["fullUrl"] == told(change("encounters"))[0]["entry"][0]["fullUrl"]


def test_the_logic_keeps_the_contract():
    changes = [
        change("patients", merged=["2^^^GH"]),
        change("location_visits", stays=[stay("4W", "08:00")]),
        change("encounters"),
        change("conditions"),
        change("patients", patient="2^^^GH"),
        change("patients"),
        retracted("location_visits", "V1^^^GH|1001^^^GH|GH"),
        change("observations"),
    ]
    check_logic(lambda: Resources(8, hashed), [block(each) for each in changes])
