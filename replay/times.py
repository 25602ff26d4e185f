"""Times and their units, as a user writes them on the command line."""

from __future__ import annotations

from datetime import UTC, datetime

from state.clock import NS
from state.errors import Misuse

UNITS_NS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": NS}
"""Units of time -> how many ns they are."""


def parse_time_ns(text: str) -> int:
    """Return ns since 1970 of an ISO 8601 time; UTC where it names no zone. Raises Misuse.

    >>> parse_time_ns("1970-01-01T00:00:01.5")
    1500000000
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise Misuse(f"{text!r} is no time: write it as 2013-10-07T13:30:00+00:00") from error
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    whole = time.replace(microsecond=0)
    return int(whole.timestamp()) * NS + time.microsecond * 1_000
