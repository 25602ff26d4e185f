"""What the other tests check bundles by finds what is wrong."""

from __future__ import annotations

from copy import deepcopy

import pytest

from tests.operators.adt.fhir.records import change, stay, the, told
from tests.operators.adt.fhir.rules import check

STAYS = change("location_visits", stays=[stay("4W", "08:00", "09:00")])
VISIT = told(STAYS, change("encounters", vip="V"))[-1]
DIAGNOSIS = told(change("conditions"))[0]
RESULT = told(change("observations"))[0]
CODE = {"coding": [{"code": "x"}]}


def start_late(bundle):
    the(bundle, "Encounter")["location"][0]["period"]["start"] = "2024-03-05T09:00:00.5Z"


def wrong_and_active(bundle):
    status = the(bundle, "Condition")["verificationStatus"]["coding"][0]
    status["code"] = "entered-in-error"


def recorded_as_a_date(bundle):
    the(bundle, "Provenance")["recorded"] = "2024-03-05"


WRONG = {
    "a period ends before it starts": (VISIT, start_late),
    "a reference leads nowhere": (VISIT, lambda bundle: bundle["entry"].pop(1)),
    "a resource is there twice": (VISIT, lambda b: b["entry"].append(b["entry"][0])),
    "a VIP without a label": (VISIT, lambda bundle: the(bundle, "Encounter").pop("meta")),
    "no class": (VISIT, lambda bundle: the(bundle, "Encounter").pop("class")),
    "no instant": (VISIT, recorded_as_a_date),
    "an update of all visits": (
        VISIT,
        lambda bundle: bundle["entry"][0]["request"].update(url="Encounter"),
    ),
    "a diagnosis in error that is active": (DIAGNOSIS, wrong_and_active),
    "a diagnosis without a status": (
        DIAGNOSIS,
        lambda bundle: the(bundle, "Condition").pop("clinicalStatus"),
    ),
    "a value, and why there is none": (
        RESULT,
        lambda bundle: the(bundle, "Observation").update(dataAbsentReason=CODE),
    ),
    "a component with the code of all": (
        RESULT,
        lambda bundle: the(bundle, "Observation").update(
            component=[{"code": the(bundle, "Observation")["code"]}]
        ),
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_it_is_found(name):
    bundle, spoil = WRONG[name]
    check(bundle)
    spoilt = deepcopy(bundle)
    spoil(spoilt)
    with pytest.raises((AssertionError, ValueError)):
        check(spoilt)
