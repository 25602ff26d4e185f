"""The national best bid and offer, sampled at the end of each window of the shortest interval."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.arrays import grown
from operators.market.alignment import Alignment
from operators.market.bars import by_name
from operators.market.kernels import nbbo as kernel
from operators.market.lookup import Lookup
from operators.market.windows import Windows
from operators.market.work import Work
from operators.outputs import Outbox
from state.market.ticks import QUOTE, ZERO, quoted
from state.snapshots import pack_array, unpack_array


class Nbbo:
    """Consolidates one-sided quotes of many venues; emits ``nbbo``.

    Quotes come in the order of event time (`operators.market.in_order`), and live until they are
    replaced or withdrawn, or for ``ttl_ns`` where that is not 0. The best price wins, its size is
    the sum of the venues' at that price. What is emitted is the state after the last quote of each
    window that had one.
    """

    name = "nbbo"

    def __init__(self, alignment: Alignment, ttl_ns: int = 0) -> None:
        self._ttl_ns = ttl_ns
        self._windows = Windows(alignment, 0)
        self._books = Lookup()
        self._entry: NDArray[np.float64] = np.empty((0, 4))
        self._entry_ns: NDArray[np.int64] = np.empty((0, 2), np.int64)
        """When each side of an entry came; empty where quotes do not age."""
        self._following: NDArray[np.int32] = np.empty(0, np.int32)
        self._first: NDArray[np.int32] = np.empty(0, np.int32)
        self._best: NDArray[np.float64] = np.empty((0, 4))

    def process(self, work: Work, outbox: Outbox) -> None:
        """Apply the block's quotes and emit the windows that close within it."""
        block = work.block
        quotes = work.keep & (block.kind == QUOTE)
        after = np.empty((len(block), 4))
        if quotes.any():
            self._apply(work, quotes, after)
            work.nbbo = after
        whole, real = self._windows.sample(work, quotes, after)
        if work.nbbo is not None:
            after[after == ZERO] = 0.0  # signals and bands look at prices above zero
        if len(whole) > 1:
            order = np.lexsort((by_name(whole[:, 2], work.names), whole[:, 3], whole[:, 0]))
            whole, real = whole[order], real[order]
        for closed, values in zip(whole.tolist(), real.tolist(), strict=True):
            self._emit(closed, values, work.names, outbox)

    def release(self, slots: NDArray[np.int32]) -> None:
        """Forget the books of these slots."""
        self._windows.release(slots)
        kept = self._books.release(slots)
        self._entry = self._entry[kept]
        if self._ttl_ns:
            self._entry_ns = self._entry_ns[kept]
        self._following = np.empty(len(kept), np.int32)
        self._chain()

    def describe(self, slot: int) -> dict[str, Any]:
        """Return (bid, size, ask, size) by venue number, and the open windows."""
        used = self._books.entry_key[: self._books.count]
        mine = np.flatnonzero(used >> 24 == slot)
        book = {str((used[i] >> 2) & 0x3FFFFF): self._entry[i].tolist() for i in mine.tolist()}
        return {"book": book, "open": self._windows.describe(slot)}

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state."""
        return {
            "windows": self._windows.snapshot(),
            "books": self._books.snapshot(),
            "entry": pack_array(self._entry[: self._books.count]),
            "entry_ns": pack_array(self._entry_ns[: self._books.count]),
        }

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        self._windows.restore(parts["windows"])
        self._books.restore(parts["books"])
        self._entry = unpack_array(parts["entry"])
        self._entry_ns = unpack_array(parts["entry_ns"])
        keys = self._books.entry_key
        self._first = np.full(int((keys >> 24).max(initial=-1)) + 1, -1, np.int32)
        self._best = np.zeros((len(self._first), 4))
        self._following = np.empty(len(keys), np.int32)
        self._chain()

    def _chain(self) -> None:
        books = self._books
        kernel.chain(books.entry_key, books.count, self._state())

    def _state(self) -> tuple[NDArray[Any], ...]:
        """Return the books as the kernels take them."""
        return self._entry, self._entry_ns, self._first, self._following, self._best

    def _apply(self, work: Work, quotes: NDArray[np.bool_], after: NDArray[np.float64]) -> None:
        block, books = work.block, self._books
        books.reserve(len(block))
        room = len(books.entry_key)
        self._entry, self._following = grown(self._entry, room), grown(self._following, room)
        self._entry_ns = grown(self._entry_ns, room if self._ttl_ns else 0)
        self._first = grown(self._first, len(work.names), -1)
        self._best = grown(self._best, len(work.names))
        rows = (
            work.slot, work.venue, quotes, block.ts_ns,
            block.price, block.size, block.ask, block.ask_size,
        )  # fmt: skip
        table = books.keys, books.values, books.entry_key
        books.count = kernel.consolidate(
            rows, self._ttl_ns, table, books.count, self._state(), after
        )

    def _emit(
        self, closed: list[int], values: list[float], names: list[str], outbox: Outbox
    ) -> None:
        _, partition, slot, start_ns, _, end_ns = closed
        bid, bid_size, ask, ask_size = values[:4]
        symbol = names[slot]
        identity = f"{symbol}|{start_ns}"
        record = {
            "id": identity,
            "symbol": symbol,
            "ts_ns": end_ns,
            "bid": quoted(bid) if bid_size else None,
            "bid_size": bid_size,
            "ask": quoted(ask) if ask_size else None,
            "ask_size": ask_size,
        }
        outbox.emit("nbbo", partition, end_ns, identity, symbol, record)
