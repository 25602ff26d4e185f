"""Recordings into Kafka at a pace of our own, in a thread beside what is being tested."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from benchmarks.rig import PATIENCE_S
from connectors.kafka.client import Cluster
from replay.interleave import Speed
from replay.publishing import publish
from replay.recording import Recording
from state.errors import Broken

_FACTOR = 10
"""Seconds of the recording per second of `publish`'s clock: it looks again that much sooner."""


class _Closed(Exception):
    """The gate is closed: nothing more is published."""


class Gate:
    """A clock for `publish`: runs through the messages at ``rate`` a second, up to a limit."""

    def __init__(self, times_ns: list[int], rate: float) -> None:
        """``times_ns`` are the recording's timestamps, sorted."""
        self._times_ns = times_ns
        self._rate = rate
        self._limit = 0
        self._passed = 0.0
        self._looked = time.monotonic()
        self._lock = threading.Lock()
        self._closed = False

    def close(self) -> None:
        """Let nothing pass any more: who asks for the time from now on is told so."""
        self._closed = True

    def allow(self, messages: int) -> None:
        """Let pass up to ``messages`` of all messages; what has passed has passed."""
        with self._lock:
            self._advance()
            self._limit = min(messages, len(self._times_ns))

    def allow_more(self, messages: int) -> None:
        """Let pass so many more than now."""
        with self._lock:
            self._advance()
            self._limit = min(int(self._passed) + messages, len(self._times_ns))

    def passed(self) -> tuple[int, bool]:
        """Return how many messages may pass by now, and whether that is the limit."""
        with self._lock:
            self._advance()
            return int(self._passed), self._passed >= self._limit

    def now_ns(self) -> int:
        """Return the time, `_FACTOR` times slower than that of the message that may pass."""
        if self._closed:
            raise _Closed
        with self._lock:
            self._advance()
            last = len(self._times_ns) - 1
            passed_ns = self._times_ns[min(int(self._passed), last)] - self._times_ns[0]
            return -(-passed_ns // _FACTOR)  # rounded up: the message itself may pass

    def _advance(self) -> None:
        now = time.monotonic()
        due = self._passed + (now - self._looked) * self._rate
        self._passed = max(self._passed, min(due, self._limit))
        self._looked = now


class Feed:
    """Publishes recordings, as one, through a gate."""

    def __init__(self, recordings: Sequence[Path], cluster: Cluster, rate: float) -> None:
        self._recording = Recording(recordings)
        self._cluster = cluster
        times_ns = sorted(message.timestamp_ns for message in self._recording.messages())
        self.count = len(times_ns)
        self.gate = Gate(times_ns, rate)
        self._sent = 0
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._publish, name="feed", daemon=True)
        self._first_ns = times_ns[0]

    def start(self) -> Self:
        """Start; nothing passes before the gate allows it."""
        self._thread.start()
        return self

    def settled(self) -> bool:
        """Say whether all that the gate lets pass is on its way."""
        passed, all_of_it = self.gate.passed()
        return all_of_it and self._sent >= passed

    def check(self) -> None:
        """Raise what stopped it."""
        if self._failure is not None:
            raise self._failure

    def finish(self) -> None:
        """Let everything pass; return when the broker has acknowledged it all."""
        self.gate.allow(self.count)
        self._thread.join(PATIENCE_S)
        self.check()
        if self._thread.is_alive():
            raise Broken(f"the feed is stuck at {self._sent} of {self.count} messages")

    def stop(self) -> None:
        """Publish nothing more."""
        self.gate.close()
        self._thread.join(PATIENCE_S)

    def _publish(self) -> None:
        speed = Speed(_FACTOR, self._first_ns, 0, self.gate.now_ns)
        try:
            with suppress(_Closed):
                publish(self._recording, self._cluster, speed, self._note)
        except BaseException as error:  # noqa: BLE001  # a thread dies unheard: `check` raises it
            self._failure = error

    def _note(self, sent: int) -> None:
        self._sent += sent
