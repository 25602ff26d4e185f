"""When sessions of daily prices end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from state.clock import NS
from state.errors import Misuse

DEFAULT_CLOSE = "16:00 America/New_York"


@dataclass(frozen=True, slots=True)
class Close:
    """When sessions end: a time of day on the clock of a place."""

    at: time
    zone: ZoneInfo

    @classmethod
    def of(cls, text: str) -> Close:
        """Return what ``HH:MM AREA/CITY`` means; raises Misuse."""
        clock, _, zone = text.partition(" ")
        try:
            return cls(time.fromisoformat(clock), ZoneInfo(zone.strip()))
        except (ValueError, KeyError, OSError) as error:
            raise Misuse(f"{text!r} is no close: write it as {DEFAULT_CLOSE!r}") from error

    def ns(self, day: date) -> int:
        """Return the close of ``day``, ns since 1970 UTC."""
        local = datetime.combine(day, self.at, self.zone)
        return int(local.astimezone(UTC).timestamp()) * NS
