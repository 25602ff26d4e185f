"""Drop duplicates and report gaps, by (symbol, venue, type, sequence number); never by content."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.arrays import grown
from operators.market.kernels import sequence as kernel
from operators.market.lookup import Lookup
from operators.market.records import TYPES
from operators.market.work import Work
from operators.outputs import Outbox
from state.metrics import DUPLICATES
from state.snapshots import pack_array, unpack_array


class Sequence:
    """Sets aside duplicates, marks numbers too old to judge, and emits ``gaps``.

    Ticks without a sequence number pass. See the kernel for the window and the daily
    restart.
    """

    name = "sequence"

    def __init__(self) -> None:
        self._streams = Lookup()
        self._head: NDArray[np.int64] = np.empty(0, np.int64)
        self._day: NDArray[np.int64] = np.empty(0, np.int64)
        self._seen: NDArray[np.int64] = np.empty((0, 4), np.int64)

    def process(self, work: Work, outbox: Outbox) -> None:
        """Judge each numbered row; emit a gap where numbers are missing before it."""
        block = work.block
        rows = len(block)
        self._streams.reserve(rows)
        room = len(self._streams.entry_key)
        if room > len(self._head):
            self._head, self._day = grown(self._head, room), grown(self._day, room)
            self._seen = grown(self._seen, room)
        verdict = np.empty(rows, np.uint8)
        before = np.empty(rows, np.int64)
        found = self._streams
        found.count = kernel.judge(
            (work.slot, work.venue, block.kind, block.seq, block.ts_ns),
            (found.keys, found.values, found.entry_key),
            found.count,
            (self._head, self._day, self._seen),
            verdict,
            before,
        )
        if verdict.max() == kernel.NEW:  # the usual block: nothing missing, nothing twice
            return
        work.duplicate = verdict == kernel.DUPLICATE
        work.too_old = verdict == kernel.TOO_OLD
        work.keep &= ~(work.duplicate | work.too_old)
        work.aside |= bool(work.too_old.any())
        duplicates = int(np.count_nonzero(work.duplicate))
        if duplicates:
            DUPLICATES.labels(block.topic).inc(duplicates)
        for row in np.flatnonzero(verdict == kernel.GAP).tolist():
            _emit_gap(work, row, int(before[row]), outbox)

    def release(self, slots: NDArray[np.int32]) -> None:
        """Forget the streams of these slots."""
        kept = self._streams.release(slots)
        self._head, self._day, self._seen = self._head[kept], self._day[kept], self._seen[kept]

    def describe(self, slot: int) -> dict[str, Any]:
        """Return the largest sequence number of each stream, by venue number and type."""
        used = self._streams.entry_key[: self._streams.count]
        mine = np.flatnonzero(used >> 24 == slot)
        return {
            "heads": {
                f"{TYPES[used[i] & 3]} of venue {(used[i] >> 2) & 0x3FFFFF}": int(self._head[i])
                for i in mine.tolist()
            }
        }

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state."""
        used = self._streams.count
        return {
            "streams": self._streams.snapshot(),
            "head": pack_array(self._head[:used]),
            "day": pack_array(self._day[:used]),
            "seen": pack_array(self._seen[:used]),
        }

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        self._streams.restore(parts["streams"])
        self._head = unpack_array(parts["head"])
        self._day = unpack_array(parts["day"])
        self._seen = unpack_array(parts["seen"])


def _emit_gap(work: Work, row: int, head: int, outbox: Outbox) -> None:
    block = work.block
    identity = str(block.coordinates(row))
    ts_ns, seq = int(block.ts_ns[row]), int(block.seq[row])
    record = {
        "id": identity,
        "ts_ns": ts_ns,
        "symbol": work.names[work.slot[row]],
        "venue": block.venues[block.venue[row]],
        "type": TYPES[block.kind[row]],
        "first_missing": head + 1,
        "last_missing": seq - 1,
        "count": seq - 1 - head,
    }
    outbox.emit("gaps", int(block.partition[row]), ts_ns, identity, "", record)
