"""No message is lost for a character, and none gets another one in its place."""

from __future__ import annotations

import pytest

from connectors.hl7.charsets import CODECS
from connectors.hl7.message import Message


def named(label: str, name: bytes) -> Message:
    header = rf"MSH|^~\&|A|B|||20240305||ADT^A01|1|P|2.5||||||{label}"
    return Message(header.encode() + b"\rPID|1||7||" + name + b"^X\r")


@pytest.mark.parametrize(
    ("label", "name", "expected", "mismatch"),
    [
        ("", "JØRGEN".encode(), "JØRGEN", False),
        ("", "JØRGEN".encode("cp1252"), "JØRGEN", False),
        ("UNICODE UTF-8", "JØRGEN".encode(), "JØRGEN", False),
        ("UNICODE UTF-8", "JØRGEN".encode("latin_1"), "JØRGEN", True),
        ("unicode utf-8 ", "JØRGEN".encode(), "JØRGEN", False),
        ("ASCII", b"JORGEN", "JORGEN", False),
        ("ASCII", "JØRGEN".encode(), "JØRGEN", True),
        ("8859/1", "JØRGEN".encode("latin_1"), "JØRGEN", False),
        ("8859/2", "Čapek".encode("iso8859_2"), "Čapek", False),
        ("8859/15", "Œuf".encode("iso8859_15"), "Œuf", False),
        ("GB 18030-2000", "王小明".encode("gb18030"), "王小明", False),
        ("BIG-5", "許功蓋".encode("big5"), "許功蓋", False),
        ("KS X 1001", "홍길동".encode("euc_kr"), "홍길동", False),
        ("~ISO IR87", "山田".encode("iso2022_jp"), "山田", False),
        ("8859/1~ISO IR87", "JØRGEN".encode("latin_1"), "JØRGEN", False),
        ("CNS 11643-1992", "JØRGEN".encode(), "JØRGEN", True),
        ("", b"\x81\x8d", "\x81\x8d", True),
    ],
)
def test_the_label_then_utf_8_then_the_default(label, name, expected, mismatch):
    told = named(label, name)
    assert told.text("PID", 5) == expected
    assert told.decoded.mismatch == mismatch


def test_a_byte_of_a_character_is_no_delimiter():
    """In Big5 the second bytes of these are a backslash and a bar."""
    name = "功蓋".encode("big5") + "育".encode("big5")
    assert b"\\" in name
    assert named("BIG-5", name).text("PID", 5) == "功蓋育"
    assert named("BIG-5", name).text("PID", 5, 2) == "X"


def test_the_default_is_the_site_s():
    raw = b"MSH|^~\\&|A\rPID|1||7||" + "Жук".encode("cp1251")
    assert Message(raw, "cp1251").text("PID", 5) == "Жук"


def test_each_codec_is_there():
    assert {b"MSH|".decode(codec) for codec in CODECS.values()} == {"MSH|"}
