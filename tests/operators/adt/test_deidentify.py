"""Tables without whose they are: the allow-list, and what each treatment leaves."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.adt.codes import Codes, Pseudonyms
from operators.adt.deidentify import LEAST_CELL, Deidentifier, Tables, counts
from state.adt.deidentified import (
    ALLOWED,
    FORMS,
    PER_YEAR,
    SMALL_ZIP3,
    Mode,
    Treatment,
)
from state.adt.outputs import OUTPUTS
from state.outputs import to_json
from state.sealing import Keyring, Seal

SEAL = Seal(Keyring.generate())
YEAR = 2024
WHO = {"domain": "GH", "patient": "7^^^GH", "visit": "V1^^^GH"}


def patient(number: str = "7^^^GH", **fields: Any) -> dict[str, Any]:
    nothing: dict[str, Any] = {"birth_date": None, "died": None, "address": None, "merged": []}
    return {"domain": "GH", "patient": number, **nothing, **fields}


def encounter(**fields: Any) -> dict[str, Any]:
    times = {"admitted": "2023-12-30T08:00:00Z", "discharged": "2024-01-02T07:00:00Z"}
    return {**WHO, "status": "finished", "class": "I", **times, **fields}


def made(
    tables: Tables, mode: Mode = "safe_harbor", names: Any = None, year: int = YEAR
) -> dict[str, list[dict[str, Any]]]:
    given = Codes() if mode == "safe_harbor" else Pseudonyms(SEAL, 365)
    return Deidentifier(mode, names or given, tables, year).tables()


def one(output: str, row: dict[str, Any], mode: Mode = "safe_harbor") -> dict[str, Any]:
    (found,) = made({"encounters": [encounter()], output: [row]}, mode)[output]
    return {name: value for name, value in found.items() if name not in WHO}


def test_who_adds_a_column_says_what_becomes_of_it():
    """Give it a line in state/adt/deidentified.py: DROP, where nobody needs it."""
    listed = {field.partition(".")[0] for field in ALLOWED}
    columns = {
        f"{output.name}.{column.name}"
        for output in OUTPUTS
        if output.name in listed
        for column in output.columns
        if not column.passing
    }
    assert columns - ALLOWED.keys() == set()
    kept = {field for field, each in ALLOWED.items() if Treatment.KEEP in each}
    assert kept == FORMS.keys()


@pytest.mark.parametrize("mode", ["safe_harbor", "pseudonymised"])
def test_a_column_and_an_output_that_are_not_in_the_list_are_dropped(mode):
    found = made({"encounters": [encounter(nickname="Bo")], "gossip": [{"text": "Bo"}]}, mode)
    assert found.keys() == {"encounters"}
    assert b"Bo" not in to_json(found)


def test_of_dates_the_year_of_admission_survives_and_lengths_in_days():
    found = one("encounters", encounter(stay_s=255_600, boarding_s=900))
    assert found == {
        "status": "finished", "class": "I", "admitted_year": 2023, "discharged_day": 2
    }  # fmt: skip


def test_the_facility_is_not_told_and_a_bed_tells_nothing_of_when():
    bed = {**WHO, "location": "4W^1^A", "status": "O", "since": "2023-12-30T08:00:00Z"}
    (found,) = made({"beds": [bed]})["beds"]
    assert found.keys() == {"patient", "visit", "location", "status"}
    (visit,) = made({"encounters": [encounter()]})["encounters"]
    assert "domain" not in visit


@pytest.mark.parametrize("sent", ["0112", "01 Bo", "1", "\uff10\uff11"])
def test_a_code_that_only_begins_as_one_is_dropped(sent):
    assert "disposition" not in one("encounters", encounter(disposition=sent))
    assert one("encounters", encounter(disposition="01"))["disposition"] == "01"


def test_a_stay_keeps_its_order_and_no_year():
    stay = {"location": "4W^1^A", "class": "I", "inferred": False}
    found = one(
        "location_visits",
        WHO | stay | {"start": "2023-12-30T20:00:00Z", "end": "2024-01-01T09:00:00Z"},
    )
    ward, bed = found.pop("location").split("^")
    assert found == {"class": "I", "inferred": False, "start_day": 0, "end_day": 2}
    assert len({ward, bed}) == 2
    assert not set(ward + bed) & set("aeiou0123456789")


def test_a_time_before_the_visit_tells_no_day_as_it_may_be_that_of_the_birth():
    condition = {"code": "I50.9", "system": "I10C", "type": "F", "rank": "1", "text": "Bo's heart"}
    of_birth = WHO | condition | {"time": "1931-02-04T00:00:00Z"}
    assert one("conditions", of_birth).keys() == {"code", "system", "type", "rank"}
    assert one("conditions", of_birth | {"time": "2023-12-31T09:00:00Z"})["time_day"] == 1


@pytest.mark.parametrize(
    ("born", "died", "wanted"),
    [
        ("1934-12-31", None, {"age": "90+"}),
        ("1935-01-01", None, {"birth_year": 1935}),
        ("1935", None, {"birth_year": 1935}),
        ("1931-02", "2020-06-01T00:00:00Z", {"birth_year": 1931}),
        ("1931", "2021-06-01T00:00:00Z", {"age": "90+"}),
    ],
)
def test_an_age_above_89_takes_the_year_of_birth_with_it(born, died, wanted):
    (found,) = made({"patients": [patient(birth_date=born, died=died)]})["patients"]
    del found["patient"]
    assert found == wanted


def test_an_age_is_told_by_any_year_beside_that_of_the_birth():
    rows = [patient(birth_date="1934", died="2021-01-01T00:00:00Z")]
    late = {"encounters": [encounter(admitted="2024-03-01T00:00:00Z")]}
    assert made({"patients": rows, **late}, year=2021)["patients"][0]["age"] == "90+"


def test_who_becomes_90_has_another_code_so_that_releases_cannot_be_joined():
    codes, rows = Codes(), {"patients": [patient(birth_date="1934")]}
    young, old, older = (
        made(rows, names=codes, year=year)["patients"][0] for year in (2023, 2024, 2025)
    )
    assert young["patient"] != old["patient"] == older["patient"]


def measured(code: str, value: float, unit: str) -> dict[str, Any]:
    told = {"value": f"{value:g}", "comparator": None, "value_ucum": value, "unit_ucum": unit}
    return WHO | told | {"code": code, "system": "LN", "status": "final", "time": None}


@pytest.mark.parametrize("mode", ["safe_harbor", "pseudonymised"])
@pytest.mark.parametrize(
    "code", ["30525-0", "21612-7", "29553-5", "63900-5", "80904-6", "21112-8", "21611-9"]
)
def test_an_observation_of_an_age_or_a_birth_is_dropped(code, mode):
    for value in (93.0, 40.0, 1931.0):
        assert made({"observations": [measured(code, value, "a")]}, mode)["observations"] == []


@pytest.mark.parametrize("unit", PER_YEAR)
@pytest.mark.parametrize("mode", ["safe_harbor", "pseudonymised"])
def test_a_time_of_89_years_is_an_age_whatever_its_code(unit, mode):
    for years, left in ((88, 1), (89.1, 0), (93, 0)):
        row = measured("8310-5", round(years * PER_YEAR[unit], 1), unit)
        assert len(made({"observations": [row]}, mode)["observations"]) == left
    assert len(made({"observations": [measured("718-7", 1e5, "mg")]}, mode)["observations"]) == 1


def test_of_a_visit_that_is_not_over_no_day_is_told():
    """The date of the release less the newest of them would be that of the admission."""
    stay: dict[str, Any] = {"location": "4W^1^A", "class": "I", "inferred": False, "end": None}
    at = {"start": "2024-01-01T09:00:00Z", "time": "2024-01-01T09:00:00Z"}
    diagnosis = {"code": "I50.9", "system": "I10C", "type": "F", "rank": "1"}
    rows: dict[str, list[dict[str, Any]]] = {
        "location_visits": [WHO | stay | {"start": at["start"]}],
        "conditions": [WHO | diagnosis | {"time": at["time"]}],
        "observations": [measured("718-7", 9.1, "g/dL") | {"time": at["time"]}],
    }
    for status in ("in-progress", "onleave", "cancelled", "finished"):
        left = "2024-01-02T07:00:00Z" if status == "finished" else None
        visit = encounter(status=status, discharged=left, stay_s=None, boarding_s=7200)
        found = made({"encounters": [visit], **rows})
        told = {name for table in found.values() for row in table for name in row}
        days = {name for name in told if name.endswith("_day")}
        wanted = {"discharged_day", "start_day", "time_day"} if left else set()
        assert (days, found["encounters"][0]["admitted_year"]) == (wanted, 2023)
        assert not [name for name in told if name.endswith("_s")]


@pytest.mark.parametrize(
    "other",
    [
        {"code": "CANARY"},
        {"system": "L"},
        {"value": "078051120", "value_ucum": 78051120.0},
        {"value": "1234567", "value_ucum": 1234567.0},
        {"value": "see note", "value_ucum": None},
    ],
)
def test_an_observation_that_is_no_measurement_is_dropped(other):
    seen = WHO | {"code": "718-7", "system": "LN", "value": "9.1", "value_ucum": 9.1}
    seen |= {"status": "final", "time": "2023-12-30T09:00:00Z"}
    assert len(made({"observations": [seen]})["observations"]) == 1
    assert made({"observations": [seen | other]})["observations"] == []


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ({"zip": "03601", "state": "NH"}, {"zip3": "000", "state": "NH"}),
        ({"zip": "\uff10\uff13\uff1601", "state": "NH"}, {"state": "NH"}),
        ({"zip": "02139-4307", "country": "USA"}, {"zip3": "021"}),
        ({"zip": "CANARY", "state": "CANARY", "city": "Canaryville"}, {}),
        ({"zip": "10115", "country": "DE"}, {}),
    ],
)
def test_of_an_address_three_digits_survive_and_of_small_areas_none(address, wanted):
    assert one("patients", patient(address=address)) == wanted
    assert len(SMALL_ZIP3) == 17


def test_a_newer_list_of_small_areas():
    rows = {"patients": [patient(address={"zip": "02139"})]}
    found = Deidentifier("safe_harbor", Codes(), rows, YEAR, ["021"]).tables()
    assert found["patients"][0]["zip3"] == "000"


def test_a_code_is_kept_through_merges_and_is_never_shared():
    codes = Codes()
    rows = [patient("1"), patient("2"), patient("3")]
    made({"patients": rows}, names=codes)
    before = dict(codes.known)
    merged = {"patients": [patient("1", merged=["2"]), patient("9", merged=["3"])]}
    after = {row["patient"] for row in made(merged, names=codes)["patients"]}
    of = {key[-3]: code for key, code in before.items()}
    assert after == {of["1"], of["3"]}
    # The merge is taken back: 3 is somebody else again.
    back = made({"patients": [patient("3"), patient("9")]}, names=codes)["patients"]
    assert {row["patient"] for row in back} & {of["3"]}
    assert len({row["patient"] for row in back}) == 2


def test_codes_are_of_the_operating_system_and_not_of_the_patient():
    first, second = (made({"patients": [patient()]})["patients"] for _ in range(2))
    assert first != second
    assert len(first[0]["patient"]) == 32, "128 bits"


@pytest.mark.parametrize("mode", ["safe_harbor", "pseudonymised"])
def test_a_bed_of_one_name_in_two_hospitals_has_two_codes(mode):
    beds = [{"domain": each, "location": "4W^1^A", "status": "O"} for each in ("GH", "NH")]
    found = {row["location"] for row in made({"beds": beds}, mode)["beds"]}
    assert len({each.split("^")[0] for each in found}) == len(found) == 2


TIMES = st.datetimes(datetime.fromisoformat("1980-01-01"), datetime.fromisoformat("2100-01-01"))


@given(TIMES, TIMES, st.text(min_size=1))
def test_pseudonymised_intervals_are_exact_and_move_with_the_patient(admitted, discharged, who):
    row = encounter(patient=who, admitted=f"{admitted.isoformat()}Z")
    row["discharged"] = f"{discharged.isoformat()}Z"
    born = patient(who, birth_date="1950-06-15")
    tables = {"encounters": [row], "patients": [born]}
    found = made(tables, "pseudonymised")
    assert found == made(tables, "pseudonymised")
    (seen,) = found["encounters"]
    moved = [datetime.fromisoformat(seen[name][:-1]) for name in ("admitted", "discharged")]
    assert moved[1] - moved[0] == discharged - admitted
    shift = moved[0] - admitted
    assert abs(shift) <= timedelta(days=365)
    assert shift % timedelta(days=1) == timedelta()
    birth = date.fromisoformat(found["patients"][0]["birth_date"])
    assert birth - date(1950, 6, 15) == shift
    assert found["patients"][0]["patient"] == seen["patient"] != who


def test_pseudonyms_and_shifts_are_of_the_key():
    rows = {"encounters": [encounter(patient=f"{number}^^^GH") for number in range(9)]}
    first = made(rows, "pseudonymised")["encounters"]
    other = made(rows, "pseudonymised", Pseudonyms(Seal(Keyring.generate()), 365))["encounters"]
    assert {row["patient"] for row in first}.isdisjoint(row["patient"] for row in other)
    assert len({row["admitted"] for row in first}) > 4
    assert sorted(row["admitted"] for row in first) != sorted(row["admitted"] for row in other)


@pytest.mark.parametrize("born", ["1950", "1950-06", "9999-12-31", "0001-01-01"])
def test_a_birth_date_moves_in_the_precision_that_it_has(born):
    found = one("patients", patient(birth_date=born), "pseudonymised")
    assert len(found.get("birth_date", born)) == len(born)


def test_eleven_are_told_and_ten_are_not():
    cells = counts({"encounters": [{"admitted_year": 2024, "class": "I"}] * 11})
    assert [cell["visits"] for cell in cells] == [11]
    cells = counts({"encounters": [{"admitted_year": 2024, "class": "I"}] * 10})
    assert [cell["visits"] for cell in cells] == [None]


@given(st.lists(st.sampled_from(["I", "E", None])))
def test_small_cells_are_not_told(classes):
    rows = [{"admitted_year": 2024, "class": each} for each in classes]
    cells = counts({"encounters": rows})
    assert {(cell["class"], cell["visits"]) for cell in cells} == {
        (each, classes.count(each) if classes.count(each) >= LEAST_CELL else None)
        for each in classes
    }


@pytest.mark.parametrize("mode", ["safe_harbor", "pseudonymised"])
def test_the_order_of_the_rows_is_not_that_of_the_patients(mode):
    rows = [patient(f"{number:03}") for number in range(50)]
    names = Codes() if mode == "safe_harbor" else Pseudonyms(SEAL, 365)
    found = [row["patient"] for row in made({"patients": rows}, mode, names)["patients"]]
    assert found == sorted(found)
    in_order = [names.code("patient", ("GH", row["patient"])) for row in rows]
    assert found != in_order
