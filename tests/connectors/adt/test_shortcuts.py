"""What makes the parser fast changes nothing: each shortcut is compared with the way without it."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.adt import fields
from connectors.adt.messages import Parsed, parse
from connectors.hl7 import charsets, message, times
from connectors.hl7.charsets import CODECS, SHIFTED
from state.errors import BadRecord, OutOfRange
from tests.operators.adt import domains, histories

ODD = (
    *(b"\r", b"\n", b"\r\n", b"|", b"^", b"~", b"\\", b"&", b'""', b"\0", b"#", b"|||", b"  "),
    *(b"\\X0D\\", b"\\T\\", b"\\F\\", b"\xc3\xa9", b"\xe9", b"\xff", b"\x1b$B", b"\xef\xbb\xbf"),
    *(b"pid", b"PID|", b"\rPV1|", b"\rMRG|1^^^G", b"~7^^^X^MR", b"V^^^&H", b"\r\r", b"Z" * 90),
    *(b"+0100", b"20240331023000", b"20241027023000", b"99991231", b".123", b"\xb2\xb3"),
    *(b"UNICODE UTF-8", b"8859/1", b"ISO IR87", b"ASCII", b"NONE", b"A40", b"A17", b"A20", b"A99"),
)
"""What is put into messages somewhere."""
ZONES = [UTC, ZoneInfo("Europe/Berlin"), ZoneInfo("Australia/Lord_Howe")]


def outcome(raw: bytes, zone: tzinfo) -> tuple[object, ...]:
    """Return what a message says, or why it says nothing."""
    try:
        return parse(raw, zone)
    except BadRecord as error:
        return type(error), str(error)


@pytest.fixture
def by_the_long_way(monkeypatch: pytest.MonkeyPatch) -> Callable[..., object]:
    """Return `outcome` without anything remembered, and without the ways of common messages."""

    class Forgetful(fields.Memo[object]):
        def __setitem__(self, text: str, found: object) -> None:
            """Keep nothing."""

    def slowly(raw: bytes, zone: tzinfo) -> tuple[object, ...]:
        with monkeypatch.context() as patched:
            patched.setattr(fields, "Memo", Forgetful)
            patched.setattr(fields, "_fields_of", fields.Fields)
            patched.setattr(times, "_hour_ns", lambda *_: None)
            patched.setattr(message, "decode", charsets._decode)
            patched.setattr(message, "_continued", lambda _: re.compile(""))
            return outcome(raw, zone)

    return slowly


def test_mutated_messages_say_the_same_by_the_long_way(by_the_long_way):
    rng = random.Random(21)
    sent = [raw for _ in range(40) for make in (histories, domains) for raw in make.history(rng)]
    said = 0
    for _ in range(4000):
        raw = bytearray(rng.choice(sent))
        for _ in range(rng.choice((0, 1, 1, 2, 4))):
            place = rng.randrange(len(raw))
            raw[place : place + rng.choice((0, 0, 1, 3))] = rng.choice(ODD)
        zone = rng.choice(ZONES)
        found = outcome(bytes(raw), zone)
        assert found == by_the_long_way(bytes(raw), zone)
        said += isinstance(found, Parsed) and bool(found.statements)
    assert said > 1500, "most of them are read"


@given(
    st.integers(0, 2**32).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    st.sampled_from(sorted(available_timezones())),
    st.sampled_from(["%Y%m%d%H%M%S", "%Y%m%d%H%M", "%Y%m%d%H%M%S.12", "%Y%m%d%H%M61"]),
)
def test_an_hour_that_is_known_changes_no_time(when, zone, form):
    assert _told(times.instant, when, zone, form) == _told(times._instant, when, zone, form)


def test_the_minutes_around_a_change_of_the_clock_are_those_of_the_definition():
    for zone in ("Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Africa/Monrovia"):
        for begin in ("20240331", "20240407", "19720107"):
            for minutes in range(0, 1440, 7):
                text = f"{begin}{minutes // 60:02}{minutes % 60:02}30"
                assert times.instant(text, ZoneInfo(zone)) == times._instant(text, ZoneInfo(zone))


def _told(read: Callable[..., object], when: datetime, zone: str, form: str) -> object:
    try:
        return read(when.strftime(form), ZoneInfo(zone))
    except OutOfRange as error:
        return str(error)


def test_all_codecs_but_the_shifted_one_read_ascii_alike():
    ascii_bytes = bytes(range(128))
    for codec in {*CODECS.values()} - {SHIFTED}:
        assert ascii_bytes.decode(codec) == ascii_bytes.decode("ascii"), codec


def test_what_is_remembered_is_bounded():
    memo = fields.Memo(str.upper)
    for each in range(3 * fields.REMEMBERED):
        assert memo[f"a{each}"] == f"A{each}"
        assert len(memo) <= fields.REMEMBERED
    memo.clear()
    assert memo["b" * 1000] == "B" * 1000
    assert not memo
