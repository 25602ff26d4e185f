"""The one place that reads the wall clock; everything else is given the time."""

from __future__ import annotations

import time

NS = 1_000_000_000
"""Nanoseconds in a second."""


def now_ns() -> int:
    """Return the wall clock as ns since 1970 UTC."""
    return time.time_ns()
