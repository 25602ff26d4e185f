"""What every sink does while its server is down: wait, longer each time, and say so."""

from __future__ import annotations

from state.lifecycle import Lifecycle
from state.metrics import SINK_WAITING

FIRST_SECONDS = 0.05
LONGEST_SECONDS = 2.0


class Outage:
    """The back-off of one writer: 0 s, then from 50 ms doubling up to 2 s."""

    def __init__(self, sink: str, lifecycle: Lifecycle) -> None:
        self.sink = sink
        self.lifecycle = lifecycle
        self._seconds = 0.0
        SINK_WAITING.labels(sink).set(0)

    def wait(self, reason: str) -> None:
        """Sleep before the next try.

        The first try is made at once: a connection that the server closed because it was
        idle is no outage. Raises Stopped where the process is told to stop.
        """
        if self._seconds:
            SINK_WAITING.labels(self.sink).set(1)
        self.lifecycle.wait(self.sink, reason, self._seconds)
        self._seconds = min(max(FIRST_SECONDS, 2 * self._seconds), LONGEST_SECONDS)

    def over(self) -> None:
        """Note that the server answers."""
        if self._seconds:
            self._seconds = 0.0
            SINK_WAITING.labels(self.sink).set(0)
            self.lifecycle.recovered(self.sink)
