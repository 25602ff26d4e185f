"""The one place that reads the wall clock; everything else is given the time."""

from __future__ import annotations

import time

NS = 1_000_000_000
"""Nanoseconds in a second."""
MS = 1_000_000
"""Nanoseconds in a millisecond, the unit of Kafka's timestamps."""
DAY_NS = 86_400 * NS
"""Nanoseconds in a day of UTC."""
MAX_TIME_NS = 2**62
"""Event times end here (the year 2116), so that no sum with a duration overflows."""


def now_ns() -> int:
    """Return the wall clock as ns since 1970 UTC."""
    return time.time_ns()
