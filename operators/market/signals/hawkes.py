"""Intensity of buys and sells at the end of each window."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from operators.market.kernels import hawkes as kernel
from operators.market.signals.signal import Closings, Figure, Signal, Tape
from operators.market.signals.table import BySymbol, Table
from state.clock import NS


@dataclass(frozen=True, slots=True)
class Excitation:
    """Parameters of an exponential Hawkes process: λ(t) = μ + α β sum of exp(-β (t - t_i)).

    ``mu``: events a second without any excitation; ``alpha``: how many events one event causes
    (the branching ratio, below 1); ``beta``: how fast that fades, per second.
    """

    mu: float = 0.1
    alpha: float = 0.5
    beta: float = 1.0


class Hawkes(Signal):
    """``hawkes``: expected trades a second at the window's end, of buyers and sellers in all.

    Each side excites itself (kernels/hawkes.py), with the parameters of the symbol: its own, or
    the ``default``. Details: ``buy`` and ``sell``, the intensities that the value sums. The state
    is that after the window's last trade, decayed to the window's end; a trade without a sign is
    no event.
    """

    kind = "hawkes"

    def __init__(
        self, default: Excitation | None = None, own: Mapping[str, Excitation] | None = None
    ) -> None:
        super().__init__(
            Table(state=(np.float64, 2), last_ns=np.int64),
            Table(last=(np.float64, 3), last_ns=np.int64),
        )
        parameters = {symbol: astuple(found) for symbol, found in (own or {}).items()}
        self._parameters = BySymbol(astuple(default or Excitation()), parameters)

    def step(self, tape: Tape) -> tuple[()]:
        """Excite and decay through the block's trades."""
        work = tape.work
        kernel.excite(
            (tape.trades, work.slot, tape.place, tape.sign, work.block.ts_ns),
            self._parameters.by_slot(work),
            self._symbols.room_for(len(work.names)),
            self._windows.room_for(tape.places),
        )
        return ()

    def close(self, closings: Closings) -> Iterator[Figure]:
        """Return the intensities of the windows that had an event."""
        last, last_ns = self._windows["last"], self._windows["last_ns"]
        age = np.maximum(closings.end_ns - last_ns[closings.place], 0) / NS
        rows = zip(last[closings.place].tolist(), age.tolist(), strict=True)
        for k, ((buys, sells, seen), seconds) in enumerate(rows):
            if seen:
                mu, alpha, beta = self._parameters.of(closings.symbols[k])
                decay = alpha * beta * math.exp(-beta * seconds)
                buy, sell = mu + decay * buys, mu + decay * sells
                yield k, buy + sell, {"buy": buy, "sell": sell}

    def release(self, slots: NDArray[np.int32]) -> None:
        """Forget the symbols in these slots."""
        super().release(slots)
        self._parameters.release(slots)
