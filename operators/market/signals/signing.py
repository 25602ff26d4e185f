"""Mid prices and aggressors, which several signals need."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.market.kernels import signing as kernel
from operators.market.signals.table import Table
from operators.market.work import Work


class Signing:
    """The mid price in force at each tick and the sign of each trade (kernels/signing.py)."""

    def __init__(self) -> None:
        self._symbols = Table(last_mid=np.float64, last_price=np.float64, last_move=np.int8)

    def classify(
        self, work: Work, quotes: NDArray[np.bool_], best: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
        """Return (mid float64[n], sign int8[n]); rows of other ticks hold nothing."""
        block = work.block
        out = np.empty(len(block)), np.empty(len(block), np.int8)
        kernel.classify(
            (quotes, work.counts, work.slot, block.side, block.price, best),
            self._symbols.room_for(len(work.names)),
            out,
        )
        return out

    def release(self, slots: NDArray[np.int32]) -> None:
        """Forget the symbols in these slots."""
        self._symbols.clear(slots)

    def describe(self, slot: int) -> dict[str, Any]:
        """Return a symbol's state."""
        return self._symbols.describe(slot)

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state."""
        return self._symbols.snapshot()

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        self._symbols.restore(parts)
