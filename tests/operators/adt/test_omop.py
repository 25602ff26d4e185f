"""Patient care as rows of OMOP: ids, concepts, and what the CDM asks of a person's tables."""

from __future__ import annotations

from datetime import date, datetime
from hashlib import sha256
from typing import Any

import pytest

from operators.adt.omop import identity, person_id, rows
from state.adt.omop import BUILT_IN, TABLES, Mapped
from tests.operators.adt.omop_records import (
    VISIT,
    condition,
    encounter,
    observation,
    patient,
    stay,
    whole,
)

TS_NS = 1_709_712_000_000_000_000
"""2024-03-06T08:00:00Z."""


def row(table: str, **records: Any) -> dict[str, Any]:
    (found,) = rows(whole(**records))[table]
    return found


def test_a_person_has_the_parts_of_the_birth_date_that_are_known():
    full = row("person")
    assert (full["year_of_birth"], full["month_of_birth"], full["day_of_birth"]) == (1965, 2, 4)
    assert full["gender_concept_id"] == 8532
    (year,) = rows(whole(patients=[patient(birth_date="1965", sex="X")]))["person"]
    assert (year["year_of_birth"], year["month_of_birth"]) == (1965, None)
    assert (year["gender_concept_id"], year["gender_source_value"]) == (0, "X")


@pytest.mark.parametrize("patients", [[], [patient(birth_date=None)]])
def test_without_a_year_of_birth_there_are_no_rows(patients):
    assert not any(rows(whole(patients=patients)).values())


@pytest.mark.parametrize(
    ("last", "of_stays", "concept"),
    [
        ("I", ["I"], 9201),
        ("E", ["E"], 9203),
        ("O", [], 9202),
        ("I", ["E", "I"], 262),
        ("E", ["I", "E"], 262),
        ("I", ["E"], 262),
        ("R", ["R"], 9202),
        ("B", ["B"], 0),
        (None, [None], 0),
    ],
)
def test_emergency_and_inpatient_in_one_number_are_one_visit(last, of_stays, concept):
    stays = [stay(hour, each) for hour, each in enumerate(of_stays, 8)]
    found = row("visit_occurrence", encounters=[encounter(**{"class": last})], stays=stays)
    assert found["visit_concept_id"] == concept


def test_each_time_in_a_bed_knows_the_one_before_it_and_where_the_patient_went():
    stays = [stay(8, "E", "ED^1^A"), stay(10, "I", "4W^1^A"), stay(12, "I", "ICU^2^B")]
    found = rows(whole(stays=stays))
    details = found["visit_detail"]
    (visit,) = found["visit_occurrence"]
    assert [each["visit_detail_concept_id"] for each in details] == [9203, 9201, 9201]
    ids = [each["visit_detail_id"] for each in details]
    assert [each["preceding_visit_detail_id"] for each in details] == [None, *ids[:-1]]
    assert {each["visit_occurrence_id"] for each in details} == {visit["visit_occurrence_id"]}
    places = ["ED^1^A", "4W^1^A", "ICU^2^B"]
    assert [each["admitted_from_source_value"] for each in details] == ["7", *places[:-1]]
    assert [each["discharged_to_source_value"] for each in details] == [*places[1:], "01"]
    sites = {each["care_site_id"]: each["care_site_source_value"] for each in found["care_site"]}
    assert [sites[each["care_site_id"]] for each in details] == places


def test_an_open_visit_ends_as_a_date_where_it_was_last_told_of():
    found = row("visit_occurrence", encounters=[encounter(discharged=None, ts_ns=TS_NS)])
    assert found["visit_start_datetime"] == datetime.fromisoformat("2024-03-05T08:00:00")
    assert (found["visit_end_date"], found["visit_end_datetime"]) == (date(2024, 3, 6), None)


def test_an_open_visit_that_began_later_ends_as_it_began():
    later = encounter(admitted="2024-03-09T08:00:00Z", discharged=None)
    assert row("visit_occurrence", encounters=[later])["visit_end_date"] == date(2024, 3, 9)


def test_a_discharge_before_the_admission_is_start_and_end():
    found = row("visit_occurrence", encounters=[encounter(discharged="2024-03-04T07:00:00Z")])
    moment = datetime.fromisoformat("2024-03-04T07:00:00")
    assert found["visit_start_datetime"] == found["visit_end_datetime"] == moment
    assert found["visit_start_date"] == found["visit_end_date"] == moment.date()


def test_a_bed_of_one_name_in_two_hospitals_is_two_places():
    sites = [
        rows(whole(encounters=[encounter(domain=each)]))["care_site"][0] for each in ("GH", "NH")
    ]
    assert sites[0]["care_site_source_value"] == sites[1]["care_site_source_value"]
    assert sites[0]["care_site_id"] != sites[1]["care_site_id"]


def test_results_and_diagnoses_name_their_visit():
    found = rows(whole(observations=[observation(), observation(value="no", value_ucum=None)]))
    (visit,) = found["visit_occurrence"]
    for table in ("measurement", "observation", "condition_occurrence"):
        (told,) = found[table]
        assert told["visit_occurrence_id"] == visit["visit_occurrence_id"], table


def test_who_was_not_admitted_has_no_visit():
    found = rows(whole(encounters=[encounter(admitted=None, status="in-progress")], stays=[]))
    assert found["visit_occurrence"] == found["visit_detail"] == []


@pytest.mark.parametrize("status", ["planned", "cancelled", "entered-in-error"])
def test_what_never_was_is_no_visit(status):
    found = rows(whole(encounters=[encounter(status=status)], stays=[]))
    assert found["visit_occurrence"] == found["visit_detail"] == []
    (diagnosis,) = found["condition_occurrence"]
    assert diagnosis["visit_occurrence_id"] is None


def test_visits_follow_each_other():
    later = {"admitted": "2024-04-01T08:00:00Z", "discharged": None}
    told = [encounter(visit="V3", **later), encounter(visit="V2", **later), encounter()]
    found = rows(whole(encounters=told))["visit_occurrence"]
    assert [each["visit_source_value"] for each in found] == [VISIT["visit"], "V2", "V3"]
    ids = [each["visit_occurrence_id"] for each in found]
    assert [each["preceding_visit_occurrence_id"] for each in found] == [None, *ids[:-1]]


def test_a_diagnosis_without_a_time_has_that_of_its_visit():
    found = row("condition_occurrence", conditions=[condition(time=None)])
    assert found["condition_start_date"] == date(2024, 3, 5)
    nowhere = whole(conditions=[condition(time=None, visit="V9")])
    assert rows(nowhere)["condition_occurrence"] == []


@pytest.mark.parametrize(
    ("fields", "number"),
    [
        ({"value": "118", "value_ucum": 11.8}, 11.8),
        ({"value": "+4.5", "value_ucum": None, "unit": "frob"}, 4.5),
        ({"value": "negative", "value_ucum": None, "unit": None}, None),
        ({"value": None, "value_ucum": None}, None),
        ({"value": "\u0661\u0662", "value_ucum": None}, None),
    ],
)
def test_a_number_is_a_measurement_and_anything_else_an_observation(fields, number):
    found = rows(whole(observations=[observation(**fields)]))
    table = "observation" if number is None else "measurement"
    (seen,) = found[table]
    assert seen["value_as_number"] == number
    assert seen["value_source_value"] == fields["value"]
    assert len(found["measurement"]) + len(found["observation"]) == 1


@pytest.mark.parametrize("status", ["registered", "cancelled", "entered-in-error"])
def test_what_was_not_measured_is_no_measurement(status):
    assert rows(whole(observations=[observation(status=status)]))["measurement"] == []


@pytest.mark.parametrize(
    ("sent", "concept"), [("<", 4171756), ("<=", 4171754), (">", 4172704), (">=", 4171755)]
)
def test_a_bound_has_its_operator(sent, concept):
    found = row("measurement", observations=[observation(comparator=sent)])
    assert found["operator_concept_id"] == concept
    assert row("measurement")["operator_concept_id"] is None


def test_codes_have_the_concepts_of_a_vocabulary_and_else_0():
    known = {
        ("ICD10CM", "I50.9"): Mapped(45566731, 316139),
        ("LOINC", "718-7"): Mapped(3000963, 3000963),
        ("UCUM", "g/dL"): Mapped(8713, 8713),
    }

    def concepts(vocabulary: str, code: str) -> Mapped:
        return known.get((vocabulary, code), Mapped())

    found = rows(whole(), concepts)
    (diagnosis,), (seen,) = found["condition_occurrence"], found["measurement"]
    assert diagnosis["condition_concept_id"] == 316139
    assert diagnosis["condition_source_concept_id"] == 45566731
    assert (seen["measurement_concept_id"], seen["unit_concept_id"]) == (3000963, 8713)
    small = rows(whole(observations=[observation(system="ln")]), concepts)["measurement"][0]
    assert small["measurement_concept_id"] == 3000963
    assert row("measurement")["measurement_concept_id"] == 0
    local = rows(whole(observations=[observation(system="L")]), concepts)["measurement"][0]
    assert (local["measurement_concept_id"], local["measurement_source_value"]) == (0, "718-7")


def test_a_death_and_the_time_that_is_known_of_a_person():
    found = rows(whole(patients=[patient(died="2024-07-01T01:00:00Z")]))
    assert found["death"][0]["death_date"] == date(2024, 7, 1)
    (period,) = found["observation_period"]
    assert period["observation_period_start_date"] == date(2024, 3, 5)
    assert period["observation_period_end_date"] == date(2024, 7, 1)
    assert rows(whole())["death"] == []


def test_ids_are_of_63_bits_and_of_table_and_key():
    found = rows(whole())
    ids = [value for table in TABLES for each in found[table] for name, value in each.items()
           if name == f"{table}_id"]  # fmt: skip
    assert len(set(ids)) == len(ids)
    assert all(0 <= each < 1 << 63 for each in ids)
    digits = sha256(b'["person","GH","7^^^GH"]').hexdigest()[:16]
    assert identity("person", "GH", "7^^^GH") == person_id(patient()) == int(digits, 16) >> 1
    assert identity("person", "a", "b") != identity("person", "ab")


def test_every_concept_without_a_vocabulary_is_a_row_of_its_table():
    stays = [stay(8, "E"), stay(9, "I")]
    every = whole(stays=stays, observations=[observation(comparator=each) for each in "<>"])
    named = {
        value
        for of_table in rows(every).values()
        for each in of_table
        for name, value in each.items()
        if name.endswith("_concept_id") and value is not None
    }
    assert named <= {concept.concept_id for concept in BUILT_IN}


def test_long_texts_and_nul_fit_their_columns():
    found = rows(whole(observations=[observation(value="\0" + "x" * 99, value_ucum=None)]))
    assert found["observation"][0]["value_as_string"] == "x" * 60
