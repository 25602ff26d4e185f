"""Micro-price at the end of each window."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from operators.market.kernels import microprice as kernel
from operators.market.signals.signal import Closings, Figure, Signal, Tape
from operators.market.signals.table import BySymbol, Table


class MicroPrice(Signal):
    """``micro-price``: of the window's last quote, with the weighted mid where G is not known.

    ``tables`` float64[imbalances, spreads] by symbol, all of one shape, in units of price: what
    `fit_micro_price` returns. Details: ``weighted_mid``, ``imbalance`` (of sizes, 0 to 1),
    ``spread``. Raises ValueError for tables of several shapes.
    """

    kind = "micro-price"

    def __init__(
        self, tables: Mapping[str, NDArray[np.float64]] | None = None, tick_size: float = 0.01
    ) -> None:
        super().__init__(Table(), Table(last=(np.float64, 5)))
        named = sorted((tables or {}).items())
        if len({table.shape for _, table in named}) > 1:
            raise ValueError("tables of several shapes")
        self._tables = np.stack([table for _, table in named]) if named else np.empty((0, 1, 1))
        self._table_of = BySymbol((-1.0,), {name: (float(i),) for i, (name, _) in enumerate(named)})
        self._tick_size = tick_size

    def step(self, tape: Tape) -> tuple[()]:
        """Work the block's quotes out."""
        (last,) = self._windows.room_for(tape.places)
        kernel.micro_price(
            tape.quotes, tape.work.slot, tape.place, tape.best, self._table_of.by_slot(tape.work),
            self._tables, self._tick_size, last,
        )  # fmt: skip
        return ()

    def close(self, closings: Closings) -> Iterator[Figure]:
        """Return the last micro-price of the windows that had a quote with both sides."""
        for k, row in enumerate(self._windows["last"][closings.place].tolist()):
            value, weighted, imbalance, spread, seen = row
            if seen:
                yield (
                    k,
                    value,
                    {"weighted_mid": weighted, "imbalance": imbalance, "spread": spread},
                )

    def release(self, slots: NDArray[np.int32]) -> None:
        """Look the tables of these slots up anew."""
        self._table_of.release(slots)
