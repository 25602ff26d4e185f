"""The close of each symbol in each session of an exchange, once the session is over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.market.conditions import has_condition
from operators.market.handover import SessionClose
from operators.market.work import Work
from operators.outputs import Outbox
from state.market.ticks import TRADE
from state.snapshots import unpack_array

_NEVER = 1 << 62


@dataclass(frozen=True, slots=True)
class Auction:
    """Which trades are of a closing auction, and for how long behind the close they may come.

    A trade is of one where its condition has one of ``words`` or ``bits``, as
    `operators.market.conditions.has_condition` says, and none of the words ``but``, in [close,
    close + ``within_ns``).
    """

    within_ns: int = 0
    words: frozenset[str] = frozenset()
    bits: int = 0
    but: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Price:
    """What is known of a symbol's close in one session."""

    partition: int
    last: float = 0.0
    auction: float = 0.0
    size: float = 0.0


class SessionCloses:
    """Hands over the close of each symbol and session.

    It is the price of the largest trade of the closing auction, which is the primary market's, and
    of the first of those that are as large; else
    the close of the last bar in [open, close). It is known when the watermark of the symbol's
    partition has passed the close and the time for the auction behind it. A symbol without a trade
    in a session has none, nor has one whose price is not above 0. Bars outside of sessions do not
    count.
    """

    name = "session_closes"

    def __init__(
        self,
        interval: int,
        opens_ns: NDArray[np.int64],
        closes_ns: NDArray[np.int64],
        auction: Auction | None = None,
    ) -> None:
        """``interval``: which bars; ``opens_ns`` and ``closes_ns`` int64: ascending sessions."""
        self._interval = interval
        self._opens_ns = opens_ns
        self._closes_ns = closes_ns
        self._auction = auction or Auction()
        self._held: dict[tuple[int, int], _Price] = {}
        """By (close, slot)."""
        self._soonest_ns = 0
        """No close that is held is earlier; 0 where that is not known."""

    def process(self, work: Work, outbox: Outbox) -> None:
        """Take in the bars that closed and auctions; hand over the sessions that are over."""
        if self._auction.within_ns:
            self._take_auctions(work)
        if work.bars is not None:
            self._take_bars(work)
        if int(work.watermark.max()) >= self._soonest_ns + self._auction.within_ns:
            self._hand_over(work)

    def release(self, slots: NDArray[np.int32]) -> None:
        """Forget the symbols in these slots."""
        gone = set(slots.tolist())
        self._held = {at: price for at, price in self._held.items() if at[1] not in gone}

    def describe(self, slot: int) -> dict[str, Any]:
        """Return what is known of the closes of sessions that are not over, by close (ns)."""
        return {
            str(close_ns): {"last": price.last, "auction": price.auction}
            for (close_ns, held), price in sorted(self._held.items())
            if held == slot
        }

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state."""
        return {
            "held": [
                (*at, price.partition, price.last, price.auction, price.size)
                for at, price in self._held.items()
            ]
        }

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        held = parts["held"] if "held" in parts else _of_columns(parts)
        self._held = {(close_ns, slot): _Price(*price) for close_ns, slot, *price in held}
        self._soonest_ns = 0

    def _price(self, close_ns: int, slot: int, partition: int) -> _Price:
        self._soonest_ns = min(self._soonest_ns, close_ns)
        return self._held.setdefault((close_ns, slot), _Price(partition))

    def _take_auctions(self, work: Work) -> None:
        block, auction = work.block, self._auction
        named = [
            has_condition(c, auction.words, auction.bits) and not has_condition(c, auction.but, 0)
            for c in block.conditions
        ]
        if not any(named):
            return
        chosen = work.keep & (block.kind == TRADE) & np.array([*named, False])[block.condition]
        rows = np.flatnonzero(chosen)
        session = np.searchsorted(self._closes_ns, block.ts_ns[rows], side="right") - 1
        for row, number in zip(rows.tolist(), session.tolist(), strict=True):
            close_ns = int(self._closes_ns[number]) if number >= 0 else -_NEVER
            until_ns = close_ns + auction.within_ns
            # What is behind the watermark, retried or late, may be of a session handed over.
            if block.ts_ns[row] >= until_ns or work.watermark[row] >= until_ns:
                continue
            price = self._price(close_ns, int(work.slot[row]), int(block.partition[row]))
            if block.size[row] > price.size:
                price.auction, price.size = float(block.price[row]), float(block.size[row])

    def _take_bars(self, work: Work) -> None:
        bars = work.bars
        assert bars is not None
        mine = np.flatnonzero(bars.interval == self._interval)
        session = np.searchsorted(self._closes_ns, bars.start_ns[mine], side="right")
        inside = session < len(self._closes_ns)
        inside[inside] = bars.start_ns[mine[inside]] >= self._opens_ns[session[inside]]
        for i, close_ns in zip(
            mine[inside].tolist(), self._closes_ns[session[inside]].tolist(), strict=True
        ):
            price = self._price(close_ns, int(bars.slot[i]), int(bars.partition[i]))
            price.last = float(bars.close[i])

    def _hand_over(self, work: Work) -> None:
        # The rows of a partition move its watermark forward, so its last one has the largest.
        reached = np.zeros(work.block.partitions, np.int64)
        np.maximum.at(reached, work.block.partition, work.watermark)
        within_ns = self._auction.within_ns
        for (close_ns, slot), price in list(self._held.items()):
            if close_ns + within_ns <= reached[price.partition]:
                close = price.auction if price.size else price.last
                if close > 0:
                    work.session_closes.append(SessionClose(close_ns, work.names[slot], close))
                del self._held[close_ns, slot]
        self._soonest_ns = min((close_ns for close_ns, _ in self._held), default=_NEVER)


def _of_columns(parts: dict[str, Any]) -> list[tuple[int, int, int, float]]:
    """Return what is held by a snapshot of before auctions, which had one session a symbol."""
    close_ns, price, partition = (
        unpack_array(parts[name]).tolist() for name in ("close_ns", "price", "partition")
    )
    return [(close_ns[s], s, partition[s], price[s]) for s in range(len(price)) if close_ns[s]]
