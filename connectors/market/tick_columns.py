"""Ticks by column, to be written in a wire format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from state.market.ticks import NO_SEQ


@dataclass(frozen=True, slots=True)
class TickColumns:
    """Ticks by column; fields mean what they mean in `state.market.ticks.TickBlock`.

    ``symbol``, ``venue`` and ``condition`` are codes into the lists of strings.
    """

    kind: NDArray[np.uint8]
    symbol: NDArray[np.int32]
    ts_ns: NDArray[np.int64]
    recv_ns: NDArray[np.int64]
    seq: NDArray[np.int64]
    price: NDArray[np.float64]
    size: NDArray[np.float64]
    ask: NDArray[np.float64]
    ask_size: NDArray[np.float64]
    side: NDArray[np.uint8]
    venue: NDArray[np.int32]
    condition: NDArray[np.int32]
    symbols: list[str]
    venues: list[str]
    conditions: list[str]

    @classmethod
    def of(
        cls,
        kind: ArrayLike,
        symbol: ArrayLike,
        symbols: Sequence[str],
        ts_ns: ArrayLike,
        price: ArrayLike,
        size: ArrayLike,
        *,
        ask: ArrayLike = 0.0,
        ask_size: ArrayLike = 0.0,
        recv_ns: ArrayLike = 0,
        seq: ArrayLike = NO_SEQ,
        side: ArrayLike = 0,
        venue: ArrayLike = 0,
        venues: Sequence[str] = ("",),
        condition: ArrayLike = 0,
        conditions: Sequence[str] = ("",),
    ) -> TickColumns:
        """Return columns copied from anything array-like; one value stands for a whole column.

        A quote's bid is its ``price`` and ``size``. What is left out is absent from every tick.
        """
        count = len(np.asarray(ts_ns))

        def column(values: ArrayLike, dtype: Any) -> NDArray[Any]:
            return np.broadcast_to(np.asarray(values, dtype), (count,)).copy()

        return cls(
            kind=column(kind, np.uint8),
            symbol=column(symbol, np.int32),
            ts_ns=column(ts_ns, np.int64),
            recv_ns=column(recv_ns, np.int64),
            seq=column(seq, np.int64),
            price=column(price, np.float64),
            size=column(size, np.float64),
            ask=column(ask, np.float64),
            ask_size=column(ask_size, np.float64),
            side=column(side, np.uint8),
            venue=column(venue, np.int32),
            condition=column(condition, np.int32),
            symbols=list(symbols),
            venues=list(venues),
            conditions=list(conditions),
        )

    def __len__(self) -> int:
        return len(self.ts_ns)

    def take(self, rows: slice | NDArray[Any]) -> TickColumns:
        """Return some of the ticks; the strings stay."""
        return TickColumns(
            kind=self.kind[rows],
            symbol=self.symbol[rows],
            ts_ns=self.ts_ns[rows],
            recv_ns=self.recv_ns[rows],
            seq=self.seq[rows],
            price=self.price[rows],
            size=self.size[rows],
            ask=self.ask[rows],
            ask_size=self.ask_size[rows],
            side=self.side[rows],
            venue=self.venue[rows],
            condition=self.condition[rows],
            symbols=self.symbols,
            venues=self.venues,
            conditions=self.conditions,
        )
