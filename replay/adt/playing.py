"""A simulated hospital as of now: its past at once, and from then on faster than life.

What lies before now is told under its own times, moved by a constant. What comes later is squeezed:
at a speed of 300, five hours of the hospital are a minute. So stays are as long as they are, and
still there is always something going on.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from replay.adt.hospital import Hospital
from replay.adt.people import BEGIN, DAY_S
from replay.adt.sending import sent

WEEK_S = 7 * DAY_S
PAST_S = 3 * WEEK_S
"""How old the hospital is at least: its wards are as full as they will be, and each bed known."""
MOST = 1 << 62
TIME = re.compile(rb"(?<=\|)\d{14}(?=[|+\r])")
"""A time to the second, as `replay.adt.segments.stamp` writes it."""


class Clock(NamedTuple):
    """The hospital's seconds as those of everybody (Unix time)."""

    begin_s: float
    """When it was played from."""
    past_s: float
    """How old the hospital was then."""
    speed: float

    @classmethod
    def starting(cls, begin_s: float, speed: float) -> Clock:
        """Return the clock of a hospital whose weekday and hour are right when it begins."""
        monday_s = BEGIN.timestamp() % WEEK_S
        return cls(begin_s, PAST_S + (begin_s - monday_s) % WEEK_S, speed)

    def unix_s(self, time_s: float) -> float:
        """Return the Unix time of a time of the hospital."""
        since_s = time_s - self.past_s
        return self.begin_s + (since_s if since_s <= 0 else since_s / self.speed)

    def told(self, value: bytes) -> bytes:
        """Return a message with its times, but for dates of birth, as everybody counts them."""
        return TIME.sub(self._retold, value)

    def _retold(self, found: re.Match[bytes]) -> bytes:
        moment = datetime.strptime(found[0].decode(), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        unix_s = self.unix_s((moment - BEGIN).total_seconds())
        # HL7 writes four digits behind the point: squeezed, many things are of one second.
        return f"{datetime.fromtimestamp(unix_s, UTC):%Y%m%d%H%M%S.%f}"[:-2].encode()


def messages(
    clock: Clock,
    seed: int,
    now_s: Callable[[], float] = time.time,
    wait: Callable[[float], None] = time.sleep,
) -> Iterator[bytes]:
    """Yield the messages of a hospital, each when it comes: those of the past at once."""
    for message in sent(Hospital(seed), seed, MOST):
        pause_s = clock.unix_s(message.arrival_s) - now_s()
        if pause_s > 0:
            wait(pause_s)
        yield clock.told(message.value)
