"""State by index: of symbols or of open windows, any number of columns of any width."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from operators.arrays import grown
from operators.market.work import Work
from state.snapshots import pack_array, unpack_array

WIDEST_SHOWN = 8
"""The most numbers of one column that people are shown."""


class Table:
    """Named columns with a row for each index, 0 where nothing is known."""

    def __init__(self, **columns: DTypeLike | tuple[DTypeLike, int]) -> None:
        """Make empty columns: of a type, or of (type, how many in a row)."""
        self._columns: dict[str, NDArray[Any]] = {
            name: np.empty((0, kind[1]), kind[0]) if isinstance(kind, tuple) else np.empty(0, kind)
            for name, kind in columns.items()
        }
        self._rows = 0

    def room_for(self, rows: int) -> tuple[NDArray[Any], ...]:
        """Return the columns, in the order of their declaration, grown to ``rows``."""
        self._rows = max(self._rows, rows)
        for name, column in self._columns.items():
            self._columns[name] = grown(column, rows)
        return tuple(self._columns.values())

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._columns[name]

    def clear(self, rows: NDArray[Any]) -> None:
        """Set these rows back to 0."""
        for column in self._columns.values():
            column[rows[rows < len(column)]] = 0

    def describe(self, row: int) -> dict[str, Any]:
        """Return one row as plain values, without the long columns."""
        return {
            name: column[row].tolist()
            for name, column in self._columns.items()
            if row < len(column) and column[row].size <= WIDEST_SHOWN
        }

    def snapshot(self, rows: int | None = None) -> dict[str, Any]:
        """Return a copy of the first ``rows``, of all that were ever asked for if None."""
        used = self._rows if rows is None else rows
        return {name: pack_array(column[:used]) for name, column in self._columns.items()}

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's columns."""
        for name in self._columns:
            self._columns[name] = unpack_array(parts[name])
            self._rows = len(self._columns[name])


class BySymbol:
    """Parameters that some symbols have of their own: numbers by symbol, and by slot for kernels.

    They come from the settings, so they are in no snapshot.
    """

    def __init__(
        self, default: tuple[float, ...], own: Mapping[str, tuple[float, ...]] | None = None
    ) -> None:
        self._default = default
        self._own = dict(own or {})
        self._values: NDArray[np.float64] = np.empty((0, len(default)))
        self._known: NDArray[np.bool_] = np.empty(0, np.bool_)

    def of(self, symbol: str) -> tuple[float, ...]:
        """Return one symbol's parameters."""
        return self._own.get(symbol, self._default)

    def by_slot(self, work: Work) -> NDArray[np.float64]:
        """Return float64[slots, parameters], right for every slot that the block's rows name."""
        self._values = grown(self._values, len(work.names))
        self._known = grown(self._known, len(work.names))
        if not self._known[: len(work.names)].all():
            # Of the rows' slots alone, for slots that nobody has at present may be many.
            for slot in np.unique(work.slot[~self._known[work.slot]]).tolist():
                if slot >= 0:  # -1 is a heartbeat's
                    self._values[slot] = self.of(work.names[slot])
                    self._known[slot] = True
        return self._values

    def release(self, slots: NDArray[np.int32]) -> None:
        """Look these slots up anew when they come again."""
        self._known[slots[slots < len(self._known)]] = False
