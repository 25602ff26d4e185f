"""What is answered to a message, field by field (adt.md, "Listener and acknowledgement")."""

from __future__ import annotations

import pytest

from connectors.hl7.header import Header
from connectors.hl7.message import Message
from connectors.mllp.answers import (
    HL7_VERSION,
    INTERNAL,
    PROCESSING,
    SEGMENT_SEQUENCE,
    TYPE,
    Verdict,
    answer,
    judge,
)

NOW = b"20240305090001"
ACCEPT, REJECT, ERROR = Verdict.ACCEPT, Verdict.REJECT, Verdict.ERROR


def header(*, accept: str = "", application: str = "", charset: str = "") -> Header:
    return Header(
        rf"MSH|^~\&|PAS|GH|HEADRACE|X&Y|20240305090000||ADT^A01^ADT_A01|C1|P|2.5.1|||"
        rf"{accept}|{application}||{charset}".encode()
    )


def test_an_answer_repeats_what_its_message_said():
    told = answer(header(charset="8859/1"), ACCEPT, b"7", NOW)
    assert told == (
        rb"MSH|^~\&|HEADRACE|X&Y|PAS|GH|20240305090001||ACK^A01^ACK|7|P|2.5.1||||||8859/1"
        b"\rMSA|AA|C1\r"
    )


def test_an_answer_has_the_delimiters_of_its_message():
    told = answer(Header(b"MSH$%*?@$PAS$GH$H$X$2024$$ADT%A01$\xc3\x98$P$2.4"), REJECT, b"7", NOW,
                  INTERNAL)  # fmt: skip
    assert told == (
        b"MSH$%*?@$H$X$PAS$GH$20240305090001$$ACK%A01%ACK$7$P$2.4\rMSA$AR$\xc3\x98\r"
        b"ERR$$$207%application internal error%HL70357$E\r"
    )


def test_no_field_ends_the_frame_of_its_answer():
    told = answer(Header(b"MSH|^~\\&|A|B|||2024||ADT^A01|1\x1c|P|2.5\x0b"), ACCEPT, b"7", NOW)
    assert not {b"\x1c"[0], b"\x0b"[0]} & {*told}
    assert told.endswith(b"\rMSA|AA|1\r")


def test_an_answer_can_be_read():
    told = Message(answer(header(), ERROR, b"7", NOW, (b"101", b"required field missing")))
    assert told.text("MSA", 1) == "AE"
    assert told.text("MSA", 2) == "C1"
    assert told.text("ERR", 3) == "101"


def test_without_a_first_segment_nobody_is_named():
    told = Message(answer(None, REJECT, b"7", NOW, SEGMENT_SEQUENCE))
    assert told.text("MSA", 1) == "AR"
    assert told.text("MSA", 2) == ""
    assert told.text("ERR", 3) == "100"


def test_the_number_that_is_expected_next():
    assert answer(header(), ACCEPT, b"7", NOW, sequence=b"1").endswith(b"\rMSA|AA|C1||1\r")


@pytest.mark.parametrize(
    ("accept", "application", "said"),
    [
        ("", "", {ACCEPT: "AA", REJECT: "AR", ERROR: "AE"}),
        ("AL", "NE", {ACCEPT: "CA", REJECT: "CR", ERROR: "CE"}),
        ("AL", "AL", {ACCEPT: "CA", REJECT: "CR", ERROR: "CE"}),
        ("ER", "NE", {REJECT: "CR", ERROR: "CE"}),
        ("SU", "NE", {ACCEPT: "CA"}),
        ("NE", "NE", {}),
        ("", "NE", {}),
        ("", "ER", {REJECT: "AR", ERROR: "AE"}),
        ('""', "", {ACCEPT: "AA", REJECT: "AR", ERROR: "AE"}),
        ("??", "", {ACCEPT: "CA", REJECT: "CR", ERROR: "CE"}),
    ],
)
def test_a_sender_is_told_what_it_asked_for(accept, application, said):
    asked = header(accept=accept, application=application)
    told = {verdict: answer(asked, verdict, b"7", NOW) for verdict in Verdict}
    codes = {verdict: Message(raw).text("MSA", 1) for verdict, raw in told.items() if raw}
    assert codes == said


@pytest.mark.parametrize(
    ("raw", "refusal"),
    [
        (b"hello", SEGMENT_SEQUENCE),
        (b"PID|1\rMSH|^~\\&|A", SEGMENT_SEQUENCE),
        (b"MSH|^~\\&|A|B|||2024|||1|P|2.5", TYPE),
        (b"MSH|^~\\&|A|B|||2024||ADT^A01|1||2.5", PROCESSING),
        (b"MSH|^~\\&|A|B|||2024||ADT^A01|1|X|2.5", PROCESSING),
        (b"MSH|^~\\&|A|B|||2024||ADT^A01|1|P|3.0", HL7_VERSION),
        (b"MSH|^~\\&|A|B|||2024||ADT^A01|1|P|2.10", HL7_VERSION),
        (b"MSH|^~\\&|A|B|||2024||ADT^A01|1|P|2.5.1^DEU", None),
        (b"MSH|^~\\&|A|B|||2024||ADT^A01|1|T^I|2.1", None),
        (b"\xef\xbb\xbfMSH|^~\\&|A|B|||2024||ADT|1|D|2.9\nEVN|A01", None),
    ],
)
def test_what_is_taken(raw, refusal):
    judged = judge(raw)
    assert judged.refusal == refusal
    assert judged.keep == (refusal is None)
    assert not judged.silent


@pytest.mark.parametrize(
    "raw",
    [
        b"MSH|^~\\&|A|B|||2024||ACK^A01^ACK|1|P|2.5\rMSA|AA|1\r",
        b"MSH|^~\\&|A|B|||2024||MCF|1|P|2.5\r",
        b"MSH|^~\\&|A|B|||2024||ADT^A01|1|P|2.5\r\nMSA|AA|1\r\n",
        b"MSH|^~\\&|A|B|||2024||ORR^O02|1|P|2.5\nMSA|AA|1\n",
    ],
)
def test_an_answer_is_never_answered(raw):
    judged = judge(raw)
    assert judged.silent
    assert not judged.keep


def test_the_start_of_sequence_numbers_has_no_content():
    judged = judge(b"MSH|^~\\&|PAS|GH|HEADRACE|GH|20240305080000||^|S0|P|2.3|0\r")
    assert judged.first_number
    assert not judged.keep
    assert judged.refusal is None


def test_other_processing_ids_can_be_taken():
    assert judge(b"MSH|^~\\&|A|B|||2024||ADT^A01|1|X|2.5", (b"X",)).keep
