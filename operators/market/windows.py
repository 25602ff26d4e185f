"""The open windows of one interval: what a windowed operator keeps between blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.arrays import grown
from operators.market.alignment import Alignment
from operators.market.kernels import windows as kernel
from operators.market.work import Work
from state.snapshots import pack_array, unpack_array


@dataclass(frozen=True, slots=True)
class Aggregate:
    """What a window of trades holds; ``values``: open, high, low, close, volume, notional."""

    values: tuple[float, ...] = (0.0,) * 6
    trades: int = 0
    first_ns: int = kernel.NEVER
    last_ns: int = -kernel.NEVER

    @classmethod
    def of(
        cls, ts_ns: NDArray[np.int64], price: NDArray[np.float64], size: NDArray[np.float64]
    ) -> Aggregate:
        """Return that of trades in the order of arrival, as `kernels.windows.aggregate` does."""
        if not len(ts_ns):
            return cls()
        first, last = int(np.argmin(ts_ns)), len(ts_ns) - 1 - int(np.argmax(ts_ns[::-1]))
        # Summed one after another: numpy's own sum goes by pairs, and rounds otherwise.
        volume, notional = (float(np.cumsum(each)[-1]) for each in (size, price * size))
        values = price[first], price.max(), price.min(), price[last], volume, notional
        numbers = tuple(map(float, values))
        return cls(numbers, len(ts_ns), int(ts_ns[first]), int(ts_ns[last]))


class Windows:
    """Aggregates trades into [start, end) windows and closes them by watermark.

    Only open windows are kept, so a snapshot is as large as what is open.
    """

    def __init__(self, alignment: Alignment, lateness_ns: int) -> None:
        self.alignment = alignment
        # What is open at one time touches the time from the watermark to watermark + lateness.
        self._depth = alignment.most_within(lateness_ns)
        self._tally = np.zeros(3, np.int64)
        self._slot: NDArray[np.int32] = np.empty(0, np.int32)
        self._partition: NDArray[np.int32] = np.empty(0, np.int32)
        self._whole: NDArray[np.int64] = np.empty((0, 6), np.int64)
        self._real: NDArray[np.float64] = np.empty((0, 6))
        self._ring: NDArray[np.int32] = np.empty((0, self._depth), np.int32)
        self._next_end: NDArray[np.int64] = np.empty(0, np.int64)

    @property
    def _count(self) -> int:
        return int(self._tally[kernel.OPEN])

    def aggregate(
        self,
        work: Work,
        chosen: NDArray[np.bool_],
        price: NDArray[np.float64],
        size: NDArray[np.float64],
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Take in the chosen rows as trades; return the windows that closed.

        They are int64[k, 6] (row, partition, slot, start, trades, end) and float64[k, 6] (open,
        high, low, close, volume, notional), in the order of the rows that closed them and in no
        order within one row.
        """
        out = self._prepare(work)
        aligned, state = self._aligned(), self._state()
        kernel.aggregate(aligned, _rows(work), price, size, chosen, state, out, work.placed)
        return self._closed(out)

    def sample(
        self, work: Work, chosen: NDArray[np.bool_], values: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Keep the last ``values`` float64[n, 4] of each window; return the windows that closed.

        As `aggregate`, with the values in columns 0 to 3 of the float64[k, 6].
        """
        out = self._prepare(work)
        aligned, state = self._aligned(), self._state()
        kernel.sample(aligned, _rows(work), values, chosen, state, out, work.placed)
        return self._closed(out)

    def put(self, work: Work, ts_ns: int, content: Aggregate) -> None:
        """Put ``content`` in the open window of a time and of the block's last symbol.

        A window that is left without trades stays open for others; it does not close as a record.
        """
        times = np.array([ts_ns])
        [start], [end] = self.alignment.starts(times), self.alignment.ends(times)
        [number] = self.alignment.numbers(times)
        slot, partition = work.slot[-1], work.block.partition[-1]
        w = int(self._ring[slot, number % self._depth])
        if w == kernel.NONE:
            w = self._count
            self._make_room(w + 1)
            self._tally[kernel.OPEN] += 1
            self._ring[slot, number % self._depth] = w
            self._slot[w], self._partition[w] = slot, partition
            self._next_end[partition] = min(self._next_end[partition], end)
        self._whole[w] = (
            start, content.first_ns, content.last_ns, content.trades, end, number,
        )  # fmt: skip
        self._real[w] = content.values

    def _prepare(self, work: Work) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Make room in the state for one block; return room for all that may close in it."""
        room = self._count + len(work.block)
        self._make_room(room)
        self._ring = grown(self._ring, len(work.names), -1)
        self._next_end = grown(self._next_end, work.block.partitions, kernel.NEVER)
        return np.empty((room, 6), np.int64), np.empty((room, 6))

    def _make_room(self, windows: int) -> None:
        if windows > len(self._slot):
            self._slot, self._partition = (
                grown(self._slot, windows),
                grown(self._partition, windows),
            )
            self._whole, self._real = grown(self._whole, windows), grown(self._real, windows)

    def _aligned(self) -> tuple[Any, ...]:
        """Return where windows begin as the kernels take it."""
        return self.alignment.interval_ns, self.alignment.begins_ns, self.alignment.firsts

    def _state(self) -> tuple[Any, ...]:
        """Return the open windows as the kernels take them."""
        return (
            self._slot, self._partition, self._whole, self._real, self._ring, self._next_end,
            self._tally,
        )  # fmt: skip

    def _closed(
        self, out: tuple[NDArray[np.int64], NDArray[np.float64]]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return what the kernel has filled of its outputs."""
        closed = int(self._tally[kernel.CLOSED])
        whole, real = out[0][:closed], out[1][:closed]
        some = whole[:, 4] > 0  # not where all trades were cancelled
        return (whole, real) if some.all() else (whole[some], real[some])

    def release(self, slots: NDArray[np.int32]) -> None:
        """Check that these slots have no open window: their time to live exceeds every window."""
        if np.isin(self._slot[: self._count], slots).any():
            raise AssertionError("a symbol expired with an open window")

    def describe(self, slot: int) -> list[dict[str, Any]]:
        """Return the open windows of a symbol: start (ns), ticks and columns so far."""
        mine = np.flatnonzero(self._slot[: self._count] == slot).tolist()
        return [
            {
                "start_ns": int(self._whole[w, kernel.START]),
                "ticks": int(self._whole[w, kernel.TICKS]),
                "values": self._real[w].tolist(),
            }
            for w in sorted(mine, key=lambda w: self._whole[w, kernel.START])
        ]

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the open windows."""
        n = self._count
        return {
            "slot": pack_array(self._slot[:n]),
            "partition": pack_array(self._partition[:n]),
            "whole": pack_array(self._whole[:n]),
            "real": pack_array(self._real[:n]),
        }

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's open windows."""
        self._slot = unpack_array(parts["slot"])
        self._partition = unpack_array(parts["partition"])
        self._whole = self._completed(unpack_array(parts["whole"]))
        self._real = unpack_array(parts["real"])
        self._tally[kernel.OPEN] = len(self._slot)
        number = self._whole[:, kernel.NUMBER]
        # Once, quotes came by arrival, and a symbol had more windows open at one time.
        while len(np.unique(self._slot * self._depth + number % self._depth)) < self._count:
            self._depth += 1
        self._ring = np.full((int(self._slot.max(initial=-1)) + 1, self._depth), -1, np.int32)
        self._ring[self._slot, number % self._depth] = np.arange(self._count)
        self._next_end = np.full(int(self._partition.max(initial=-1)) + 1, kernel.NEVER, np.int64)
        np.minimum.at(self._next_end, self._partition, self._whole[:, kernel.END])

    def _completed(self, whole: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return ``whole`` with END and NUMBER, which snapshots of before sessions do not have."""
        if whole.shape[1] == 6:
            return whole
        starts = whole[:, kernel.START]
        ends, numbers = self.alignment.ends(starts), self.alignment.numbers(starts)
        return np.column_stack((whole, ends, numbers))


def _rows(work: Work) -> tuple[Any, ...]:
    return work.block.partition, work.slot, work.watermark, work.block.ts_ns
