"""Order flow imbalance of each window."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from operators.market.kernels import order_flow as kernel
from operators.market.signals.signal import Closings, Figure, Signal, Tape
from operators.market.signals.table import Table


class OrderFlow(Signal):
    """``order-flow-imbalance``: the sum of e over the window's quotes, in units of size.

    Of the consolidated best quotes (kernels/order_flow.py). Details: ``quotes``, how many there
    were.
    """

    kind = "order-flow-imbalance"

    def __init__(self) -> None:
        super().__init__(Table(last=(np.float64, 4)), Table(flow=(np.float64, 2)))

    def step(self, tape: Tape) -> tuple[()]:
        """Add the block's quotes to their windows."""
        (last,) = self._symbols.room_for(len(tape.work.names))
        (flow,) = self._windows.room_for(tape.places)
        kernel.order_flow(tape.quotes, tape.work.slot, tape.place, tape.best, last, flow)
        return ()

    def close(self, closings: Closings) -> Iterator[Figure]:
        """Return the sums of the windows that had a quote."""
        for k, (flow, quotes) in enumerate(self._windows["flow"][closings.place].tolist()):
            if quotes:
                yield k, flow, {"quotes": int(quotes)}
