"""OHLCV bars with VWAP and trade counts, for any set of intervals at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.market.alignment import Alignment
from operators.market.corrections import Corrections
from operators.market.records import bar_record, interval_name
from operators.market.windows import Windows
from operators.market.work import ClosedBars, Work
from operators.outputs import Outbox


class Bars:
    """Builds bars from the trades that count; emits ``bars`` and sets ``work.bars``.

    Open and close are the prices of the first and the last trade by (event time, offset);
    VWAP is the sum of price times size over the sum of sizes, both in offset order, and not outside
    of low to high.
    """

    name = "bars"

    def __init__(
        self,
        alignments: Sequence[Alignment],
        lateness_ns: int,
        corrections: Corrections | None = None,
    ) -> None:
        """One of ``alignments`` for each interval; ``corrections`` of the same."""
        self._names = [interval_name(alignment.interval_ns) for alignment in alignments]
        self._windows = [Windows(alignment, lateness_ns) for alignment in alignments]
        self._corrections = corrections or Corrections(alignments)

    def process(self, work: Work, outbox: Outbox) -> None:
        """Take in the block's trades and emit the bars that close within it."""
        block = work.block
        closed = [w.aggregate(work, work.counts, block.price, block.size) for w in self._windows]
        if any(len(whole) for whole, _ in closed):
            work.bars = _sorted_bars(closed, work.names)
            for i in range(len(work.bars)):
                self._emit(work.bars, i, work.names, outbox)
        self._corrections.process(work, self._windows, outbox)

    def release(self, slots: NDArray[np.int32]) -> None:
        """Check that nothing of these slots is open; forget their trades."""
        for windows in self._windows:
            windows.release(slots)
        self._corrections.release(slots)

    def describe(self, slot: int) -> dict[str, Any]:
        """Return the open windows by interval."""
        windows = zip(self._names, self._windows, strict=True)
        return {"open": {name: w.describe(slot) for name, w in windows}}

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state."""
        windows = [w.snapshot() for w in self._windows]
        return {"windows": windows, "corrections": self._corrections.snapshot()}

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        for windows, kept in zip(self._windows, parts["windows"], strict=True):
            windows.restore(kept)
        if "corrections" in parts:  # at first there were none
            self._corrections.restore(parts["corrections"])

    def _emit(self, bars: ClosedBars, i: int, names: list[str], outbox: Outbox) -> None:
        symbol, interval = names[bars.slot[i]], self._names[bars.interval[i]]
        start_ns = int(bars.start_ns[i])
        columns = bars.open, bars.high, bars.low, bars.close, bars.volume, bars.notional
        values = [float(column[i]) for column in columns]
        record = bar_record(symbol, interval, start_ns, values, int(bars.trades[i]))
        key = f"{symbol}|{interval}"
        outbox.emit("bars", int(bars.partition[i]), start_ns, record["id"], key, record)


def by_name(slots: NDArray[np.int64], names: list[str]) -> NDArray[np.int64]:
    """Return the rank of each slot's symbol by name: an order that no history can change."""
    chosen = [names[slot] for slot in slots.tolist()]
    rank = {name: i for i, name in enumerate(sorted(set(chosen)))}
    return np.array([rank[name] for name in chosen], np.int64)


def _sorted_bars(
    closed: list[tuple[NDArray[np.int64], NDArray[np.float64]]], names: list[str]
) -> ClosedBars:
    whole = np.concatenate([w for w, _ in closed])
    real = np.concatenate([r for _, r in closed])
    interval = np.repeat(np.arange(len(closed), dtype=np.int32), [len(w) for w, _ in closed])
    if len(whole) > 1:
        order = np.lexsort((by_name(whole[:, 2], names), whole[:, 3], interval, whole[:, 0]))
        whole, real, interval = whole[order], real[order], interval[order]
    return ClosedBars(
        at_row=whole[:, 0].copy(),
        partition=whole[:, 1].astype(np.int32),
        slot=whole[:, 2].astype(np.int32),
        interval=interval,
        start_ns=whole[:, 3].copy(),
        end_ns=whole[:, 5].copy(),
        open=real[:, 0],
        high=real[:, 1],
        low=real[:, 2],
        close=real[:, 3].copy(),
        volume=real[:, 4],
        notional=real[:, 5],
        trades=whole[:, 4],
    )
