import pytest

from replay.times import parse_time_ns
from state.errors import Misuse


def test_a_time_without_a_zone_is_utc():
    assert parse_time_ns("2013-10-07T13:30:00") == parse_time_ns("2013-10-07T09:30:00-04:00")


def test_microseconds_are_kept():
    assert parse_time_ns("2013-10-07T13:30:00.123456") % 1_000_000_000 == 123_456_000


def test_anything_else_is_misuse():
    with pytest.raises(Misuse, match="yesterday"):
        parse_time_ns("yesterday")
