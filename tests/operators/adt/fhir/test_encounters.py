"""Visits as Encounters."""

from __future__ import annotations

import pytest

from tests.operators.adt.fhir.records import (
    DOMAIN,
    PATIENT,
    VISIT,
    change,
    resources,
    retracted,
    stay,
    the,
    told,
)
from tests.operators.adt.fhir.rules import check

KEY = f"{VISIT}|{PATIENT}|{DOMAIN}"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


def encounter(*stays, **fields):
    """The Encounter of a visit with these places and fields."""
    bundles = told(change("location_visits", stays=list(stays)), change("encounters", **fields))
    check(bundles[-1])
    return the(bundles[-1], "Encounter")


def test_places_are_in_order_and_the_last_one_is_active():
    bundle = told(
        change("encounters"),
        change("location_visits", stays=[stay("ED^1", "08:00", "09:00"), stay("4W^1^A", "09:00")]),
    )[-1]
    check(bundle)
    places = {
        entry["fullUrl"]: entry["resource"]
        for entry in bundle["entry"]
        if entry["resource"]["resourceType"] == "Location"
    }
    first, last = the(bundle, "Encounter")["location"]
    assert first["status"] == "completed"
    assert first["period"] == {"start": "2024-03-05T08:00:00Z", "end": "2024-03-05T09:00:00Z"}
    assert last["status"] == "active"
    assert last["period"] == {"start": "2024-03-05T09:00:00Z"}
    names = [places[each["location"]["reference"]] for each in (first, last)]
    assert [each["name"] for each in names] == ["ED 1", "4W 1 A"]
    kinds = [each["physicalType"]["coding"][0]["code"] for each in names]
    assert kinds == ["ro", "bd"]


def test_a_visit_is_told_once_its_status_is_known_whichever_comes_first():
    status, timeline = change("encounters"), change("location_visits", stays=[stay("A", "08:00")])
    assert len(told(timeline)) == 0
    one, other = told(timeline, status)[-1], told(status, timeline)[-1]
    assert the(one, "Encounter") == the(other, "Encounter")


@pytest.mark.parametrize(
    ("sent", "system", "code"),
    [
        ("I", ACT, "IMP"),
        ("E", ACT, "EMER"),
        ("R", "http://terminology.hl7.org/CodeSystem/v2-0004", "R"),
        (None, "http://terminology.hl7.org/CodeSystem/v3-NullFlavor", "UNK"),
    ],
)
def test_class(sent, system, code):
    found = encounter(**{"class": sent})["class"]
    assert (found["system"], found["code"]) == (system, code)


def test_a_change_of_class_is_kept_in_the_history():
    stays = [
        stay("ED", "08:00", "08:30", "E"),
        stay("ED^1", "08:30", "09:00", "E"),
        stay("4W", "09:00"),
    ]
    first, last = encounter(*stays)["classHistory"]
    assert first["class"]["code"] == "EMER"
    assert first["period"] == {"start": "2024-03-05T08:00:00Z", "end": "2024-03-05T09:00:00Z"}
    assert last["class"]["code"] == "IMP"
    assert "classHistory" not in encounter(stay("4W", "09:00"))


@pytest.mark.parametrize(
    ("sent", "codes"),
    [("01", ["home", "01"]), ("1", ["home", "1"]), ("20", ["exp", "20"]), ("XX", ["XX"])],
)
def test_the_disposition_keeps_the_code_that_was_sent(sent, codes):
    found = encounter(disposition=sent)["hospitalization"]["dischargeDisposition"]["coding"]
    assert [each["code"] for each in found] == codes


def test_a_finished_visit_has_a_period_a_length_and_no_active_place():
    found = encounter(
        stay("4W", "08:00"),
        status="finished",
        discharged="2024-03-05T10:00:00Z",
        stay_s=7200,
    )
    assert found["period"] == {"start": "2024-03-05T08:00:00Z", "end": "2024-03-05T10:00:00Z"}
    assert (found["length"]["value"], found["length"]["code"]) == (7200, "s")
    assert found["location"][0]["status"] == "completed"


@pytest.mark.parametrize(
    ("status", "place"),
    [
        ("planned", "planned"),
        ("in-progress", "active"),
        ("onleave", "active"),
        ("finished", "completed"),
        ("cancelled", "completed"),
        ("entered-in-error", "completed"),
    ],
)
def test_a_place_that_nobody_left_is_as_its_visit_is(status, place):
    found = encounter(stay("4W", "08:00"), status=status)
    assert (found["status"], found["location"][0]["status"]) == (status, place)


def test_the_number_of_a_visit_is_a_visit_number_also_where_nothing_else_is_known():
    whole = encounter()
    assert whole["identifier"][1]["type"]["coding"][0]["code"] == "VN"
    stub = the(told(change("conditions"))[-1], "Encounter")
    assert stub["status"] == "unknown"
    assert stub["identifier"][1] == whole["identifier"][1]
    assert stub["subject"] == whole["subject"]


def test_a_discharge_before_the_admission_leaves_the_end_alone():
    found = encounter(status="finished", discharged="2024-03-05T07:00:00Z", stay_s=-3600)
    assert found["period"] == {"end": "2024-03-05T07:00:00Z"}
    assert "length" not in found


def test_a_vip_is_restricted_and_no_more_once_the_flag_is_gone():
    assert encounter(vip="VIP")["meta"]["security"][0]["code"] == "R"
    assert "meta" not in encounter(vip=None)


def test_who_attends_what_service_and_where_from():
    found = encounter(attending="D1^Doe^Jo Ann", service="URO", admission_type="E", source="7")
    assert found["participant"][0]["type"][0]["coding"][0]["code"] == "ATND"
    assert found["serviceType"]["coding"][0]["code"] == "222"
    assert found["type"][0]["coding"][0]["code"] == "E"
    assert found["hospitalization"]["admitSource"]["coding"][0]["code"] == "7"
    bundle = told(change("encounters", attending="D1^Doe^Jo Ann"))[0]
    assert the(bundle, "Practitioner")["name"] == [{"family": "Doe", "given": ["Jo", "Ann"]}]


def test_a_visit_taken_back_is_entered_in_error_and_has_lost_its_number():
    bundle = told(change("encounters"), retracted("encounters", KEY))[-1]
    check(bundle)
    found = the(bundle, "Encounter")
    assert found["status"] == "entered-in-error"
    assert len(found["identifier"]) == 1
    assert found["subject"] == encounter()["subject"]


def test_a_timeline_taken_back_leaves_a_visit_without_places():
    timeline = change("location_visits", stays=[stay("4W", "08:00")])
    bundle = told(change("encounters"), timeline, retracted("location_visits", KEY))[-1]
    assert "location" not in the(bundle, "Encounter")


def test_one_number_of_two_patients_is_two_visits():
    other = change("encounters", patient="2^^^GH")
    urls = {bundle["entry"][0]["fullUrl"] for bundle in told(change("encounters"), other)}
    assert len(urls) == 2


def test_of_which_messages_a_visit_was_made():
    bundle = told(change("encounters", because=["adt.raw:0:1", "adt.raw:0:9"]))[0]
    found = the(bundle, "Provenance")
    assert found["target"] == [{"reference": bundle["entry"][0]["fullUrl"]}]
    assert found["recorded"] == "2024-03-05T08:00:00Z"
    values = [each["what"]["identifier"]["value"] for each in found["entity"]]
    assert values == ["adt.raw:0:1", "adt.raw:0:9"]


def test_no_number_is_in_what_a_server_logs():
    patient = change("patients", patient="SECRETMRN^^^GH")
    visit = change("encounters", visit="SECRETVISIT^^^GH", patient="SECRETMRN^^^GH")
    for bundle in told(patient, visit):
        for entry in bundle["entry"]:
            assert "SECRET" not in f"{entry['fullUrl']} {entry['request']}"
    assert len(resources(told(visit)[0], "Patient")) == 1
