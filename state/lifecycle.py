"""What the parts of one process tell each other about living, waiting and stopping."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from state.errors import Stopped

PATIENCE_S = 5.0
"""A call that takes longer is waited for."""
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
        self.group = False
        """Whether other workers belong to the flow."""
        self._calls: dict[str, float] = {}
        self._snapshot_at: float | None = None
        self.drain_s = DRAIN_S
        """How long a process that was told to stop gives a server that is slow to answer."""

    def polled(self) -> None:
        """Note that a source was polled; called once in every ``next_batch``."""
        self.last_poll = time.monotonic()
        self._snapshot_at = None
        if not self.opened.is_set():  # set() takes a lock, and polls are many
            self.opened.set()

    def wait(self, sink: str, reason: str, seconds: float) -> None:
        """Sleep because ``sink`` is down, or raise Stopped when told to stop.

        The worker thread sleeps, so nothing is polled and memory stays bounded.
        """
        self.waiting[sink] = reason
        if self.stopping.wait(seconds):
            raise Stopped(sink)

    @contextmanager
    def calling(self, server: str) -> Iterator[None]:
        """Note that a server is asked something, for it may never answer."""
        self._calls[server] = time.monotonic()
        try:
            yield
        finally:
            self._calls.pop(server, None)

    def snapshotted(self) -> None:
        """Note that a source has given its snapshot: it is polled again once that is durable."""
        self._snapshot_at = time.monotonic()

    def awaited(self, now: float) -> dict[str, str]:
        """Return what the process waits for at ``now`` (time.monotonic), and why.

        That are servers that are down, those that do not answer a call, and a snapshot that does
        not become durable.
        """
        found = dict(self.waiting)
        for server, since in list(self._calls.items()):
            if now - since > PATIENCE_S:
                found.setdefault(server, f"no answer for {now - since:.0f} s")
        since_snapshot = now - (self._snapshot_at or now)
        if not found and since_snapshot > PATIENCE_S:
            who = "the disk or another worker" if self.group else "the disk"
            reason = f"{who} has not answered for {since_snapshot:.0f} s"
            found["snapshot"] = reason
        return found

    def recovered(self, sink: str) -> None:
        """Note that ``sink`` answers again."""
        self.waiting.pop(sink, None)
