"""Small steps that many flows share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from state.records import DeadLetter
from state.shards import shard_name

ItemT = TypeVar("ItemT")


class WithDead(Protocol):
    """A decoded block, with the dead letters that were met on the way."""

    @property
    def dead(self) -> Sequence[DeadLetter]:
        """Return the letters."""


def dead_letters(item: tuple[str, WithDead]) -> list[tuple[str, DeadLetter]]:
    """Return the dead letters of a block under its shard's name."""
    name, block = item
    return [(name, letter) for letter in block.dead]


def under_one_key(item: tuple[str, ItemT]) -> tuple[str, ItemT]:
    """Return an item of any shard under the name of the first.

    Then one worker holds all that a step makes of them, and so do the sinks of what comes of it.
    """
    return shard_name(0), item[1]
