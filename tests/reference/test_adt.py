"""Each rule of the timeline as a fact. A message is its trigger and fields; times are HHMM[SS]."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC
from itertools import islice, permutations
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from connectors.hl7.message import Message
from tests.reference.adt import Timeline, timeline

DAY = "20240305"
Texts = dict[str, str]


def when(time: str) -> str:
    return DAY + time if time and len(time) <= 6 else time


def segment(name: str, fields: dict[int, str]) -> str:
    texts = [fields.get(number, "") for number in range(1, max(fields) + 1)]
    return "|".join([name, *texts])


def pid(patient: str = "1", **more: str) -> str:
    return segment("PID", {3: patient, 18: more.get("account", ""), 21: more.get("mother", "")})


def pv1(place: str = "", visit: str = "V", cls: str = "", **more: str) -> str:
    """Return PV1; ``since`` is PV1-44, ``until`` PV1-45, ``left`` the disposition, PV1-36."""
    fields = {2: cls, 3: place, 6: more.get("prior", ""), 19: visit, 36: more.get("left", "")}
    times = {44: when(more.get("since", "")), 45: when(more.get("until", ""))}
    return segment("PV1", fields | times)


def mrg(patient: str = "", account: str = "", visit: str = "") -> str:
    return segment("MRG", {1: patient, 3: account, 5: visit})


def adt(trigger: str, time: str, *segments: str, at: str = "", code: str = "ADT") -> Message:
    """Return a message recorded at a time; ``at`` is the clinical one, EVN-6."""
    head = rf"MSH|^~\&|PAS|GH|||{when(time)}||{code}^{trigger}|{trigger}{time}|P|2.5"
    evn = segment("EVN", {2: when(time), 6: when(at or time)})
    return Message("\r".join([head, evn, *segments]).encode())


def a01(time: str, place: str = "W^1^A", cls: str = "I", patient: str = "1", **more: str):
    return adt("A01", time, pid(patient), pv1(place, cls=cls, **more), at=more.get("at", ""))


def a02(time: str, place: str, patient: str = "1", **more: str):
    return adt("A02", time, pid(patient), pv1(place, **more), at=more.get("at", ""))


def a03(time: str, patient: str = "1", **more: str):
    return adt("A03", time, pid(patient), pv1(**more), at=more.get("at", ""))


def on_visit(trigger: str, time: str, at: str = "", patient: str = "1", **more: str):
    return adt(trigger, time, pid(patient), pv1(**more), at=at)


def clock(value: Any) -> str | None:
    """Return HHMM of a time of the day."""
    return None if value is None else value[11:16].replace(":", "")


def number(value: Any) -> str | None:
    return None if value is None else str(value).split("^")[0]


def stays(*messages: Message) -> list[tuple[Any, ...]]:
    """Return patient, visit, location, class, start and end, by the start."""
    rows = [
        (
            number(row["patient"]),
            number(row["visit"]),
            row["location"],
            row["class"],
            clock(row["start"]),
            clock(row["end"]),
        )
        for row in always(messages).location_visits
    ]
    return sorted(rows, key=lambda row: (row[4], row[0]))


def beds(*messages: Message) -> list[tuple[Any, ...]]:
    """Return location, start and end."""
    return [(row[2], row[4], row[5]) for row in stays(*messages)]


def always(messages: Sequence[Message]) -> Timeline:
    """Return the timeline, which is the same in other orders and with messages sent again."""
    found = timeline(messages)
    for order in islice(permutations(messages), 24):
        assert timeline([*order, *order[:2]]) == found
    return found


def encounter(*messages: Message) -> dict[str, Any]:
    [row] = always(messages).encounters
    return row


def status(*messages: Message) -> Any:
    return encounter(*messages)["status"]


def kinds(found: Timeline) -> list[object]:
    return [row["kind"] for row in found.anomalies]


def odd(*messages: Message) -> list[object]:
    return kinds(always(messages))


@pytest.mark.parametrize("trigger", ["A01", "A04"])
def test_an_admission_opens_a_row_with_its_class(trigger):
    message = adt(trigger, "0800", pid(), pv1("W^1^A", cls="O"))
    assert stays(message) == [("1", "V", "W^1^A", "O", "0800", None)]
    assert status(message) == "in-progress"
    assert clock(encounter(message)["admitted"]) == "0800"


def test_a_transfer_keeps_the_class():
    rows = stays(a01("0800", cls="E"), a02("0900", "W^2^A", cls="I"))
    assert [row[2:] for row in rows] == [
        ("W^1^A", "E", "0800", "0900"),
        ("W^2^A", "E", "0900", None),
    ]


@pytest.mark.parametrize("trigger", ["A06", "A07"])
def test_a_change_of_class_in_one_bed_starts_a_row(trigger):
    rows = stays(a01("0800", cls="E"), on_visit(trigger, "0900", place="W^1^A", cls="I"))
    assert [row[3:] for row in rows] == [("E", "0800", "0900"), ("I", "0900", None)]


def test_a_change_of_class_without_a_bed_keeps_the_bed():
    rows = stays(a01("0800", cls="E"), on_visit("A06", "0900", cls="I"))
    assert [row[2] for row in rows] == ["W^1^A", "W^1^A"]


def test_null_as_a_bed_ends_the_row():
    assert beds(a01("0800"), a02("0900", '""'), a02("1000", "W^1^A")) == [
        ("W^1^A", "0800", "0900"),
        ("W^1^A", "1000", None),
    ]


def test_a_planned_visit_has_no_row():
    plan = on_visit("A05", "0800", at="20240401080000", place="W^1^A", cls="P")
    assert stays(plan) == []
    assert (status(plan), encounter(plan)["class"]) == ("planned", "P")
    assert status(plan, a01("0900")) == "in-progress"


def test_a_discharge_counts_from_pv1_45():
    messages = a01("0800"), a03("1200", until="1130", at="1145", left="01")
    assert beds(*messages) == [("W^1^A", "0800", "1130")]
    assert encounter(*messages)["disposition"] == "01"


def test_the_discharge_recorded_last_is_in_force():
    messages = a01("0800"), a03("1200", at="1100", left="01"), a03("1230", at="1000")
    assert beds(*messages) == [("W^1^A", "0800", "1000")]
    assert encounter(*messages)["disposition"] == "01"


@pytest.mark.parametrize("trigger", ["A08", "A31"])
def test_a_correction_moves_both_ends_of_a_discharged_visit(trigger):
    correction = on_visit(trigger, "1300", since="0730", until="1100", left="20", place="X^9^9")
    assert beds(a01("0800"), a03("1200"), correction) == [("W^1^A", "0730", "1100")]
    row = encounter(a01("0800"), a03("1200"), correction)
    assert (clock(row["admitted"]), clock(row["discharged"])) == ("0730", "1100")
    assert row["disposition"] == "20"


def test_a_correction_before_the_discharge_changes_nothing():
    early = on_visit("A08", "1100", until="1000", since="0700", left="20")
    assert stays(a01("0800"), a03("1200"), early) == stays(a01("0800"), a03("1200"))
    assert stays(a01("0800"), early) == stays(a01("0800"))
    assert always([early]).encounters == []


def test_an_admission_corrected_to_later_leaves_nothing_before_it():
    correction = on_visit("A08", "1300", since="1000")
    messages = a01("0800"), a02("0900", "W^2^A"), a03("1200"), correction
    assert beds(*messages) == [("W^2^A", "1000", "1200")]


def test_a_cancelled_admission_takes_its_transfers_with_it():
    messages = a01("0800"), a02("0830", "W^2^A"), on_visit("A11", "0900", at="0800")
    assert stays(*messages) == []
    assert status(*messages) == "cancelled"
    again = a01("0930", "W^3^A")
    assert beds(*messages, again) == [("W^3^A", "0930", None)]


def test_a_cancelled_admission_leaves_the_other_one():
    messages = a01("0800"), a01("0900", "W^2^A"), on_visit("A11", "1000", at="0900")
    assert beds(*messages) == [("W^1^A", "0800", None)]


def test_a_cancel_without_an_exact_time_takes_the_newest_with_its_copies():
    copies = a01("0810", at="0800"), a01("0820", "W^2^A", at="0800")
    assert status(*copies, on_visit("A11", "0900", at="0700")) == "cancelled"


def test_what_is_recorded_after_a_cancel_stands():
    cancel = on_visit("A11", "0900", at="0800")
    assert beds(a01("0800"), cancel, a01("0910", "W^2^A", at="0800")) == [("W^2^A", "0800", None)]


def test_a_cancelled_transfer_is_found_by_destination_then_origin_then_the_newest():
    moves = a01("0800"), a02("0900", "W^2^A", prior="W^1^A"), a02("1000", "W^3^A", prior="W^2^A")
    last, first = ("W^3^A", "1000", None), ("W^2^A", "0900", None)
    to_second = on_visit("A12", "1100", prior="W^2^A")
    assert beds(*moves, to_second)[-1] == last
    from_first = on_visit("A12", "1100", place="W^1^A")
    assert len(beds(*moves, from_first)) == 2
    assert beds(*moves, on_visit("A12", "1100"))[-1] == first
    assert beds(*moves, on_visit("A12", "1100", at="0900", prior="W^3^A"))[-1] == last


def test_a_visit_of_which_only_a_cancelled_transfer_is_known_is_in_progress():
    messages = a02("0900", "W^2^A"), on_visit("A12", "1000", at="0900")
    assert (stays(*messages), status(*messages)) == ([], "in-progress")


def test_a_cancelled_discharge_voids_all_recorded_before_it():
    messages = a01("0800"), a03("1000"), a03("1010", at="0930"), on_visit("A13", "1100", "0930")
    assert beds(*messages) == [("W^1^A", "0800", None)]
    assert status(*messages) == "in-progress"
    assert beds(*messages, a03("1200"))[-1][2] == "1200"


def test_a_cancelled_discharge_in_another_bed_moves_the_patient():
    messages = a01("0800"), a03("1000"), on_visit("A13", "1100", "1000", place="W^2^A")
    assert beds(*messages) == [("W^1^A", "0800", "1100"), ("W^2^A", "1100", None)]
    assert stays(*messages)[-1][3] == "I"


def test_a_cancel_of_no_discharge_moves_nobody():
    messages = a01("0800"), on_visit("A13", "1100", "1000", place="W^2^A")
    assert beds(*messages) == [("W^1^A", "0800", None)]
    assert odd(*messages) == ["cancel_without_target"]


def test_a_cancelled_plan_leaves_the_admission():
    messages = on_visit("A05", "0700", at="0800"), a01("0800"), on_visit("A38", "0900", at="0800")
    assert status(*messages) == "in-progress"
    assert status(messages[0], messages[2]) == "cancelled"


def test_on_leave_the_bed_stays():
    leave, back = on_visit("A21", "0900"), on_visit("A22", "1000")
    assert status(a01("0800"), leave) == "onleave"
    assert status(a01("0800"), leave, back) == "in-progress"
    assert status(a01("0800"), leave, on_visit("A52", "0930", at="0900")) == "in-progress"
    assert status(a01("0800"), leave, back, on_visit("A53", "1030", at="1000")) == "onleave"
    assert beds(a01("0800"), leave) == [("W^1^A", "0800", None)]


def test_a_cancel_waits_for_its_target():
    cancel = on_visit("A11", "0900", at="0800")
    assert odd(cancel) == ["cancel_without_target"]
    assert always([cancel]).encounters == []
    assert odd(cancel, a01("0800")) == []


def swap(*fields: str) -> Message:
    first, second, one_prior = fields
    return adt(
        "A17",
        "0900",
        pid("1"),
        pv1(first, "V1", prior=one_prior, since="0700"),
        pid("2"),
        pv1(second, "V2", since="0700"),
    )


def test_a_swap_of_unknown_patients_tells_their_prior_beds():
    assert stays(swap("W^2^A", "W^1^A", "W^1^A")) == [
        ("1", "V1", "W^1^A", None, "0700", "0900"),
        ("2", "V2", "W^2^A", None, "0700", "0900"),
        ("1", "V1", "W^2^A", None, "0900", None),
        ("2", "V2", "W^1^A", None, "0900", None),
    ]
    assert stays(swap("W^2^A", "W^1^A", "")) == stays(swap("W^2^A", "W^1^A", "W^1^A"))


def test_the_state_of_a_bed_is_the_last_by_clinical_time():
    told = [
        adt("A20", "0900", "NPU|W^1^A|H", at="0800"),
        adt("A20", "0830", "NPU|W^1^A|U"),
        adt("A20", "0700", "NPU|W^2^A^NORTH|C"),
        adt("A20", "0900", "NPU|W^1^A"),
    ]
    assert always(told).beds == [
        {"location": "W^1^A", "status": "U"},
        {"location": "W^2^A^NORTH", "status": "C"},
    ]


TRACKED = ["A09", "A10", "A14", "A15", "A16", "A25", "A26", "A27", "A32", "A33"]
TOLD = ["A24", "A28", "A37", "A54", "A55", "A60", "A61", "A62"]


@pytest.mark.parametrize("trigger", TRACKED + TOLD)
def test_these_change_nothing(trigger):
    message = on_visit(trigger, "0900", place="W^2^A", cls="O", until="0830")
    assert always([a01("0800"), message]) == timeline([a01("0800")])


def test_another_trigger_is_an_anomaly_without_effect():
    messages = a01("0800"), on_visit("A99", "0900", place="W^2^A")
    assert beds(*messages) == [("W^1^A", "0800", None)]
    assert odd(*messages) == ["trigger_unknown"]


def test_a_result_says_nothing_of_a_visit():
    assert timeline([adt("R01", "0900", pid(), pv1("W^1^A"), code="ORU")]) == timeline([])


def merge(time: str, survivor: str, gone: str, trigger: str = "A40") -> Message:
    return adt(trigger, time, pid(survivor), mrg(gone))


ALIASES = ["A18", "A30", "A34", "A36", "A39", "A40", "A43", "A46", "A47"]


@pytest.mark.parametrize("trigger", ALIASES)
def test_a_merge_moves_all_visits_and_late_messages(trigger):
    messages = a01("0800"), merge("0900", "2", "1", trigger), a02("1000", "W^2^A")
    assert {row[0] for row in stays(*messages)} == {"2"}
    assert odd(merge("0900", "1", "1", trigger)) == ["merge_into_itself"]


def test_each_group_of_a_merge_counts():
    both = adt("A40", "0900", pid("8"), mrg("1"), pid("9"), mrg("2"), mrg("3"))
    messages = a01("0800"), a01("0810", "W^2^A", patient="2"), a01("0820", "W^3^A", patient="3")
    assert [row[0] for row in stays(*messages, both)] == ["8", "9", "9"]


def test_the_newest_alias_of_a_number_wins():
    assert stays(a01("0800"), merge("0900", "2", "1"), merge("1000", "3", "1"))[0][0] == "3"


def test_in_a_cycle_the_newest_merge_wins():
    messages = a01("0800"), merge("0900", "2", "1"), merge("1000", "1", "2")
    assert stays(*messages)[0][0] == "1"
    assert odd(*messages) == ["merge_cycle"]
    longer = a01("0800"), merge("0900", "2", "1"), merge("1000", "3", "2"), merge("1100", "1", "3")
    assert stays(*longer)[0][0] == "1"
    twice = a01("0800"), merge("0900", "9", "1"), merge("1000", "2", "1"), merge("1100", "1", "2")
    assert stays(*twice)[0][0] == "1"


RENAMES: list[tuple[str, Callable[[str], list[str]]]] = [
    ("A35", lambda old: [pid(account="NEW"), mrg("1", account=old)]),
    ("A41", lambda old: [pid(account="NEW"), mrg("1", account=old)]),
    ("A49", lambda old: [pid(account="NEW"), mrg("1", account=old)]),
    ("A42", lambda old: [pid(), mrg("1", visit=old), pv1(visit="NEW")]),
    ("A50", lambda old: [pid(), mrg("1", visit=old), pv1(visit="NEW")]),
]


@pytest.mark.parametrize(("trigger", "segments"), RENAMES)
def test_a_visit_gets_another_number(trigger, segments):
    account = "PID|||1|||||||||||||||OLD"
    admitted = adt("A01", "0800", account, pv1("W^1^A", visit=""))
    rename = adt(trigger, "0900", *segments("OLD"))
    assert stays(admitted, rename) == [("1", "NEW", "W^1^A", None, "0800", None)]
    assert stays(admitted, rename, merge("1000", "2", "1"))[0][:2] == ("2", "NEW")
    assert odd(rename) == []


def test_a_move_takes_a_visit_or_an_account_to_another_patient():
    visit = adt("A45", "0900", pid("2"), mrg("1", visit="V"), pv1(visit="V"))
    other = a01("0810", "W^2^A", visit="U")
    assert [row[:2] for row in stays(a01("0800"), other, visit)] == [("2", "V"), ("1", "U")]
    admitted = adt("A01", "0800", pid(account="ACC"), pv1("W^1^A", visit=""))
    account = adt("A44", "0900", pid("2"), mrg("1", account="ACC"))
    assert stays(admitted, account)[0][:2] == ("2", "ACC")


def test_all_visits_of_one_move_go():
    several = adt("A45", "0900", pid("2"), mrg("1", visit="V"), pv1(visit="V"), mrg("1", visit="U"))
    other = a01("0810", "W^2^A", visit="U")
    assert [row[0] for row in stays(a01("0800"), other, several)] == ["2", "2"]


def test_a_move_out_of_a_merged_patient_holds_unless_the_merge_is_newer():
    move = adt("A45", "1000", pid("2"), mrg("1", visit="V"), pv1(visit="V"))
    assert stays(a01("0800"), merge("0900", "1", "2"), move)[0][0] == "2"
    assert stays(a01("0800"), merge("1100", "1", "2"), move)[0][0] == "1"
    back = adt("A45", "1200", pid("1"), mrg("2", visit="V"), pv1(visit="V"))
    assert stays(a01("0800"), merge("0900", "1", "2"), move, back)[0][0] == "1"


@pytest.mark.parametrize("trigger", ["A23", "A29"])
def test_a_deleted_visit_is_entered_in_error(trigger):
    delete = on_visit(trigger, "0900")
    assert (stays(a01("0800"), delete), status(a01("0800"), delete)) == ([], "entered-in-error")
    assert beds(a01("0800"), delete, a01("1000", "W^2^A")) == [("W^2^A", "1000", None)]


def test_a_deleted_person_loses_all_visits_and_a_deleted_visit_is_one():
    messages = a01("0800"), a01("0810", "W^2^A", visit="U")
    assert stays(*messages, on_visit("A29", "0900", visit="")) == []
    assert len(stays(*messages, on_visit("A23", "0900"))) == 1


@pytest.mark.parametrize("trigger", ["A02", "A06", "A07"])
def test_a_first_move_from_another_bed_infers_a_row(trigger):
    move = on_visit(trigger, "0900", place="W^2^A", prior="W^1^A", since="0700", cls="I")
    rows = timeline([move]).location_visits
    before = "I" if trigger == "A02" else None
    assert [(row["class"], row["inferred"]) for row in rows] == [(before, True), ("I", False)]
    assert beds(move) == [("W^1^A", "0700", "0900"), ("W^2^A", "0900", None)]
    assert beds(move, a01("0800")) == [("W^1^A", "0800", "0900"), ("W^2^A", "0900", None)]


def test_only_a_discharge_infers_the_stay():
    known = a03("1200", place="W^1^A", since="0800", cls="I")
    assert stays(known) == [("1", "V", "W^1^A", "I", "0800", "1200")]
    assert timeline([known]).location_visits[0]["inferred"] is True
    assert clock(encounter(known)["admitted"]) == "0800"
    assert stays(a03("1200", place="W^1^A")) == []


def test_rows_of_no_length_vanish_and_neighbours_merge():
    there, back = a02("0900", "W^2^A"), a02("0901", "W^1^A", at="0900")
    assert beds(a01("0800"), there, back) == [("W^1^A", "0800", None)]


def test_of_one_trigger_and_time_the_newest_counts():
    corrected = a02("0930", "W^3^A", at="0900")
    assert beds(a01("0800"), a02("0900", "W^2^A"), corrected)[-1] == ("W^3^A", "0900", None)


def test_two_patients_in_a_bed_are_reported_until_a_cancel_resolves_it():
    first = a01("0800", visit="V1")
    second = a01("0900", patient="2", visit="V2"), a03("1000", patient="2", visit="V2")
    found = always([first, *second]).anomalies
    seen = [(number(row["patient"]), clock(row["start"]), clock(row["end"])) for row in found]
    assert seen == [("1", "0900", "1000"), ("2", "0900", "1000")]
    cancel = on_visit("A11", "1100", at="0900", patient="2", visit="V2")
    assert odd(first, *second, cancel) == []


def test_a_change_of_class_does_not_split_a_double_booking():
    change = on_visit("A06", "0930", place="W^1^A", cls="O", visit="V1")
    messages = a01("0800", visit="V1"), change, a01("0900", patient="2", visit="V2")
    assert odd(*messages) == ["double_booked"] * 2


def test_a_room_without_beds_holds_many():
    messages = a01("0800", "ED^WAIT", visit="V1"), a01("0900", "ED^WAIT", patient="2", visit="V2")
    assert odd(*messages) == []


def test_a_mother_and_her_newborns_share_a_bed():
    mother = a01("0800", visit="M")
    twins = [
        adt("A01", "0900", pid(child, mother="1"), pv1("W^1^A", visit=child)) for child in "23"
    ]
    assert odd(mother, *twins) == []
    assert odd(merge("1000", "9", "1"), mother, *twins) == []


def test_a_visit_number_of_two_patients_is_two_visits_and_reported():
    messages = a01("0800"), a01("0900", "W^2^A", patient="2")
    assert [row[0] for row in stays(*messages)] == ["1", "2"]
    assert odd(*messages) == ["visit_reused"] * 2
    assert odd(*messages, merge("1000", "2", "1")) == []
    assert odd(*messages, on_visit("A11", "1000", at="0800")) == []


def test_a_move_after_the_discharge_is_reported_with_its_bed():
    messages = a01("0800"), a03("1200"), a02("1300", "W^2^A")
    [row] = always(messages).anomalies
    assert (row["kind"], row["location"]) == ("moved_after_discharge", "W^2^A")
    assert clock(row["start"]) == "1300"
    assert odd(*messages, on_visit("A13", "1400")) == []


def test_what_is_sent_again_in_another_envelope_is_one_fact():
    message = a02("0900", "W^2^A")
    again = Message(message.raw.replace(b"|A020900|", b"|other|"))
    assert timeline([message, again]) == timeline([message])


def test_without_any_time_a_message_says_nothing():
    message = Message(b"MSH|^~\\&|PAS|GH|||x||ADT^A01|1|P\rPID|||1\rPV1||I|W^1^A||||||||||||||||V")
    assert timeline([message]) == timeline([])


def test_an_invalid_and_a_doubtful_time_are_reported():
    bad = a01("0800", at="20240230080000")
    [row] = always([bad]).anomalies
    assert (row["kind"], row["field"], clock(row["start"])) == ("time_invalid", "EVN-6", "0800")
    doubtful = a01("0800", at="20241027013000")
    [row] = timeline([doubtful], ZoneInfo("Europe/London")).anomalies
    assert (row["kind"], row["field"]) == ("time_ambiguous", "EVN-6")
    assert timeline([doubtful], UTC).anomalies == []


def test_a_message_without_a_zone_counts_in_that_of_its_header():
    message = Message(a01("0800").raw.replace(b"0800||ADT", b"0800-0500||ADT"))
    assert beds(message) == [("W^1^A", "1300", None)]


def test_a_visit_may_be_named_by_its_admission():
    admitted = adt("A01", "0800", pid(), pv1("W^1^A", visit="", since="0800"))
    other = adt("A01", "0800", pid("2"), pv1("W^2^A", visit="", since="0800"))
    left = adt("A03", "1200", pid(), pv1(visit="", since="080000"))
    assert beds(admitted, left) == [("W^1^A", "0800", "1200")]
    assert odd(admitted, other) == []


def test_a_message_without_a_patient_or_a_visit_says_nothing_of_a_visit():
    assert timeline([adt("A01", "0800", pid(), pv1("W^1^A", visit=""))]) == timeline([])
    assert timeline([adt("A01", "0800", pid(""), pv1("W^1^A"))]) == timeline([])
