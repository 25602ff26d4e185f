import pytest

from state.clock import iso_time_ns


def test_a_time_without_a_zone_is_utc():
    assert iso_time_ns("2013-10-07T13:30:00") == iso_time_ns("2013-10-07T09:30:00-04:00")
    assert iso_time_ns("2013-10-07T13:30:00Z") == 1_381_152_600 * 10**9


def test_a_time_without_a_zone_is_refused_where_one_is_needed():
    assert iso_time_ns("2013-10-07T13:30:00Z", zoned=True) == iso_time_ns("2013-10-07T13:30:00")
    with pytest.raises(ValueError, match="zone"):
        iso_time_ns("2013-10-07T13:30:00", zoned=True)


def test_microseconds_are_kept():
    assert iso_time_ns("2013-10-07T13:30:00.123456") % 1_000_000_000 == 123_456_000
    assert iso_time_ns("1969-12-31T23:59:59.999999") == -1_000


def test_anything_else_is_refused():
    with pytest.raises(ValueError, match="yesterday"):
        iso_time_ns("yesterday")
