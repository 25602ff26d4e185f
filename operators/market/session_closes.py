"""The last price of each symbol in each session of an exchange, once the session is over."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from operators.market.handover import SessionClose
from operators.market.operator import PerSymbol
from operators.market.work import Work
from operators.outputs import Outbox

_NEVER = 1 << 62


class SessionCloses(PerSymbol):
    """Hands over the close of the last bar in [open, close) of each symbol and session.

    A session's prices are known when the watermark of the symbol's partition has passed its close.
    A symbol without a trade in a session has none. Bars outside of sessions do not count.
    """

    name = "session_closes"

    def __init__(
        self, interval: int, opens_ns: NDArray[np.int64], closes_ns: NDArray[np.int64]
    ) -> None:
        """``interval``: which bars; ``opens_ns`` and ``closes_ns`` int64: ascending sessions."""
        super().__init__(price=np.float64, close_ns=np.int64, partition=np.int32)
        self._interval = interval
        self._opens_ns = opens_ns
        self._closes_ns = closes_ns
        self._soonest_ns = 0
        """No close that is held is earlier; 0 where that is not known."""

    def process(self, work: Work, outbox: Outbox) -> None:
        """Take in the bars that closed; hand over the sessions that are over."""
        self.room_for(len(work.names))
        if work.bars is not None:
            self._take(work)
        if int(work.watermark.max()) >= self._soonest_ns:
            self._hand_over(work)

    def _take(self, work: Work) -> None:
        bars = work.bars
        assert bars is not None
        price, close_ns, partition = self.columns.values()
        mine = np.flatnonzero(bars.interval == self._interval)
        session = np.searchsorted(self._closes_ns, bars.start_ns[mine], side="right")
        inside = session < len(self._closes_ns)
        inside[inside] = bars.start_ns[mine[inside]] >= self._opens_ns[session[inside]]
        for i, end_ns in zip(
            mine[inside].tolist(), self._closes_ns[session[inside]].tolist(), strict=True
        ):
            slot = int(bars.slot[i])
            if close_ns[slot] not in (0, end_ns):
                # A block may reach over the night: what the bar before it was is final.
                self._add(work, slot)
            price[slot] = bars.close[i]
            close_ns[slot] = end_ns
            partition[slot] = bars.partition[i]
            self._soonest_ns = min(self._soonest_ns, end_ns)

    def _hand_over(self, work: Work) -> None:
        _, close_ns, partition = self.columns.values()
        # The rows of a partition move its watermark forward, so its last one has the largest.
        reached = np.zeros(work.block.partitions, np.int64)
        np.maximum.at(reached, work.block.partition, work.watermark)
        held = np.flatnonzero(close_ns)
        over = close_ns[held] <= reached[partition[held]]
        for slot in held[over].tolist():
            self._add(work, slot)
        close_ns[held[over]] = 0
        self._soonest_ns = int(close_ns[held[~over]].min(initial=_NEVER))

    def _add(self, work: Work, slot: int) -> None:
        price, close_ns, _ = self.columns.values()
        close = (int(close_ns[slot]), work.names[slot], float(price[slot]))
        work.session_closes.append(SessionClose(*close))
