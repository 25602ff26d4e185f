"""The one place that reads the wall clock, and the one that reads times as people write them.

Everything else is given the time as ns since 1970 UTC.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache

NS = 1_000_000_000
"""Nanoseconds in a second."""
MS = 1_000_000
"""Nanoseconds in a millisecond, the unit of Kafka's timestamps."""
HOUR_NS = 3600 * NS
DAY_NS = 24 * HOUR_NS
"""Nanoseconds in a day of UTC."""
MAX_TIME_NS = 2**62
"""Event times end here (the year 2116), so that no sum with a duration overflows."""
MAX_HEARTBEAT_NS = MAX_TIME_NS + 30 * DAY_NS
"""Heartbeats end later: one behind the last event time still closes that event's windows."""


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now_ns() -> int:
    """Return the wall clock as ns since 1970 UTC."""
    return time.time_ns()


def iso_time_ns(text: str, *, zoned: bool = False) -> int:
    """Return ns since 1970 UTC of an ISO 8601 time; UTC where it names no zone.

    Raises ValueError where it is no such time, or is to be ``zoned`` and names no zone.

    >>> iso_time_ns("1970-01-01T00:00:01.5")
    1500000000
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        if zoned:
            raise ValueError("an ISO 8601 time needs its zone, such as Z")
        moment = moment.replace(tzinfo=UTC)
    passed = moment - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * NS + passed.microseconds * 1_000


@lru_cache(maxsize=1 << 12)  # what tells a time tells it again
def iso_time(ns: int) -> str:
    """Return a time as YYYY-MM-DDTHH:MM:SS[.ffffff]Z; what is below a microsecond is cut off.

    >>> iso_time(1500000000)
    '1970-01-01T00:00:01.500000Z'
    """
    moment = _EPOCH + timedelta(microseconds=ns // 1_000)
    return moment.isoformat().replace("+00:00", "Z")
