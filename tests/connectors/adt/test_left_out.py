"""What is too long is left out and said, where it names neither a patient, a visit nor a place."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.adt.messages import parse
from state.adt.attributes import Diagnoses, Person
from state.adt.facts import Oddity
from state.adt.observations import Observation

HEAD = "MSH|^~\\&|PAS|GH|||20240305100000||ADT^{trigger}|1|P|2.5\rEVN|{trigger}|20240305090000\r"
PV1 = f"PV1|1|I|W^1^A{'|' * 16}V1"
RESULT = "MSH|^~\\&|LAB|GH|||20240305100000||ORU^R01|1|P|2.5"
OBR = "OBR|1|PL7|FL7|24323-8^Panel^LN|||20240305090000"

LONG = "1" * 81
"""Longer than any part of a key may be."""
PID = "PID|1||7^^^GH^MR"
OBX = "OBX|1|NM|K^Potassium^LN||6.1|mmol/L|||||F"
CODED = "DG1|1||I10^Hypertension^I10|||A"


@pytest.mark.parametrize(
    ("trigger", "segments", "longer", "field"),
    [
        ("A02", ["PID|1||1", f"{PV1}", CODED], {"|I10^H": f"|{LONG}^H"}, "DG1-3"),
        ("A02", ["PID|1||1", f"{PV1}", CODED], {"^I10|": f"^{LONG}|"}, "DG1-3"),
        ("A02", ["PID|1||1", f"{PV1}", CODED], {"|||A": f"|||{LONG}"}, "DG1-6"),
        ("A02", ["PID|1||1", f"{PV1}", CODED], {"I10^": "I\\X1F\\0^"}, "DG1-3"),
        ("A02", ["PID|1||1", f"{PV1}", *[CODED] * 1000], {"|||A": f"|||A\r{CODED}"}, "DG1"),
        ("A08", ["PID|1||1" + "|" * 18 + "M", PV1], {"|M": f"|{LONG}"}, "PID-21"),
        ("A40", ["PID|1||1", "MRG|2", PV1], {"|V1": f"|{LONG}"}, "PV1-19"),
        ("A28", ["PID|1||1", PV1], {"|V1": f"|{LONG}"}, "PV1-19"),
    ],
)
def test_what_is_too_long_and_names_neither_whom_nor_where_is_left_out_and_said(
    trigger: str, segments: list[str], longer: dict[str, str], field: str
) -> None:
    text = HEAD.format(trigger=trigger) + "\r".join(segments)
    [(short, long)] = longer.items()
    kept = {_apart(each) for each in parse(text.encode()).statements}
    changed = parse(text.replace(short, long).encode()).statements
    oddities = [each for each in changed if isinstance(each, Oddity)]
    assert [(each.kind, each.field) for each in oddities] == [("field_invalid", field)]
    left = {_apart(each) for each in changed if not isinstance(each, Oddity)}
    assert left
    assert left <= kept
    assert {type(each).__name__ for each in kept} - {type(each).__name__ for each in changed} <= {
        "Diagnoses",
        "Mother",
    }


def test_other_diagnoses_of_a_message_stay():
    text = HEAD.format(trigger="A01") + f"PID|1||1\r{PV1}\r{CODED}"
    other = CODED.replace("I10^", f"{LONG}^").replace("|1||", "|2||")
    [told] = [e for e in parse(f"{text}\r{other}".encode()).statements if isinstance(e, Diagnoses)]
    assert [each.code for each in told.listed] == ["I10"]


def test_only_the_number_that_counts_has_to_be_one_that_can_be_kept():
    text = HEAD.format(trigger="A28") + f"PID|1||{LONG}^^^INS^XX~7^^^GH^MR~{LONG}"
    [person] = [each for each in parse(text.encode()).statements if isinstance(each, Person)]
    assert person.patient == "7^^^GH"


def test_of_many_results_that_are_left_out_one_anomaly_is_told():
    """A message of thousands would leave as many in the state of its patient."""
    odd = [OBX.replace("K^", f"{LONG}^") + f"|||2024030509{minute:02}" for minute in range(50)]
    told = parse("\r".join((RESULT, PID, PV1, OBR, *odd)).encode()).statements
    assert [(each.kind, each.field) for each in told if isinstance(each, Oddity)] == [
        ("field_invalid", "OBX-3")
    ]


def _apart(statement: Any) -> Any:
    """Return a statement without the digest of its message."""
    return statement._replace(digest="") if hasattr(statement, "digest") else statement


@pytest.mark.parametrize(
    ("obr", "odd", "field"),
    [
        (OBR, OBX.replace("K^", f"{LONG}^"), "OBX-3"),
        (OBR, OBX.replace("^LN", f"^{LONG}"), "OBX-3"),
        (OBR, OBX.replace("K^", "K\\X01\\1^"), "OBX-3"),
        (OBR, OBX.replace("||6.1", f"|{LONG}|6.1"), "OBX-4"),
        (OBR.replace("FL7", LONG), OBX, "OBR-3"),
    ],
)
def test_a_result_whose_name_is_too_long_is_left_out_and_said(obr, odd, field):
    raw = "\r".join((RESULT, PID, PV1, OBR, OBX, obr, odd, OBR, OBX.replace("K^", "H^"))).encode()
    told = parse(raw).statements
    assert [each.code for each in told if isinstance(each, Observation)] == ["K", "H"]
    [said] = [each for each in told if isinstance(each, Oddity)]
    wanted = ("field_invalid", "7^^^GH", "V1^^^GH", field)
    assert (said.kind, said.patient, said.visit, said.field) == wanted
    assert said.clinical_ns == said.recorded_ns == 1_709_632_800 * 10**9
    alone = parse(f"{RESULT}\r{PID}\r{PV1}\r{obr}\r{odd}".encode())
    assert alone.statements == (said,)
