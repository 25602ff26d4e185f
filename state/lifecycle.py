"""What the parts of one process tell each other about living, waiting and stopping."""

from __future__ import annotations

import threading
import time

from state.errors import Stopped

DRAIN_S = 5.0
"""Of a process without a supervisor, which would set an end to its drain."""


class Lifecycle:
    """One per process: the runner sets ``stopping``, sources and sinks watch it."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.opened = threading.Event()
        """Set by the first poll of a source: kernels are warm, state is restored."""
        self.last_poll = time.monotonic()
        self.waiting: dict[str, str] = {}
        """What the process waits for: sink name -> the reason, for /ready and the log."""
        self.drain_s = DRAIN_S
        """How long a process that was told to stop gives a server that is slow to answer."""

    def polled(self) -> None:
        """Note that a source was polled; called once in every ``next_batch``."""
        self.last_poll = time.monotonic()
        if not self.opened.is_set():  # set() takes a lock, and polls are many
            self.opened.set()

    def wait(self, sink: str, reason: str, seconds: float) -> None:
        """Sleep because ``sink`` is down, or raise Stopped when told to stop.

        The worker thread sleeps, so nothing is polled and memory stays bounded.
        """
        self.waiting[sink] = reason
        if self.stopping.wait(seconds):
            raise Stopped(sink)

    def recovered(self, sink: str) -> None:
        """Note that ``sink`` answers again."""
        self.waiting.pop(sink, None)
