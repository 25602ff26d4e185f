"""What a signal is, and what it works on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from operators.market.signals.table import Table
from operators.market.work import Work

Figure = tuple[int, float, dict[str, float | int | None]]
"""(row of the block or number of the closing, value, details)."""


@dataclass(slots=True)
class Tape:
    """A block as the signals see it.

    ``quotes``, ``trades`` bool[n]: kept quotes, trades that count. ``best`` float64[n, 4]: see
    `Work.nbbo`; ``mid`` float64[n]: the mid price in force at a quote or trade, 0 where a side is
    absent; ``sign`` int8[n]: see `operators.market.kernels.signing`. ``place`` int32[n]: the place
    of the tick's window, -1 where that has closed; ``start_ns`` int64[places]: when a place's
    window starts; ``places`` is one more than the largest place.
    """

    work: Work
    quotes: NDArray[np.bool_]
    trades: NDArray[np.bool_]
    best: NDArray[np.float64]
    mid: NDArray[np.float64]
    sign: NDArray[np.int8]
    place: NDArray[np.int32]
    start_ns: NDArray[np.int64]
    places: int


@dataclass(slots=True)
class Closings:
    """Windows that closed within a block, by (row that closed them, start).

    ``at_row``, ``place``, ``start_ns``, ``end_ns`` int64, ``slot`` int32; ``symbols`` are names.
    """

    at_row: NDArray[np.int64]
    place: NDArray[np.int64]
    slot: NDArray[np.int32]
    start_ns: NDArray[np.int64]
    end_ns: NDArray[np.int64]
    symbols: list[str]

    def __len__(self) -> int:
        return len(self.at_row)


class Signal(ABC):
    """One kind of signal: state of each symbol and of each open window, and how they move.

    `step` sees each block first and then, if windows closed in it, `close` sees those: no tick
    of a window comes behind its closing, so a window's columns are complete by then.
    """

    kind: ClassVar[str]

    def __init__(self, symbols: Table, windows: Table) -> None:
        self._symbols = symbols
        self._windows = windows

    @abstractmethod
    def step(self, tape: Tape) -> Iterable[Figure]:
        """Apply the block's ticks; return what happened at single rows, in their order."""

    def close(self, closings: Closings) -> Iterable[Figure]:
        """Return the figures of the windows that have one."""
        return ()

    def free(self, places: NDArray[np.int64]) -> None:
        """Clear the columns of windows that have closed."""
        self._windows.clear(places)

    def release(self, slots: NDArray[np.int32]) -> None:
        """Forget the symbols in these slots."""
        self._symbols.clear(slots)

    def describe(self, slot: int) -> dict[str, Any]:
        """Return a symbol's state, without long columns."""
        return self._symbols.describe(slot)

    def snapshot(self, places: int) -> dict[str, Any]:
        """Return a copy of the state; ``places`` is one more than the largest place in use."""
        return {"symbols": self._symbols.snapshot(), "windows": self._windows.snapshot(places)}

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        self._symbols.restore(parts["symbols"])
        self._windows.restore(parts["windows"])
