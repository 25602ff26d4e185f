"""VPIN at the completion of each volume bucket."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from operators.market.kernels import vpin as kernel
from operators.market.signals.signal import Figure, Signal, Tape
from operators.market.signals.table import BySymbol, Table


class Vpin(Signal):
    """``vpin``: over the last ``buckets`` buckets, at each trade that completes one or more.

    See kernels/vpin.py. ``volume`` is that of a bucket, ``own`` that of single symbols. Details:
    ``buckets``, how many the symbol has completed since its state began, and ``volume``. Trades
    count in the order of event time.
    """

    kind = "vpin"

    def __init__(
        self, volume: float = 10_000.0, buckets: int = 50, own: Mapping[str, float] | None = None
    ) -> None:
        super().__init__(Table(state=(np.float64, 4), ring=(np.float64, buckets)), Table())
        by_symbol = {symbol: (found,) for symbol, found in (own or {}).items()}
        self._volume = BySymbol((volume,), by_symbol)

    def step(self, tape: Tape) -> Iterator[Figure]:
        """Return the VPIN after each of the block's trades that completed a bucket."""
        work = tape.work
        volume = self._volume.by_slot(work)
        rows = len(work.block)
        out = row, value, buckets = np.empty(rows, np.int64), np.empty(rows), np.empty(rows)
        found = kernel.vpin(
            (tape.trades, work.slot, tape.sign, work.block.size),
            volume,
            self._symbols.room_for(len(work.names)),
            out,
        )
        for i in range(found):
            of = float(volume[work.slot[row[i]], 0])
            yield int(row[i]), float(value[i]), {"buckets": int(buckets[i]), "volume": of}

    def release(self, slots: NDArray[np.int32]) -> None:
        """Forget the symbols in these slots."""
        super().release(slots)
        self._volume.release(slots)
