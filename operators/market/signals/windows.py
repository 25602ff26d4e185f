"""The windows in event time that all signals share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.arrays import grown
from operators.market.kernels import signal_windows as kernel
from operators.market.signals.signal import Closings
from operators.market.work import Work
from state.snapshots import pack_array, unpack_array


class SignalWindows:
    """Gives ticks their [start, end) windows, aligned to UTC, which the time of a later row closes.

    Rows come in the order of event time, so a symbol has one open window.
    """

    def __init__(self, interval_ns: int) -> None:
        self.interval_ns = interval_ns
        self._depth = 1
        self._slot: NDArray[np.int32] = np.empty(0, np.int32)
        self._partition: NDArray[np.int32] = np.empty(0, np.int32)
        self._start_ns: NDArray[np.int64] = np.empty(0, np.int64)
        self._ring: NDArray[np.int32] = np.empty((0, self._depth), np.int32)
        self._next_end: NDArray[np.int64] = np.empty(0, np.int64)
        self._recent_start: NDArray[np.int64] = np.empty(0, np.int64)
        self._recent: NDArray[np.int32] = np.empty(0, np.int32)
        self._tally = np.zeros(2, np.int64)
        self._free: NDArray[np.int32] = np.empty(0, np.int32)

    @property
    def places(self) -> int:
        """Return one more than the largest place ever used."""
        return int(self._tally[1])

    @property
    def start_ns(self) -> NDArray[np.int64]:
        """Return the start of each place's window, int64[places or more]."""
        return self._start_ns

    def place(
        self, work: Work, chosen: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int32], Closings | None]:
        """Return the place of each chosen row's window, int32[n], and the windows that closed."""
        block, slots = work.block, len(work.names)
        room = self.places + len(block)
        self._slot, self._start_ns = grown(self._slot, room), grown(self._start_ns, room)
        self._partition = grown(self._partition, room, kernel.FREE)
        self._ring = grown(self._ring, slots, -1)
        self._recent = grown(self._recent, slots)
        self._recent_start = grown(self._recent_start, slots, kernel.NEVER)
        self._next_end = grown(self._next_end, block.partitions, kernel.NEVER)
        places = np.empty(len(block), np.int32)
        at_row, closed = np.empty(room, np.int64), np.empty(room, np.int64)
        rows = block.partition, work.slot, work.watermark, block.ts_ns, chosen
        windows = (
            self._slot, self._partition, self._start_ns, self._ring, self._next_end,
            self._recent_start, self._recent,
        )  # fmt: skip
        found = kernel.place(
            self.interval_ns, rows, windows, (self._tally, self._free), (at_row, closed, places)
        )
        if found == kernel.CROWDED:
            raise AssertionError("ticks do not come in the order of event time")
        return places, self._closings(work, at_row[:found], closed[:found]) if found else None

    def free(self, closed: NDArray[np.int64]) -> None:
        """Let the places of closed windows be given away from the next block on."""
        before = int(self._tally[0])
        self._free = grown(self._free, before + len(closed))
        self._free[before : before + len(closed)] = closed
        self._tally[0] += len(closed)

    def release(self, slots: NDArray[np.int32]) -> None:
        """Check that these slots have no open window, and forget the last that each had."""
        used = self._slot[: self.places]
        if np.isin(used[self._partition[: self.places] != kernel.FREE], slots).any():
            raise AssertionError("a symbol expired with an open window")
        self._recent_start[slots[slots < len(self._recent_start)]] = kernel.NEVER

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the open windows."""
        used = self.places
        return {
            "slot": pack_array(self._slot[:used]),
            "partition": pack_array(self._partition[:used]),
            "start_ns": pack_array(self._start_ns[:used]),
        }

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's open windows."""
        self._slot = unpack_array(parts["slot"])
        self._partition = unpack_array(parts["partition"])
        self._start_ns = unpack_array(parts["start_ns"])
        is_open = self._partition != kernel.FREE
        self._free = np.flatnonzero(~is_open).astype(np.int32)
        self._tally = np.array([len(self._free), len(self._slot)])
        slot, start = self._slot[is_open], self._start_ns[is_open]
        # Once, ticks came by arrival, and a symbol had more windows open at one time.
        while len(np.unique(slot * self._depth + (start // self.interval_ns) % self._depth)) < len(
            slot
        ):
            self._depth *= 2
        self._ring = np.full((int(slot.max(initial=-1)) + 1, self._depth), -1, np.int32)
        cell = (start // self.interval_ns) % self._depth
        self._ring[slot, cell] = np.flatnonzero(is_open)
        partition = self._partition[is_open]
        self._next_end = np.full(int(partition.max(initial=-1)) + 1, kernel.NEVER, np.int64)
        np.minimum.at(self._next_end, partition, start + self.interval_ns)
        self._recent_start, self._recent = np.empty(0, np.int64), np.empty(0, np.int32)

    def _closings(
        self, work: Work, at_row: NDArray[np.int64], closed: NDArray[np.int64]
    ) -> Closings:
        slot, start = self._slot[closed], self._start_ns[closed]
        order = np.lexsort((start, at_row))  # a symbol's windows in the order of time
        slot = slot[order]
        names = [work.names[s] for s in slot.tolist()]
        start = start[order]
        end = start + self.interval_ns
        return Closings(at_row[order], closed[order], slot, start, end, names)
