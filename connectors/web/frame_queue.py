"""What waits for one client: frames in order, and no more bytes than it may have; no socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from state.metrics import FEED_SENT


class Outlet(Protocol):
    """The way to the client."""

    def write(self, data: bytes) -> None:
        """Send bytes, or keep them until they can be sent."""

    def waiting(self) -> int:
        """Return how many bytes are kept."""

    def keep(self) -> None:
        """Give way to no other client any more: this one is at work."""

    def close(self, code: int, reason: str) -> None:
        """Say goodbye and hang up."""


class FrameQueue:
    """Frames on their way through an outlet.

    ``blocked_s`` is when the outlet became full, by the monotonic clock, or None.
    """

    def __init__(self, outlet: Outlet, queue_bytes: int, wake: Callable[[], None]) -> None:
        """``wake`` is called with each frame that waits for `flush`."""
        self.blocked_s: float | None = None
        self._outlet = outlet
        self._queue_bytes = queue_bytes
        self._wake = wake
        self._frames: list[bytes] = []
        self._size = 0
        self._allowance = 0
        self._sent = 0
        self._taken = 0

    def write(self, frame: bytes) -> None:
        """Put a frame behind what waits."""
        self._frames.append(frame)
        self._size += len(frame)
        self._wake()

    def write_asked(self, frame: bytes) -> None:
        """Put a frame that the client asked for: it may be larger than its queue.

        While it waits nothing more is read from the client, so it cannot ask again.
        """
        # What has been taken since gives no room any more.
        self._allowance = min(self._allowance, self.waiting()) + len(frame)
        self.write(frame)

    def full(self) -> bool:
        """Return whether more waits than may."""
        # Not counting what is to come: one frame of many records is no sign of a slow client.
        return self.waiting() > self._queue_bytes + self._allowance

    def waiting(self) -> int:
        """Return the bytes that wait, here and in the outlet."""
        return self._outlet.waiting() + self._size

    def flush(self) -> None:
        """Send what waits."""
        if self._frames:
            FEED_SENT.inc(len(self._frames))
            self._sent += self._size
            self._outlet.write(b"".join(self._frames))
            self.clear()

    def clear(self) -> None:
        """Forget what waits."""
        self._frames.clear()
        self._size = 0

    def block(self, now_s: float) -> None:
        """The outlet is full."""
        self.blocked_s = now_s

    def stalled_s(self, now_s: float) -> float:
        """Return for how long nothing was taken, as far as the calls of this can tell."""
        if self.blocked_s is None:
            return 0.0
        taken = self._sent - self._outlet.waiting()
        if taken > self._taken:
            self._taken, self.blocked_s = taken, now_s
        return now_s - self.blocked_s

    def unblock(self) -> None:
        """The outlet has room again."""
        self.blocked_s = None
        self._allowance = 0
