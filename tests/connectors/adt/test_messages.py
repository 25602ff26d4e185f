"""What ADT messages say: by their own delimiters, with whatever senders leave out or get wrong."""

from __future__ import annotations

from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

import pytest

from connectors.adt import messages
from connectors.adt.messages import Parsed
from operators.adt.cancels import by_recording, by_time
from operators.adt.visit import visit
from state.adt.attributes import Details, Diagnoses, Person
from state.adt.facts import Alias, BedStatus, Fact, Mother, Oddity, Rekey
from state.errors import BadRecord, NoTime, OutOfRange, WrongType

S = 1_000_000_000
HEAD = "MSH|^~\\&|PAS|GH|||20240305100000||ADT^{trigger}|1|P|2.5\rEVN|{trigger}|20240305090000\r"


def parse(raw: bytes, zone: tzinfo = UTC) -> Parsed:
    """Return what a message says, without what it says of persons (test_attributes.py)."""
    parsed = messages.parse(raw, zone)
    attributes = (Person, Details, Diagnoses)
    rest = tuple(each for each in parsed.statements if not isinstance(each, attributes))
    return parsed._replace(statements=rest)


def facts(raw: bytes) -> list[Fact]:
    """Return the facts of visits in a message, and check that it says nothing else."""
    said = parse(raw).statements
    assert all(isinstance(each, Fact | Oddity) for each in said)
    return [each for each in said if isinstance(each, Fact)]


def said(trigger: str, *segments: str) -> list[object]:
    """Return what a message says, without when and by which message."""
    parsed = parse((HEAD.format(trigger=trigger) + "\r".join(segments)).encode())
    return [
        each._replace(digest="", clinical_ns=0, recorded_ns=0)
        if isinstance(each, Fact | Alias | Rekey | BedStatus)
        else each
        for each in parsed.statements
    ]


def test_a_message_is_read_by_its_own_delimiters() -> None:
    message = (
        b"MSH|^~\\&|A|H|||20240102030405||ADT^A02|1|P|2.3\rEVN|A02|20240102030500|||"
        b"|20240102030000\rPID|1||4711^^^H\rPV1|1|I|W^2^B" + b"|" * 16 + b"V7^^^H\r"
    )
    [found] = facts(message)
    assert (found.trigger, found.patient, found.visit) == ("A02", "4711^^^H", "V7^^^H")
    assert found.location == "W^2^B"
    assert found.recorded_ns - found.clinical_ns == 300 * S
    [other] = facts(message.replace(b"|", b"#").replace(b"^", b"!"))
    assert other._replace(digest=found.digest) == found


def test_times_that_do_not_exist_are_not_used_and_an_old_sender_s_trigger_is() -> None:
    message = (
        b"MSH|^~\\&|A|H|||20240102030405-0500||ADT\rEVN|A02|20240102030500|||"
        b"|20240102036100\rPID|1||4711\rPV1|1|I|W" + b"|" * 16 + b"V7\r"
    )
    [found] = facts(message)
    assert found.trigger == "A02"
    assert found.clinical_ns == found.recorded_ns
    assert found.recorded_ns // S % 86_400 == (8 * 60 + 5) * 60, "in the zone of MSH-7"


@pytest.mark.parametrize(
    "message",
    [b"", b"MSH", b"PID|1", b"\xff", b"MSH|^~\\&|A|H|||20240102||ADT^A01\rPID|1||4711\rPV1|1"],
)
def test_what_cannot_be_used_is_refused_without_repeating_it(message: bytes) -> None:
    with pytest.raises(BadRecord) as refused:
        parse(message)
    assert "4711" not in str(refused.value)


@pytest.mark.parametrize("place", ["EVN-2", "EVN-6", "PV1-44", "PV1-45"])
@pytest.mark.parametrize("time", ["99991231", "00010101", "14920101", "23000101"])
def test_a_date_that_means_none_stops_nothing(place: str, time: str) -> None:
    """Senders write such dates where they know none."""
    fields = {
        name: time if name == place else "" for name in ("EVN-2", "EVN-6", "PV1-44", "PV1-45")
    }
    message = (
        f"MSH|^~\\&|A|H|||20240102030405||ADT^A03|1|P|2.3\rEVN|A03|{fields['EVN-2']}||||"
        f"{fields['EVN-6']}\rPID|1||4711\rPV1|1|I|W{'|' * 16}V7{'|' * 25}{fields['PV1-44']}|"
        f"{fields['PV1-45']}"
    )
    [found] = facts(message.encode())
    assert found.visit == "V7^^^H"
    assert found.clinical_ns == found.recorded_ns == 1_704_164_645 * S
    visit([found, found._replace(trigger="A01", clinical_ns=10, recorded_ns=11)])


def test_the_bed_swap_of_one_visit_is_in_the_order_of_its_message() -> None:
    swap = b"MSH|^~\\&|A|H|||20240102||ADT^A17|1|P|2.3\r" + b"".join(
        b"PID|1||1\rPV1|1|I|W^%d%sV1\r" % (bed, b"|" * 16) for bed in (1, 2)
    )
    found = facts(swap)
    assert [each.location for each in found] == ["W^1", "W^2"]
    assert visit(found) == visit(found[::-1])
    assert found[0].digest < found[1].digest


def test_segments_in_any_place_and_the_first_number_that_can_be_used() -> None:
    message = (
        b"MSH|^~\\&|A|H|||20240102||ADT^A01|1|P|2.3\rPV1|1|I|W"
        + b"|" * 16
        + b'V7\rPID|1||""~90^^^N^NI'
        b"~1001^^^H^MR\r"
    )
    [found] = facts(message)
    assert (found.patient, found.visit, found.location) == ("1001^^^H", "V7^^^H", "W")


def test_in_a_swap_the_bed_before_is_the_other_s_new_one() -> None:
    swap = (
        b"MSH|^~\\&|A|H|||20240102||ADT^A17|1|P|2.3\rPID|1||1\rPV1|1|I|W^1" + b"|" * 16 + b"V1\r"
        b"PID|1||2\rPV1|1|I|W^2|||W^9" + b"|" * 13 + b"V2\r"
    )
    found = [(each.visit, each.location, each.prior) for each in facts(swap)]
    assert found == [("V1^^^H", "W^1", "W^2"), ("V2^^^H", "W^2", "W^9")]


PID, MRG = "PID|1||1^^^^MR|||||||||||||||{account}", "MRG|2^^^^MR||{account}||{visit}"


def test_a_merge_says_that_a_number_became_another():
    assert said("A40", "PID|1||1", "MRG|2") == [Alias(0, 0, "", "2^^^GH", "1^^^GH")]
    both = said("A40", "PID|1||1", "MRG|2", "MRG|3", "PID|1||8", "PV1|1", "MRG|9^^^NH")
    assert [each[-2:] for each in both if isinstance(each, Alias)] == [
        ("2^^^GH", "1^^^GH"), ("3^^^GH", "1^^^GH"), ("9^^^NH", "8^^^GH"),
    ]  # fmt: skip


def test_a_merge_into_itself_is_strange_and_merges_nothing():
    [strange] = said("A40", "PID|1||1", "MRG|1")
    at_ns = 1_709_629_200 * S
    assert strange == Oddity(at_ns, "merge_into_itself", "1^^^GH", "", "", at_ns)


@pytest.mark.parametrize(
    ("trigger", "old", "new", "moves"),
    [
        ("A35", ("1", "A1"), ("1", "A2"), False),
        ("A42", ("1", "V1"), ("1", "V2"), False),
        ("A44", ("2", "A1"), ("1", "A2"), True),
        ("A45", ("2", "V1"), ("1", "V2"), True),
    ],
)
def test_a_visit_gets_another_number_or_patient(trigger, old, new, moves):
    segments = (
        PID.format(account="A2"),
        MRG.format(account="A1", visit="V1"),
        f"PV1|1{'|' * 18}V2",
    )
    old, new = (tuple(f"{each}^^^GH" for each in key) for key in (old, new))
    assert said(trigger, *segments) == [Rekey(0, 0, "", old, new, moves)]


def test_a_moved_visit_keeps_its_number_where_there_is_no_other():
    [moved] = said("A45", "PID|1||1", "MRG|2||||V1")
    assert isinstance(moved, Rekey)
    assert (moved.old[1], moved.new[1]) == ("V1^^^GH", "V1^^^GH")


def test_a_bed_a_newborn_and_a_deleted_person():
    assert said("A20", "NPU|W^1^A|C") == [BedStatus(0, 0, "", "W^1^A", "C")]
    assert said("A28", f"PID|1||1{'|' * 18}7^^^GH") == [Mother("1^^^GH", "7^^^GH")]
    assert said("A29", "PID|1||1", "PV1|1") == [Fact(0, 0, "", "A29", "1^^^GH", "")]


def test_a_visit_without_a_number_is_named_by_its_account_or_its_beginning():
    [by_account] = said("A01", PID.format(account="A2"), "PV1|1|I|W")
    [by_time] = said("A01", "PID|1||1", f"PV1|1|I|W{'|' * 41}20240305083000.5")
    assert isinstance(by_account, Fact)
    assert isinstance(by_time, Fact)
    assert by_account.visit == "A2^^^GH"
    assert by_time.visit == "2024-03-05T08:30:00.500000Z^^^GH"


def test_a_trigger_that_nobody_knows_and_a_time_that_cannot_be_are_strange():
    assert [each.kind for each in said("A99", "PID|1||1") if isinstance(each, Oddity)] == [
        "trigger_unknown"
    ]
    raw = (HEAD.format(trigger="A08") + "PID|1||1").replace("|20240305090000", "|20240230")
    [strange] = parse(raw.encode()).statements
    assert isinstance(strange, Oddity)
    assert (strange.kind, strange.field) == ("time_invalid", "EVN-2")


def test_a_wrong_label_of_the_character_set_is_strange_and_loses_nothing():
    raw = (HEAD.format(trigger="A29").replace("|2.5\r", "|2.5||||||UTF-8\r") + "PID|1||1").encode()
    assert len(parse(raw).statements) == 1
    deleted, strange = parse(raw + b"||J\xd8RGEN").statements
    assert isinstance(deleted, Fact)
    assert isinstance(strange, Oddity)
    assert (strange.kind, strange.field) == ("charset_mismatch", "MSH-18")


def test_what_is_no_adt_message_says_nothing():
    raw = HEAD.format(trigger="A01").replace("ADT^A01", "MDM^T02").encode()
    assert parse(raw) == Parsed("", 0, ())


@pytest.mark.parametrize(
    ("trigger", "segments", "error", "told"),
    [
        ("A01", ["PID|1", "PV1|1|I|W||||||||||||||||V1"], WrongType, "PID-3"),
        ("A01", ["PID|1||1", "PV1|1|I|W"], WrongType, "PV1-19"),
        ("A40", ["PID|1||1"], WrongType, "MRG-1"),
        ("A40", ["MRG|1"], WrongType, "PID-3"),
        ("A45", ["PID|1||1", "MRG|2"], WrongType, "MRG-5"),
        ("A20", ["NPU||C"], WrongType, "NPU-1"),
        ("A20", ["NPU|W^1^A"], WrongType, "NPU-2"),
        ("A29", ["PID|1||" + "1" * 81], OutOfRange, "80"),
        ("A20", [f"NPU|{'é' * 41}|C"], OutOfRange, "80"),
        ("A29", ["PID|1||1\\X1F\\2"], OutOfRange, "control"),
        ("A29", ["PID|1||" + "\\F\\" * 27], OutOfRange, "80"),
    ],
)
def test_a_message_that_does_not_name_what_it_is_about_is_refused(trigger, segments, error, told):
    with pytest.raises(error, match=told):
        said(trigger, *segments)


def test_a_message_without_any_time_is_refused_by_name():
    with pytest.raises(NoTime):
        parse(b"MSH|^~\\&|PAS|GH|||x||ADT^A01|1|P|2.5\rEVN|A01|99991231\rPID|1||1\rPV1|1|I|W")


def test_what_was_recorded_before_1970_is_not_used():
    early = HEAD.format(trigger="A29").replace("|20240305090000", "|19600305090000") + "PID|1||1"
    parsed = parse(early.encode())
    assert parsed.recorded_ns == 1_709_632_800 * S, "that of MSH-7"
    assert [each.field for each in parsed.statements if isinstance(each, Oddity)] == ["EVN-2"]
    with pytest.raises(NoTime):
        parse(early.replace("20240305100000", "19600305").encode())


def test_a_message_about_very_many_patients_takes_no_long_time_or_is_refused():
    groups = [segment for n in range(900) for segment in (f"PID|1||A{n}", f"MRG|B{n}")]
    assert len(said("A40", *groups)) == 900
    with pytest.raises(OutOfRange, match="1000"):
        said("A40", *groups, *groups)


@pytest.mark.parametrize(
    ("other", "envelope"), [("10+0100", "10+0200"), ("UNICODE UTF-8", "8859/5")]
)
def test_facts_that_the_envelope_makes_different_are_in_one_order(other, envelope):
    """The zone of MSH-7 and the character set of MSH-18 are no part of the digest."""
    raw = (
        r"MSH|^~\&|PAS|GH|||20240305{zone}||ADT^A02|1|P|2.5||||||{charset}"
        "\rEVN|A02|20240305100000+0000||||20240305100000+0000\rPID|1||1\r"
        r"PV1|1|I|W^\XC3A9\^A|||W^0^A|||||||||||||V1|||||||||||||||||||||||||20240304100000"
    )
    named = "zone" if "+" in other else "charset"
    texts = [
        raw.format(**({"zone": "10", "charset": ""} | {named: each})).encode()
        for each in (other, envelope)
    ]
    one, two = (facts(text)[0] for text in texts)
    assert one != two
    assert by_time(one) != by_time(two)
    assert by_recording(one) != by_recording(two)


def test_what_separates_the_parts_of_a_key_is_escaped_in_them():
    [deleted] = said("A29", r"PID|1||1\S\2\F\3^^^G\F\H")
    assert isinstance(deleted, Fact)
    assert deleted.patient == r"1\S\2\F\3^^^G\F\H"


def test_the_domain_is_the_facility_else_the_application():
    for sender, wanted in (("PAS|GH", "GH"), ("PAS|", "PAS"), ("|", "unknown")):
        raw = (HEAD.format(trigger="A29") + "PID|1||1").replace("PAS|GH", sender)
        assert parse(raw.encode()).domain == wanted


def test_the_zone_of_a_site_counts_where_a_message_names_none():
    berlin = ZoneInfo("Europe/Berlin")
    raw = (HEAD.format(trigger="A29") + "PID|1||1").encode()
    assert parse(raw).recorded_ns - parse(raw, berlin).recorded_ns == 3600 * S
    named = raw.replace(b"20240305100000", b"20240305100000-0500")
    assert parse(named, berlin) == parse(named)
