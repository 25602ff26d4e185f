"""All messages of a file, whatever stands around them, and an account of all that is none."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from connectors.hl7.files import Miscount, contents, messages
from connectors.hl7.message import Message

DATA = Path(__file__).parents[4] / "shared/data/adt"
FIRST = b"MSH|^~\\&|A|B|||20240305||ADT^A01|1|P|2.5\rPID|1||7\r"
SECOND = b"MSH|^~\\&|A|B|||20240305||ADT^A02|2|P|2.5\rPID|1||7\r"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="there is no ../shared/data/adt")


def controls(data: bytes) -> list[bytes]:
    return [Message(raw).header.field(10) for raw in contents(data).messages]


@pytest.mark.parametrize(
    "data",
    [
        FIRST + SECOND,
        (FIRST + SECOND).replace(b"\r", b"\n"),
        (FIRST + SECOND).replace(b"\r", b"\r\n"),
        FIRST + b"\n\n" + SECOND,
        FIRST.replace(b"\r", b"\n") + SECOND,
        b"\xef\xbb\xbf" + FIRST + b"\xef\xbb\xbf" + SECOND,
        b"\x0b" + FIRST + b"\x1c\r\x0b" + SECOND + b"\x1c\r",
        b"\x0b" + FIRST + SECOND + b"\x1c\r",
        b"\x0b" + FIRST + b"\x0b" + SECOND + b"\x1c\r",
        b"\0\0\x0b\x0b" + FIRST + b"\x1c\r\x1c\r\x0b" + SECOND + b"\x1c\r",
        b"FHS|^~\\&|A\rBHS|^~\\&|A\r" + FIRST + SECOND + b"BTS|2\rFTS|1\r",
        b"\0" + FIRST + SECOND,
        FIRST.replace(b"MSH", b"M\0SH") + b"\0\0" + SECOND,
        b"\x0b\r\n\xef\xbb\xbf" + (FIRST + SECOND).replace(b"\r", b"\n") + b"\x1c\r",
        FIRST + b"NTE|1||odd \x0b byte\r" + SECOND,
        (FIRST + SECOND).decode().encode("utf_16"),
        (FIRST + SECOND).decode().encode("utf_32"),
    ],
)
def test_two_messages(data):
    found = contents(data)
    assert controls(data) == [b"1", b"2"]
    assert (found.dead, found.miscounts, found.noise) == ([], [], 0)


def test_text_between_frames_is_noise():
    found = contents(b"\x0b" + FIRST + b"\x1c\r[relay] sent\r\n\x0b" + SECOND + b"\x1c\r")
    assert len(found.messages) == 2
    assert found.noise == len("[relay] sent")


def test_text_before_the_first_message_is_noise():
    found = contents(b"log of today\r\n" + FIRST)
    assert len(found.messages) == 1
    assert found.noise == len("log of today")


def test_a_batch_that_tells_another_number():
    data = b"BHS|^~\\&\r" + FIRST + b"BTS|3\rBHS$^~\\&\r" + SECOND + b"BTS$1\rFTS|2\r"
    assert contents(data).miscounts == [Miscount(told=3, found=1)]


def test_a_file_that_tells_another_number_of_batches():
    data = b"FHS|^~\\&\rBHS|^~\\&\r" + FIRST + b"BTS|1\rFTS|7\r"
    assert contents(data).miscounts == [Miscount(told=7, found=1)]


def test_a_batch_over_several_frames_is_one():
    parts = (b"BHS|^~\\&\r", FIRST, SECOND, b"BTS|2\r")
    found = contents(b"".join(b"\x0b" + part + b"\x1c\r" for part in parts))
    assert (len(found.messages), found.miscounts, found.dead) == (2, [], [])


@pytest.mark.parametrize("end", [b"BTS", b"BTS|", b"BTS|x", b"BTS|" + b"9" * 5000, b"FTS"])
def test_the_end_of_a_batch_need_not_tell_a_number(end):
    found = contents(FIRST + end)
    assert (len(found.messages), found.miscounts, found.dead) == (1, [], [])


def test_a_byte_order_mark_is_surer_than_a_label():
    text = (FIRST.decode().rstrip() + "||Ø\r").replace("|2.5", "|2.5||||||8859/1")
    [raw] = contents(text.encode("utf_16")).messages
    told = Message(raw)
    assert told.text("PID", 5) == "Ø"
    assert told.decoded.mismatch


def test_in_a_frame_with_carriage_returns_a_feed_is_data():
    note = b"NTE|1||see\nMSH|^~\\&|not one\r"
    assert messages(FIRST + note) == [FIRST + note]
    assert len(messages(FIRST + b"\n" + SECOND)) == 2
    assert messages(b"hello\r") == []


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"hello", "MSH"),
        (b"\x0bPID|1\x1c\r", "MSH"),
        (b"\xff\xfeM\0S", "utf_16"),
        (b"\x0b" + FIRST, "IncompleteFrame"),
    ],
)
def test_what_is_no_message_is_dead_with_its_reason(data, word):
    found = contents(data)
    assert found.messages == []
    [dead] = found.dead
    assert word in str(dead.reason)
    assert dead.raw.strip(b"\x0b\x1c\r") == data.strip(b"\x0b\x1c\r")


@pytest.mark.parametrize("data", [b"", b"\r\n\n", b"\x0b\x1c\r", b"FTS|0\r"])
def test_nothing_is_nothing(data):
    assert contents(data)[:3] == ([], [], [])


def test_a_flood_of_line_ends_is_read_in_one_pass():
    started = time.process_time()
    for flood in (b"\r" * 2_000_000, b"\n" * 2_000_000, b"\r\n" * 1_000_000):
        [raw] = contents(FIRST + flood).messages
        assert Message(raw).text("PID", 3) == "7"
        assert len(contents(flood + FIRST).messages) == 1
    assert time.process_time() - started < 20


@needs_data
def test_each_message_of_the_hospital_s_simulator_is_read():
    found = contents((DATA / "simhospital/messages.out").read_bytes())
    kinds = [Message(raw).header.field(9) for raw in found.messages]
    counts = {kind.decode(): kinds.count(kind) for kind in set(kinds)}
    assert counts == {"ORU^R01": 610, "ADT^A01": 400, "MDM^T02": 2, "ADT^A34": 1}
    assert (found.dead, found.miscounts, found.noise) == ([], [], 0)


@needs_data
def test_each_message_of_the_converter_s_tests_is_read():
    """adt.md tells what is in them: 328 messages, of which 37 ADT have no EVN."""
    without_evn = with_id = 0
    files = sorted((DATA / "linuxforhealth/messages").iterdir())
    assert len(files) == 328
    for file in files:
        found = contents(file.read_bytes())
        assert (len(found.messages), found.dead, found.noise) == (1, [], 0), file.name
        told = Message(found.messages[0])
        assert told.text("MSH", 9)
        with_id += bool(told.header.field(10))
        without_evn += told.text("MSH", 9) == "ADT" and told.first("EVN") is None
    assert with_id == 328 - 80
    assert without_evn == 37
