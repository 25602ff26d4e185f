"""Small steps that many flows share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from state.records import DeadLetter


class WithDead(Protocol):
    """A decoded block, with the dead letters that were met on the way."""

    @property
    def dead(self) -> Sequence[DeadLetter]:
        """Return the letters."""


def dead_letters(item: tuple[str, WithDead]) -> list[tuple[str, DeadLetter]]:
    """Return the dead letters of a block under its shard's name."""
    name, block = item
    return [(name, letter) for letter in block.dead]
