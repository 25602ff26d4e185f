"""Times of HL7: what a sender's clock said, as ns since 1970 UTC."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import NamedTuple

from state.clock import NS
from state.errors import OutOfRange

FORM = re.compile(
    r"(?P<year>\d{4})(?:(?P<month>\d\d)(?:(?P<day>\d\d)(?:(?P<hour>\d\d)(?:(?P<minute>\d\d)"
    r"(?:(?P<second>\d\d)(?:\.(?P<fraction>\d{1,4}))?)?)?)?)?)?(?P<zone>[+-]\d{4})?",
    re.ASCII,
)
"""Source: HL7 v2.9, 2A.3.22 (DTM)."""
EPOCH = date(1970, 1, 1).toordinal()
RANGE_NS = range(-(2**63), 2**63)
"""What 64 bits hold: 1677 to 2262. ``99991231`` is no time, but a way to say that there is none."""
SECONDS = len("YYYYMMDDHHMMSS")
HOUR_S = 3600
WESTMOST, EASTMOST = -12 * 60, 14 * 60
"""Minutes from UTC that are in use on Earth."""


class Instant(NamedTuple):
    """When, and whether a clock that was put forward or back leaves a doubt about it."""

    ns: int
    ambiguous: bool = False


def instant(text: str, zone: tzinfo) -> Instant:
    """Return the time that a text tells, or its beginning where it names a day or a month.

    ``zone`` counts where the text has none. An hour that the clock skipped is read with the offset
    before it, one that came twice as the first; both are ambiguous. Raises OutOfRange where the
    text is no time, one that does not exist, or outside of 1677 to 2262; nothing rolls over.
    """
    if len(text) == SECONDS and text.isascii() and text.isdigit():
        hour_ns = _hour_ns(text[:10], zone)
        minute, second = int(text[10:12]), int(text[12:])
        if hour_ns is not None and minute < 60 and second < 60:
            return Instant(hour_ns + (minute * 60 + second) * NS)
    return _instant(text, zone)


@lru_cache(maxsize=1 << 10)
def _hour_ns(text: str, zone: tzinfo) -> int | None:
    """Return the beginning of an hour in which the clock was not changed; None of another one.

    Most times of a feed lie in a few hours, and to read one anew takes five times as long. That no
    hour has two changes that cancel each other is true of all zones (tests).
    """
    try:
        begin, end = _instant(text, zone), _instant(f"{text}5959", zone)
    except OutOfRange:
        return None
    whole = end.ns - begin.ns == (HOUR_S - 1) * NS and not begin.ambiguous and not end.ambiguous
    return begin.ns if whole else None


def _instant(text: str, zone: tzinfo) -> Instant:
    match = FORM.fullmatch(text)
    if match is None:
        raise OutOfRange("a time is no YYYYMMDDHHMMSS")
    own = match["zone"]
    if own:
        zone = _offset(own)
    try:
        when = datetime(
            int(match["year"]),
            int(match["month"] or 1),
            int(match["day"] or 1),
            int(match["hour"] or 0),
            int(match["minute"] or 0),
            int(match["second"] or 0),
            tzinfo=zone,
        )
    except ValueError:
        raise OutOfRange("a time does not exist") from None
    fraction = int((match["fraction"] or "").ljust(9, "0"))
    days = when.toordinal() - EPOCH
    seconds = days * 86400 + when.hour * 3600 + when.minute * 60 + when.second
    first, second = (0, 0) if zone is UTC else _offsets_s(when)
    ns = (seconds - first) * NS + fraction
    if ns not in RANGE_NS:
        raise OutOfRange("a time is not from 1677 to 2262")
    return Instant(ns, ambiguous=first != second)


def day(text: str) -> date | None:
    """Return the date that a text begins with, which has no zone; None where it is no date."""
    match = FORM.fullmatch(text)
    if match is None or match["day"] is None:
        return None
    try:
        return date(int(match["year"]), int(match["month"]), int(match["day"]))
    except ValueError:
        return None


def zone_of(text: str) -> tzinfo | None:
    """Return the zone that a time names itself, as MSH-7 may for its whole message; else None."""
    if "+" not in text and "-" not in text:
        return None
    match = FORM.fullmatch(text)
    try:
        return _offset(match["zone"]) if match is not None and match["zone"] else None
    except OutOfRange:
        return None


def _offset(text: str) -> timezone:
    minutes = int(text[1:3]) * 60 + int(text[3:])
    minutes = -minutes if text[0] == "-" else minutes
    if int(text[3:]) > 59 or not WESTMOST <= minutes <= EASTMOST:
        raise OutOfRange("a time has a zone that does not exist")
    return timezone(timedelta(minutes=minutes))


def _offsets_s(when: datetime) -> tuple[int, int]:
    """Return the offsets of a time that may have come twice, or not at all."""
    first, second = (when.replace(fold=fold).utcoffset() for fold in (0, 1))
    assert first is not None, "each zone that we use knows its offset"
    assert second is not None
    return int(first.total_seconds()), int(second.total_seconds())
