"""Settings of patient care."""

from __future__ import annotations

from pydantic import Field

from flows.settings.part import Timed


class Adt(Timed):
    """Patient care. All of it is part of the settings' hash."""

    topic: str = "adt.raw"
    """HL7 v2 messages; what belongs together is in one partition."""
    pages: int = Field(default=4096, ge=1)
    """Pages of visits in each shard: an epoch writes those that were touched."""
