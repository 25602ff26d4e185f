"""What was taken in lately, by the hash of its bytes: the same bytes again are no second record."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from hashlib import sha256

DIGEST_BYTES = 16
"""Of SHA-256: a million contents are told apart for certain, at half of the memory."""


def digest_of(content: bytes) -> bytes:
    """Return what stands for the content."""
    return sha256(content).digest()[:DIGEST_BYTES]


class Repeats:
    """Remembers digests for ``window_ns``, and no more than the ``most`` newest of them.

    About 130 bytes each.
    """

    def __init__(self, window_ns: int, most: int) -> None:
        self._window_ns = window_ns
        self._most = most
        self._times: dict[bytes, int] = {}
        self._order: deque[bytes] = deque()
        """Beside the dict, whose first key is found slowly where many were deleted before it."""
        self._latest_ns = 0

    def __len__(self) -> int:
        return len(self._times)

    def has(self, digest: bytes, now_ns: int) -> bool:
        """Return whether it was added within the window before ``now_ns``."""
        self._forget(now_ns)
        return digest in self._times

    def add(self, digest: bytes, now_ns: int) -> None:
        """Remember it; what is remembered already keeps its time."""
        self._forget(now_ns)
        if digest in self._times:
            return
        if len(self._order) >= self._most:
            del self._times[self._order.popleft()]
        # A clock that goes back must not put a younger one before an older one.
        self._latest_ns = max(now_ns, self._latest_ns)
        self._times[digest] = self._latest_ns
        self._order.append(digest)

    def restore(self, found: Iterable[tuple[int, bytes]]) -> None:
        """Add (time in ns, digest) of contents taken in before, in any order."""
        times = [(time_ns, digest) for time_ns, digest in found]
        for time_ns, digest in sorted(times):
            self.add(digest, time_ns)

    def _forget(self, now_ns: int) -> None:
        while self._order and self._times[self._order[0]] <= now_ns - self._window_ns:
            del self._times[self._order.popleft()]
