"""What messages were about last stays open; all else is bytes.

Most messages are about a patient who had one a short time ago. To read a family anew takes longer
than all else that a message does.
"""

from __future__ import annotations

from typing import Protocol


class Packable(Protocol):
    """A part of the state that is bytes while it rests."""

    is_recent: bool

    def rest(self) -> None:
        """Keep the bytes alone, where it has not been changed and is not a recent one."""


class Recent:
    """So many parts of the state that were asked for last."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._used: dict[Packable, None] = {}

    def use(self, part: Packable) -> None:
        """Keep one open, and close the one that was asked for longest ago."""
        self._used.pop(part, None)
        self._used[part] = None
        part.is_recent = True
        if len(self._used) > self._most:
            oldest = next(iter(self._used))
            del self._used[oldest]
            oldest.is_recent = False
            oldest.rest()
