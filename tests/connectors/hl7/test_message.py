"""A message is read by what it declares, and nothing in it hides what stands behind."""

from __future__ import annotations

import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.hl7.message import Message
from state.errors import BadRecord, Malformed
from tests.reference import hl7 as reference

MSH = r"MSH|^~\&|PAS|GH|HEADRACE|GH|20240305090000||ADT^A01|C1|P|2.5.1"
PID = "PID|1||1001^^^GH&2.999&ISO^MR~77^^^NI||TESTCASE^ALPHA"
PV1 = "PV1|1|I|4W^12^A"


def message(*lines: str, end: str = "\r") -> Message:
    return Message(end.join((MSH, *lines, "")).encode())


def test_parts_of_a_field():
    pid = message(PID).first("PID")
    assert pid is not None
    assert pid.text(3) == "1001"
    assert pid.text(3, 4) == "GH"
    assert pid.text(3, 4, 2) == "2.999"
    assert pid.text(3, 4, repetition=2) == "NI"
    assert pid.text(3, 1, 2) == ""
    assert pid.text(5, 2) == "ALPHA"
    assert pid.text(30) == ""
    assert [pid.repetitions(number) for number in (2, 3, 5, 30)] == [0, 2, 1, 0]


def test_msh_1_is_the_separator():
    told = message()
    assert told.text("MSH", 3) == "PAS"
    assert told.text("MSH", 9, 2) == "A01"
    assert told.header.field(1) == b"|"
    assert told.header.field(10) == b"C1"
    assert told.header.part(9, 2) == b"A01"


def test_null_is_not_empty():
    pv1 = message('PV1|1||""|^""|x').first("PV1")
    assert pv1 is not None
    assert [pv1.said(number) for number in (2, 3, 5, 9)] == [None, "", "x", None]
    assert pv1.said(3, 2) == "", "a null field has no component either"
    assert pv1.said(4, 2) == ""
    assert pv1.text(3) == pv1.whole(3) == ""


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\r\r\n", "\n\n"])
def test_all_ends_of_lines(end):
    told = message(PID, PV1, end=end)
    assert [segment.name for segment in told] == ["MSH", "PID", "PV1"]
    assert told.text("PV1", 3, 3) == "A"


def test_a_feed_within_a_value_is_data_where_carriage_returns_end_the_lines():
    assert message("NTE|1||one\ntwo", PV1).text("NTE", 3) == "one\ntwo"


def test_where_msh_ends_with_a_feed_either_ends_a_line():
    told = Message(f"{MSH}\n{PID}\rNTE|1||one\ntwo\n{PV1}\r".encode())
    assert [segment.name for segment in told] == ["MSH", "PID", "NTE", "PV1"]
    assert told.text("NTE", 3) == "one\ntwo"
    assert len(list(Message(f"{MSH}|\nno name\r{PID}\n{PV1}".encode()))) == 2


def test_a_line_without_a_name_goes_on_with_the_field_before():
    told = message("NTE|1||one", "two", "", "it is|three", PV1)
    assert told.text("NTE", 3) == "one\ntwo\nit is"
    assert told.text("NTE", 4) == "three"
    assert told.text("PV1", 2) == "I"


def test_msh_too_goes_on_in_a_line_without_a_name():
    told = Message(b"MSH|^~\\&|A|B|||2024|\r|ADT^A01|7\rPID|1\r")
    assert told.header.part(9) == b"ADT"
    assert told.text("MSH", 9) == "ADT"


def test_the_digest_is_of_what_is_said():
    sent = message(PID, PV1)
    again = MSH.replace("20240305090000", "20240305100000").replace("C1", "C2") + "|7"
    for other in (
        Message(f"{again}\r{PID}\r{PV1}".encode()),
        Message(f"{MSH}\n{PID}\n\n{PV1}\n".encode()),
        Message(f"{MSH}||||||UNICODE UTF-8\r{PID}\r{PV1}".encode()),
    ):
        assert other.digest() == sent.digest()
    for other in (message(PV1, PID), message(PID, PV1 + "|"), message(PID)):
        assert other.digest() != sent.digest()


def test_headers_of_any_size_are_not_kept():
    """What is remembered of delimiters and labels must not grow with what is sent."""
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for number in range(40):
        long = "#" * 200_000 + str(number)
        Message(f"MSH|^~\\&{long}|A".encode())
        Message(f"MSH|^~\\&{'|' * 16}~{long}".encode())
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 1_000_000


def test_a_segment_is_found_by_name_wherever_it_is():
    told = message("ZSI|1|site data", "XYZ|?", PID, "ZPV|x^y", PV1.lower())
    assert told.text("PV1", 3) == "4w"
    assert told.first("PV2") is None
    assert told.text("PV2", 3) == ""


def test_marks_and_zero_bytes_mean_nothing():
    raw = b"\0\xef\xbb\xbf\r\nM\0SH" + MSH[3:].encode() + b"\rPV1|1\0|I\r"
    told = Message(raw)
    assert told.text("PV1", 2) == "I"
    assert told.raw == raw


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("^~\\&", "^~\\&"),
        ("^~&", "^~\0&"),  # no backslash
        ("^~\\\\&", "^~\\&"),  # one too many
        ("^~\\&#", "^~\\&"),  # the truncation mark
        ("^~\\", "^~\\\0"),
        ("^", "^\0\0\0"),
        ("%*?@", "%*?@"),
    ],
)
def test_delimiters_by_their_place(encoding, expected):
    delimiters = Message(f"MSH|{encoding}|A".encode()).delimiters
    by_place = (
        delimiters.component,
        delimiters.repetition,
        delimiters.escape,
        delimiters.subcomponent,
    )
    assert "".join(by_place) == expected


def test_other_delimiters_and_an_ampersand_of_the_data():
    told = Message(b"MSH$%*?@$PAS\rPV1$1$I$A&E%12%A*B\\T\\\r")
    assert told.text("PV1", 3) == "A&E"
    assert told.text("PV1", 3, 2) == "12"
    pv1 = told.first("PV1")
    assert pv1 is not None
    assert pv1.text(3, repetition=2) == "B\\T\\"


@pytest.mark.parametrize(
    "raw",
    [b"", b"PID|1", b"MSH", b"MSH|", b"MSH||A", b"MSH|^ \\&|", b"MSHA^~\\&A", b"MSH\xe9^~\\&"],
)
def test_what_is_no_message(raw):
    with pytest.raises(Malformed):
        Message(raw)


LINE = st.text("PV1MSHz|^~\\&\"'é\n ", max_size=12) | st.from_regex(
    r"\A[A-Z][A-Z0-9]{2}\|[a-z^~&|\n]{0,12}\Z"
)


@given(st.lists(LINE, max_size=6), st.sampled_from(["\r", "\n", "\r\n"]))
def test_segments_and_parts_are_those_of_the_definition(lines, end):
    text = end.join((MSH, *lines))
    told = Message(text.encode())
    found = reference.segments(text)
    assert [segment.name for segment in told] == [line[:3].upper() for line in found]
    for segment, line in zip(told, found, strict=True):
        if segment.name == "MSH":
            continue
        fields = line.split("|")
        first = told.first(segment.name)
        assert first is not None
        for number, field in enumerate(fields):
            assert segment.raw(number) == field
        for place in ((1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2), (2, 2, 2)):
            assert segment._part(fields[-1], *place) == reference.part(fields[-1], "^~\\&", *place)
    for name in {line[:3].upper() for line in found} - {"MSH"}:
        of_name = [line for line in found if line[:3].upper() == name]
        exact = [line for line in of_name if line[:3] == name]
        first = told.first(name)
        assert first is not None
        assert first.raw(1) == (exact or of_name)[0].split("|")[1]


def test_mutated_messages_are_read_or_refused():
    """The short form of the fuzz run: no other error, and no character that nobody sent."""
    rng = random.Random(6)
    obx = r"OBX|1|TX|a^b||x\T\y\X0D\z\.sp 3\\C2842\q\M2442\w"
    whole = f"{MSH}\r{PID}\r{PV1}\r{obx}".encode()
    for _ in range(4000):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 8)):
            place = rng.randrange(len(data))
            data[place : place + rng.randint(0, 3)] = rng.randbytes(rng.randint(0, 3))
        try:
            told = Message(bytes(data))
        except BadRecord:
            continue
        for segment in told:
            for number in range(8):
                assert "\ufffd" not in segment.text(number, 1) + segment.whole(number)
                segment.said(number, 2)
