"""How much each client may have: token buckets and bounds."""

from __future__ import annotations

from dataclasses import dataclass

MAX_SUBSCRIPTIONS = 500
"""Channels of one client at the same time."""
MAX_CHARACTERS = 1 << 16
"""Characters of all of them, as asked for and as spelled by us: a few MB of memory at most."""
MAX_WIDE = 50
"""Those of them that do not name the first field: each looks at every record of its output."""
MAX_BUCKETS = 10_000
"""Addresses remembered; older ones have a full bucket again by then, or share the oldest's fate."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of the settings' [feed] part; times in seconds."""

    queue_bytes: int = 1 << 20
    message_bytes: int = 1 << 16
    clients: int = 2_000
    clients_per_address: int = 1_000
    clients_per_subject: int = 200
    connections_per_second: int = 50
    requests_per_second: int = 50
    header_timeout_s: float = 10.0
    heartbeat_s: float = 5.0
    break_glass_s: float = 900.0


class Bucket:
    """A token bucket: ``rate`` tokens a second, ``burst`` at once."""

    __slots__ = ("_burst", "_left", "_rate", "_then_s")

    def __init__(self, rate: float, burst: float, now_s: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._then_s = now_s

    def take(self, now_s: float) -> bool:
        """Return whether there was a token left, and take it."""
        self._left = min(self._burst, self._left + (now_s - self._then_s) * self._rate)
        self._then_s = now_s
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class Buckets:
    """A bucket for each of many names; those not used for longest are forgotten."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._buckets: dict[str, Bucket] = {}

    def take(self, name: str, now_s: float) -> bool:
        """Return whether ``name`` had a token left, and take it."""
        bucket = self._buckets.pop(name, None) or Bucket(self._rate, self._burst, now_s)
        self._buckets[name] = bucket
        if len(self._buckets) > MAX_BUCKETS:
            del self._buckets[next(iter(self._buckets))]
        return bucket.take(now_s)
