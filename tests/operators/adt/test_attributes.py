"""Persons, details, diagnoses and results: what was recorded last counts, whatever came last."""

from __future__ import annotations

import os
import random
from itertools import permutations
from typing import Any

import pytest

from connectors.hl7.message import Message
from operators.adt.timeline import Timeline
from state.adt.attributes import ADDRESS, DETAILS
from tests.operators.adt.tables import Rows, tables
from tests.operators.adt.told import Told

NULL = '""'
HISTORIES = int(os.environ.get("HEADRACE_HISTORIES", "400"))
SAID = ("patients", "conditions", "observations")


def adt(
    trigger: str,
    hour: int,
    pid: str = "1||7^^^GH^MR",
    *more: str,
    pv1: str = "1|I|4W^1^A||||||||||||||||V1",
) -> bytes:
    """Return a message recorded at an hour of the day."""
    head = (
        rf"MSH|^~\&|PAS|GH|||20240305{hour:02}||ADT^{trigger}|{hour}|P|2.5",
        f"EVN|{trigger}|20240305{hour:02}",
        f"PID|{pid}",
    )
    return "\r".join((*head, *more, *([f"PV1|{pv1}"] if pv1 else []))).encode()


def oru(hour: int, value: str, status: str = "F", patient: str = "7", visit: str = "V1") -> bytes:
    """Return a potassium of 9 o'clock, sent at an hour of the day."""
    return "\r".join((
        rf"MSH|^~\&|LAB|GH|||20240305{hour:02}||ORU^R01|{hour}|P|2.5",
        f"PID|1||{patient}^^^GH^MR",
        f"PV1|1|I|{'|' * 16}{visit}",
        "OBR|1||FL7|24323-8^Panel^LN",
        f"OBX|1|NM|2823-3^Potassium^LN||{value}|mmol/L|||||{status}|||2024030509",
    )).encode()  # fmt: skip


def in_any_order(*raws: bytes) -> dict[str, Rows]:
    """Return the tables of messages, which are the same in every order and with each one twice."""
    found = tables(raws)
    for order in permutations(raws):
        assert tables(order) == found
        assert tables([*order, *order]) == found
    return found


def only(rows: Rows, *names: str) -> Any:
    [row] = rows
    return tuple(row[name] for name in names)


def test_of_each_field_what_was_recorded_last_counts():
    found = in_any_order(
        adt("A01", 8, "1||7^^^GH^MR||Doe^Jane^Q||19610412|F|||1 High St^^Leeds^^LS1^GB||555-1"),
        adt("A08", 9, "1||7^^^GH^MR||Roe|||||||||"),
        adt("A31", 10, '1||7^^^GH^MR||||""||||""||555-2'),
    )
    names = ("family", "given", "birth_date", "sex", "address", "phone")
    assert only(found["patients"], *names) == ("Roe", None, None, "F", None, "555-2")


def test_an_address_has_its_parts():
    found = tables([adt("A01", 8, "1||7^^^GH^MR||||||||1 High St&High St^^Leeds^^LS1^GB")])
    [row] = found["patients"]
    assert row["address"] == {"line": "1 High St", "city": "Leeds", "zip": "LS1", "country": "GB"}
    assert set(row["address"]) <= set(ADDRESS)


@pytest.mark.parametrize(
    ("sent", "wanted"),
    [
        ("1961", "1961"),
        ("196104", "1961-04"),
        ("19610412", "1961-04-12"),
        ("196104120830+1100", "1961-04-12"),
        ("19610230", None),
        ("1961041", None),
        ("unknown", None),
        ('""', None),
    ],
)
def test_a_birth_date_is_a_date_without_a_zone(sent, wanted):
    found = tables([adt("A01", 8, f"1||7^^^GH^MR||||{sent}")])
    assert only(found["patients"], "birth_date") == (wanted,)
    strange = [row for row in found["anomalies"] if row["field"] == "PID-7"]
    assert bool(strange) == (wanted is None and sent != '""')


def test_who_died_is_deceased_with_or_without_a_time():
    pid = "1||7^^^GH^MR" + "|" * 26
    assert only(tables([adt("A01", 8, f"{pid}20240304|")])["patients"], "died", "deceased") == (
        "2024-03-04T00:00:00Z", True)  # fmt: skip
    for sent, wanted in (("Y", True), ("N", False), ("", None), ('""', None), ("?", None)):
        row = only(tables([adt("A01", 8, f"{pid}|{sent}")])["patients"], "died", "deceased")
        assert row == (None, wanted)


def test_that_a_patient_died_is_taken_back():
    dead, not_known = (adt("A08", hour, "1||7^^^GH^MR" + "|" * 27 + said)
                       for hour, said in ((9, "Y"), (10, '""')))  # fmt: skip
    assert only(tables([dead])["patients"], "deceased") == (True,)
    assert only(in_any_order(dead, not_known)["patients"], "deceased") == (None,)


def test_a_merge_leaves_one_person_with_what_was_told_last():
    found = in_any_order(
        adt("A28", 8, "1||7^^^GH^MR||Doe^Jane||19610412", pv1=""),
        adt("A28", 9, "1||8^^^GH^MR||Roe^Jane||||||", pv1=""),
        adt("A40", 10, "1||7^^^GH^MR", "MRG|8^^^GH^MR", pv1=""),
    )
    row = only(found["patients"], "patient", "merged", "family", "birth_date")
    assert row == ("7^^^GH", ["8^^^GH"], "Roe", "1961-04-12")


def test_a_person_who_is_deleted_is_shown_no_more_until_told_again():
    person = adt("A28", 8, "1||7^^^GH^MR||Doe", pv1="")
    gone = adt("A29", 9, "1||7^^^GH^MR||Doe", pv1="")
    again = adt("A28", 10, "1||7^^^GH^MR||||||", pv1="")
    assert in_any_order(person, gone)["patients"] == []
    found = in_any_order(person, gone, again)
    assert only(found["patients"], "family") == (None,)


def test_details_of_a_visit_are_those_recorded_last():
    pv1 = "1|I|4W^1^A|{}|||9^Who^Dr|||MED||||ER||{}|||V1"
    found = in_any_order(
        adt("A01", 8, pv1=pv1.format("E", "VIP")),
        adt("A08", 9, pv1=pv1.format("", '""')),
    )
    row = only(found["encounters"], *DETAILS)
    assert row == ("E", "9^Who^Dr", "MED", "ER", None)
    [before] = tables([adt("A01", 8, pv1=pv1.format("E", "VIP"))])["encounters"]
    assert before["vip"] == "VIP"


def test_the_diagnoses_of_a_type_are_those_of_the_newest_message():
    def dg1(*codes: str, kind: str, action: str = "") -> tuple[str, ...]:
        rest = "|" * 15 + action
        return tuple(f"DG1|1||{code}^^I10C|||{kind}{rest}" for code in codes)

    told = [
        adt("A01", 8, "1||7^^^GH^MR", *dg1("R07", kind="A"), *dg1("I21", "E11", kind="W")),
        adt("A08", 9, "1||7^^^GH^MR", *dg1("I21", "I50", kind="W")),
        adt("A03", 10, "1||7^^^GH^MR", *dg1("I21", kind="F")),
    ]
    found = in_any_order(*told)["conditions"]
    assert {(row["type"], row["code"]) for row in found} == {
        ("A", "R07"), ("W", "I21"), ("W", "I50"), ("F", "I21")}  # fmt: skip
    added = adt("A08", 11, "1||7^^^GH^MR", *dg1("J18", kind="F", action="A"))
    gone = adt("A08", 12, "1||7^^^GH^MR", *dg1("I21", kind="F", action="D"))
    found = in_any_order(told[2], added, gone)["conditions"]
    assert {row["code"] for row in found} == {"J18"}
    nothing = adt("A08", 13, "1||7^^^GH^MR", 'DG1|1||""|||F')
    assert in_any_order(told[2], added, nothing)["conditions"] == []


def test_diagnoses_that_are_none_and_all_too_many():
    nothing = [adt("A60", hour, "1||7^^^GH^MR", 'DG1|1||""|||W' + "|" * 15 + "D")
               for hour in (9, 10)]  # fmt: skip
    assert in_any_order(*nothing)["conditions"] == []
    assert tables([*nothing], make=Restored)["conditions"] == []
    most = [f"DG1|1||C{number}^^I10C|||W" for number in range(1000)]
    assert len(tables([adt("A01", 8, "1||7^^^GH^MR", *most)])["conditions"]) == 1000
    kinds = [f"DG1|1||C^^I10C|||K{number}" for number in range(33)]
    for too_many in ([*most, most[0]], kinds):
        found = tables([adt("A01", 8, "1||7^^^GH^MR", *too_many)])
        assert found["conditions"] == []
        assert only(found["anomalies"], "kind", "field") == ("field_invalid", "DG1")


def test_a_diagnosis_without_a_code_is_known_by_its_text():
    sent = "DG1|1||^Chest\\.br\\pain^|||W", "DG1|2|||Fever||W", "DG1|3"
    found = tables([adt("A01", 8, "1||7^^^GH^MR", *sent)])["conditions"]
    assert {(row["code"], row["text"]) for row in found} == {
        ("Chest pain", "Chest\npain"), ("Fever", "Fever")}  # fmt: skip


def test_a_result_is_corrected_taken_back_and_moved_with_its_patient():
    told = [
        adt("A01", 8),
        oru(10, "6.1"),
        oru(11, "6.8", "C"),
        adt("A40", 12, "1||9^^^GH^MR", "MRG|7^^^GH^MR", pv1=""),
    ]
    row = only(in_any_order(*told)["observations"], "patient", "value", "status", "value_ucum")
    assert row == ("9^^^GH", "6.8", "corrected", 6.8)
    wrong = in_any_order(*told[1:], oru(13, "6.8", "W", patient="9"))["observations"]
    assert only(wrong, "patient", "status") == ("9^^^GH", "entered-in-error")


def test_a_visit_that_moves_to_another_patient_takes_its_results_along():
    told = [
        adt("A01", 8),
        oru(10, "6.1"),
        oru(10, "5.0", visit=""),
        adt("A45", 12, "1||9^^^GH^MR", "MRG|7^^^GH^MR||||V1", pv1="1||||||||||||||||||V1"),
    ]
    rows = in_any_order(*told)["observations"]
    assert {(row["patient"], row["visit"], row["value"]) for row in rows} == {
        ("9^^^GH", "V1^^^GH", "6.1"), ("7^^^GH", None, "5.0")}  # fmt: skip


@pytest.mark.timeout(900 + HISTORIES // 10)
def test_random_histories_are_as_all_statements_say():
    rng = random.Random(int(os.environ.get("HEADRACE_SEED", "1")))
    for number in range(HISTORIES):
        raws = history(rng)
        made, wanted = tables(raws), Told(raws)
        for name in SAID:
            assert plain(made[name]) == plain(getattr(wanted, name)()), f"{number}: {name}: {raws}"
        details = wanted.details()
        for row in made["encounters"]:
            none = dict.fromkeys(DETAILS)
            of_visit = {name: row[name] for name in DETAILS}
            assert of_visit == details.get((row["patient"], row["visit"]), none), raws
        rng.shuffle(raws)
        assert tables([*raws, *raws]) == made, f"{number}: {raws}"


def plain(rows: Rows) -> list[str]:
    """Return rows without what only names them, in an order of their content."""
    left_out = ("domain", "condition", "observation", "address", "deceased")
    return sorted(str(sorted((n, v) for n, v in row.items() if n not in left_out)) for row in rows)


def history(rng: random.Random) -> list[bytes]:
    """Return two to nine messages about few patients, visits and orders."""
    return [_message(rng, number) for number in range(rng.randint(2, 9))]


def _message(rng: random.Random, number: int) -> bytes:
    hour, patient = rng.randint(8, 14), f"{rng.choice('1234')}^^^GH^MR"
    pv1 = f"1|I|W^{rng.randint(1, 3)}^A|{rng.choice(('E', '', NULL))}{'|' * 15}{_visit(rng)}"
    if rng.random() < 0.4:
        return _results(rng, number, hour, patient, pv1)
    trigger = rng.choice(("A01", "A08", "A31", "A40", "A40", "A45", "A42", "A23", "A29", "A54"))
    family, birth = rng.choice(("Doe", "Roe", "", '""')), rng.choice(("1961", "", '""'))
    mrg = f"MRG|{rng.choice('1234')}^^^GH^MR||{_visit(rng)}||{_visit(rng)}"
    more = [mrg] if trigger in ("A40", "A45", "A42") else []
    more += [
        f"DG1|1||{rng.choice(('I21', 'E11', NULL))}^^I10C|||{rng.choice('AF')}{'|' * 15}"
        + rng.choice(("", "", "A", "D"))
        for _ in range(rng.randint(0, 2))
    ]
    return adt(trigger, hour, f"1||{patient}||{family}||{birth}", *more, pv1=pv1)


def _results(rng: random.Random, number: int, hour: int, patient: str, pv1: str) -> bytes:
    filler = rng.choice(("F1", "F2", ""))
    obx = [
        f"OBX|{n}|NM|{rng.choice(('K', 'Na'))}^^LN||{rng.randint(1, 9)}|mmol/L|||||"
        f"{rng.choice('PFFCDWU')}|||{rng.choice(('2024030509', '2024030510', ''))}"
        for n in range(rng.randint(1, 3))
    ]
    head = rf"MSH|^~\&|LAB|GH|||20240305{hour:02}||ORU^R01|{number}|P|2.5"
    about = [f"PID|1||{patient}", *([f"PV1|{pv1}"] if rng.random() < 0.7 else [])]
    raw = "\r".join((head, *about, f"OBR|1||{filler}|24323-8^Panel^LN", *obx)).encode()
    assert Message(raw).first("OBX")
    return raw


def _visit(rng: random.Random) -> str:
    return rng.choice(("V1", "V2"))


def test_a_snapshot_keeps_persons_and_orders():
    raws = [adt("A01", 8, "1||7^^^GH^MR||Doe", "DG1|1||I21^^I10C|||F"), oru(10, "6.1")]
    rest = [oru(11, "6.8", "C"), adt("A40", 12, "1||9^^^GH^MR", "MRG|7^^^GH^MR", pv1="")]
    assert tables([*raws, *rest], make=Restored) == tables([*raws, *rest])


class Restored(Timeline):
    """A timeline that starts anew from its snapshot before each message."""

    def process(self, item: Any, outbox: Any) -> Any:
        fresh = Timeline(self.entities.count)
        for page in list(self.entities.filled()):
            fresh.entities.load(page, self.entities.dump(page))
        self.__dict__ |= fresh.__dict__  # all of it: none of the old one may be left
        return super().process(item, outbox)
