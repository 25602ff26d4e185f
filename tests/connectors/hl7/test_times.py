"""Times as a sender's clock told them; what does not exist is no time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.hl7.times import day, instant, zone_of
from state.clock import NS
from state.errors import OutOfRange

LONDON = ZoneInfo("Europe/London")
ZONES = [UTC, LONDON, ZoneInfo("Asia/Kathmandu"), timezone(timedelta(hours=-5))]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * NS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024", "2024-01-01T00:00:00Z"),
        ("202403", "2024-03-01T00:00:00Z"),
        ("20240305", "2024-03-05T00:00:00Z"),
        ("2024030509", "2024-03-05T09:00:00Z"),
        ("202403050900", "2024-03-05T09:00:00Z"),
        ("20240305090001", "2024-03-05T09:00:01Z"),
        ("20240305060000-0500", "2024-03-05T11:00:00Z"),
        ("202403051000+0100", "2024-03-05T09:00:00Z"),
        ("20240305+0545", "2024-03-04T18:15:00Z"),
        ("19010101", "1901-01-01T00:00:00Z"),
    ],
)
def test_all_precisions_and_zones(text, expected):
    assert instant(text, UTC) == (at(expected), False)


def test_one_to_four_digits_of_a_second():
    second = at("2024-03-05T09:00:00Z")
    for fraction, ns in (("5", 500_000_000), ("1234", 123_400_000), ("0001", 100_000)):
        assert instant(f"20240305090000.{fraction}", UTC).ns == second + ns
        assert instant(f"20240305100000.{fraction}+0100", UTC).ns == second + ns


@pytest.mark.parametrize(
    "text",
    ["", "24", "20240", "20240230", "202403052461", "20240305246100", "20241301", "2024030509000",
     "20240305090060", "20240305090000.", "20240305090000.12345", "20240305090000+1",
     "20240305090000+0170", "20240305090000+1500", "20240305090000-1300", "2024-03-05",
     "20240305 090000", "٢٠٢٤٠٣٠٥", "00000101", '""'],
)  # fmt: skip
def test_no_time(text):
    with pytest.raises(OutOfRange):
        instant(text, UTC)


def test_an_hour_that_is_skipped_and_one_that_comes_twice():
    assert instant("20240331013000", LONDON) == (at("2024-03-31T01:30:00Z"), True)
    assert instant("20241027013000", LONDON) == (at("2024-10-27T00:30:00Z"), True)
    assert instant("20241027023000", LONDON) == (at("2024-10-27T02:30:00Z"), False)
    assert instant("20241027013000+0000", LONDON) == (at("2024-10-27T01:30:00Z"), False)


@given(st.datetimes(timezones=st.sampled_from(ZONES)).filter(lambda t: 1678 < t.year < 2262))
def test_a_time_is_that_of_python(when):
    """Python, too, reads a skipped hour with the offset before it, and takes the first of two."""
    when = when.replace(microsecond=when.microsecond // 100 * 100, fold=0)
    text = f"{when:%Y}".zfill(4) + f"{when:%m%d%H%M%S}.{when.microsecond // 100:04}"
    passed = (when - EPOCH) // timedelta(microseconds=1)
    assert instant(text, when.tzinfo).ns == passed * 1000


@pytest.mark.parametrize(
    "text", ["99991231", "00010101", "14920101", "2263", "99991231235959+1400"]
)
def test_a_time_that_64_bits_do_not_hold_is_none(text):
    for zone in ZONES:
        with pytest.raises(OutOfRange):
            instant(text, zone)
    for edge in ("16780101", "22620101"):
        assert -(2**63) <= instant(edge, UTC).ns < 2**63


def test_a_date_has_no_zone():
    assert day("19610412") == day("196104120000+0100") == date(1961, 4, 12)
    assert [day(text) for text in ("", "1961", "196104", "20240230", "x")] == [None] * 5


def test_the_zone_that_a_time_names():
    assert zone_of("20240305090000-0500") == timezone(timedelta(hours=-5))
    assert [zone_of(text) for text in ("20240305", "x", "20240305+9900")] == [None] * 3
