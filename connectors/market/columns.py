"""The columns of a block while it is being filled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connectors.market import layout
from connectors.market.interning import Interner
from connectors.market.ticks import Tick
from state.market.ticks import HEARTBEAT, NO_SEQ

Arrays = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int32], NDArray[np.uint8]]


@dataclass(slots=True)
class Columns:
    """``arrays``: ints int64[3, n], floats float64[4, n], codes int32[4, n], small uint8[3, n].

    What their rows mean is in `connectors.market.layout`; a column is contiguous. ``status``
    uint8[n] says what is known of each row.
    """

    arrays: Arrays
    status: NDArray[np.uint8]

    @classmethod
    def empty(cls, rows: int) -> Columns:
        """Return columns of unset values."""
        return cls(
            (
                np.empty((3, rows), np.int64),
                np.empty((4, rows), np.float64),
                np.empty((4, rows), np.int32),
                np.empty((3, rows), np.uint8),
            ),
            np.empty(rows, np.uint8),
        )

    def put_tick(self, row: int, tick: Tick, strings: Interner) -> None:
        """Fill one row from a tick; its sequence is 0."""
        ints, floats, codes, small = self.arrays
        ints[:, row] = tick.ts_ns, tick.recv_ns, tick.seq
        floats[:, row] = tick.price, tick.size, tick.ask, tick.ask_size
        codes[:, row] = (
            strings.code(layout.SYMBOL, tick.symbol),
            strings.code(layout.VENUE, tick.venue),
            strings.code(layout.CONDITION, tick.condition),
            0,
        )
        small[:, row] = tick.kind, tick.side, 0
        self.status[row] = layout.DONE

    def put_heartbeat(self, row: int, ts_ns: int) -> None:
        """Fill one row with a heartbeat."""
        ints, floats, codes, small = self.arrays
        ints[:, row] = ts_ns, 0, NO_SEQ
        floats[:, row] = 0
        codes[:, row] = -1, -1, -1, 0
        small[:, row] = HEARTBEAT, 0, 0
        self.status[row] = layout.DONE

    def put_rows(self, first: int, source: Columns, rows: slice) -> None:
        """Copy consecutive rows of ``source`` to ``first`` and on."""
        target = slice(first, first + rows.stop - rows.start)
        pairs: list[tuple[NDArray[Any], NDArray[Any]]] = list(
            zip(self.arrays, source.arrays, strict=True)
        )
        for mine, theirs in pairs:
            mine[:, target] = theirs[:, rows]
        self.status[target] = source.status[rows]

    def take(self, rows: NDArray[np.int64]) -> Columns:
        """Return some of the rows."""
        ints, floats, codes, small = self.arrays
        return Columns(
            (  # indexing would leave the columns strided
                np.take(ints, rows, axis=1),
                np.take(floats, rows, axis=1),
                np.take(codes, rows, axis=1),
                np.take(small, rows, axis=1),
            ),
            self.status[rows],
        )
