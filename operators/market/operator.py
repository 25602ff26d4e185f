"""What an operator of the market's hot path is.

A shard runs its operators one after another over each block (flows/shard.py). An
operator sees the block's rows in order and may depend on nothing else: not on where
the block was cut, nor on the time of day.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from operators.arrays import grown
from operators.market.work import Work
from operators.outputs import Outbox
from state.snapshots import pack_array, unpack_array


class Operator(Protocol):
    """One step of a shard's work; all of its state is in its snapshot."""

    @property
    def name(self) -> str:
        """Return what names its part of the snapshot; never changed once released."""

    def process(self, work: Work, outbox: Outbox) -> None:
        """Work on one block: change the state, add to ``work``, emit records."""

    def release(self, slots: NDArray[np.int32]) -> None:
        """Forget the symbols in these slots, which are about to be given to others."""

    def describe(self, slot: int) -> dict[str, Any]:
        """Return what the state says of one symbol, as plain values for people to read."""

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state as plain values (state/snapshots.py)."""

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""


class Stateless:
    """What an operator that keeps nothing has to say of its state."""

    def release(self, slots: NDArray[np.int32]) -> None:
        """Nothing is kept."""

    def describe(self, slot: int) -> dict[str, Any]:
        """Nothing is kept."""
        return {}

    def snapshot(self) -> dict[str, Any]:
        """Nothing is kept."""
        return {}

    def restore(self, parts: dict[str, Any]) -> None:
        """Nothing is kept."""


class PerSymbol:
    """State of one number per symbol in each of some named columns, 0 where nothing is known."""

    def __init__(self, **columns: type[np.generic]) -> None:
        self.columns: dict[str, NDArray[Any]] = {
            name: np.empty(0, dtype) for name, dtype in columns.items()
        }

    def room_for(self, slots: int) -> tuple[NDArray[Any], ...]:
        """Return the columns, in the order of their declaration, grown to ``slots`` symbols."""
        for name, column in self.columns.items():
            self.columns[name] = grown(column, slots)
        return tuple(self.columns.values())

    def release(self, slots: NDArray[np.int32]) -> None:
        """Set the symbols in these slots back to 0."""
        for column in self.columns.values():
            column[slots[slots < len(column)]] = 0

    def describe(self, slot: int) -> dict[str, Any]:
        """Return the symbol's number in each column."""
        return {
            name: column[slot].item() for name, column in self.columns.items() if slot < len(column)
        }

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the columns."""
        return {name: pack_array(column) for name, column in self.columns.items()}

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's columns."""
        for name in self.columns:
            self.columns[name] = unpack_array(parts[name])
