"""Which run writes a generation: the one that began last. All others are fenced.

A key in Redis names the run (keys.writer). The script that writes to Redis compares it, so there a
former run writes nothing more. Kafka cannot compare it. So a run asks for it before it hands
records to Kafka, unless Redis has confirmed it within the last `TRUST_S`; and a run that takes the
lease from another one waits for so long, after which that one hands over nothing more.
"""

from __future__ import annotations

import time

from redis.connection import ConnectionPool

from connectors.redis.client import Wire, command
from connectors.redis.keys import Keys
from connectors.redis.link import Link
from state.errors import Fenced
from state.lifecycle import Lifecycle

TRUST_S = 0.5
MARGIN_S = 0.1
"""For what the former run's producer holds back to fill a batch."""
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""It goes on while the machine sleeps."""


def moment() -> float:
    """Return the seconds by which a lease is trusted."""
    return time.clock_gettime(_CLOCK)


class Lease:
    """The lease of one process; all processes of a run have the same ``writer``, its name."""

    def __init__(
        self, connections: ConnectionPool, keys: Keys, writer: str, lifecycle: Lifecycle
    ) -> None:
        self.writer = writer
        self._keys = keys
        self._link = Link(connections, keys.prefix, lifecycle)
        self._taken = False
        self._confirmed = self._alone = 0.0

    def take(self) -> None:
        """Become the writer, once; waits for a Redis that is down."""
        if self._taken:
            return
        before = self._ask("SET", self._keys.writer, self.writer, "GET")
        self._taken = True
        self._confirmed = moment()
        # Also where it is this run's own: another process of it may have taken it a moment ago, or
        # this one, whose answer was lost.
        if before is not None:
            self._alone = self._confirmed + TRUST_S + MARGIN_S

    def confirmed(self, at: float) -> None:
        """Note that Redis took a write that was sent at this moment."""
        self._confirmed = max(self._confirmed, at)

    def check(self) -> None:
        """Return where this run alone may hand records to Kafka. Raises Fenced."""
        self.take()
        # Less than a second, which a process that is told to stop waits too: it drains.
        while (left := self._alone - moment()) > 0:
            time.sleep(left)
        at = moment()
        if at > self._confirmed + TRUST_S:
            holder = self._ask("GET", self._keys.writer)
            if holder not in (None, self.writer):
                raise Fenced(self._keys.system, self._keys.generation, holder)
            self._confirmed = at

    def _ask(self, *words: str) -> str | None:
        def ask(wire: Wire) -> bytes | None:
            wire.send_packed_command([command(*words)])
            found: bytes | None = wire.read_response()
            return found

        answer = self._link.patiently(ask)
        return None if answer is None else answer.decode(errors="replace")
