"""Settings of patient care."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field

from flows.settings.part import Duration, Interval, Timed
from state.clock import NS

HOUR_NS = 3600 * NS


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone of the IANA database") from None
    return name


class Adt(Timed):
    """Patient care. All of it is part of the settings' hash."""

    max_ahead: Duration = 24 * HOUR_NS
    """How far ahead of its Kafka timestamp a recorded time may be: clocks of senders differ, and
    so do their zones."""
    topic: str = "adt.raw"
    """HL7 v2 messages; what belongs together is in one partition."""
    pages: int = Field(default=65_536, ge=1)
    """Pages of patients in each shard: an epoch writes those that were touched."""
    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"
    """The zone of times that name none, in a message that names none, such as Europe/Berlin."""
    census_window: Interval = HOUR_NS
    """How long a window of the census is."""
    correct_census: Duration = 7 * 24 * HOUR_NS
    """How old a window of the census may be that a late message still corrects."""
    horizon: Interval = 400 * 24 * HOUR_NS
    """How far behind the clock of its domain a message may have been recorded; visits that are over
    are forgotten after it."""
