"""What messages were about last stays open; all else is bytes.

Most messages are about a patient who had one a short time ago. To read a family anew takes longer
than all else that a message does.
"""

from __future__ import annotations

from typing import Protocol


class Packable(Protocol):
    """A part of the state that is bytes while it rests."""

    is_recent: bool

    @property
    def size(self) -> int:
        """The number of statements that are open."""

    def rest(self) -> None:
        """Keep the bytes alone, where it has not been changed and is not a recent one."""


class Recent:
    """The parts of the state that were asked for last, so many statements of them together."""

    def __init__(self, most: int) -> None:
        self._most, self._size = most, 0
        self._used: dict[Packable, int] = {}

    def use(self, part: Packable) -> None:
        """Keep one open, and close those that were asked for longest ago."""
        size = part.size
        self._size += size - self._used.pop(part, 0)
        self._used[part] = size
        part.is_recent = True
        while self._size > self._most:
            oldest = next(iter(self._used))
            self._size -= self._used.pop(oldest)
            oldest.is_recent = False
            oldest.rest()
