"""Settings of patient care."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field

from flows.settings.part import Timed


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone of the IANA database") from None
    return name


class Adt(Timed):
    """Patient care. All of it is part of the settings' hash."""

    topic: str = "adt.raw"
    """HL7 v2 messages; what belongs together is in one partition."""
    pages: int = Field(default=65_536, ge=1)
    """Pages of patients in each shard: an epoch writes those that were touched."""
    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"
    """The zone of times that name none, in a message that names none, such as Europe/Berlin."""
