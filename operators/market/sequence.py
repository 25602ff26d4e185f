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
from state.market.ticks import CORRECTION, TRADE, TickBlock
from state.metrics import DUPLICATES
from state.snapshots import pack_array, unpack_array

NO_BORDERS: NDArray[np.int64] = np.empty(0, np.int64)
NUMBERINGS = {
    "daily": kernel.DAILY,
    "session": kernel.BY_SESSION,
    "continuous": kernel.CONTINUOUS,
}


class Sequence:
    """Sets aside duplicates, marks numbers too old to judge, and emits ``gaps``.

    Ticks without a sequence number pass; corrections are numbered among the trades. Each stream has
    a numbering, which remembers its largest number, the head, and which of the last 256 it has
    seen. A new one begins where a number is not above the head and its tick is later than all
    before it:

    - ``daily``: by a UTC day, or by an hour;
    - ``session``: by one of ``borders_ns``, times between an exchange's sessions, ascending;
    - ``continuous``: never.

    Whatever the rule, ``restart_after`` lower numbers in a row begin one, each larger than the one
    before and newer than all others (0: they do not). Those before the last are too old to judge;
    a tick that is sent again, being no newer, neither counts nor ends the row.

    Ticks of before a numbering began are judged by the former one.
    """

    name = "sequence"

    def __init__(
        self,
        numbering: str = "daily",
        restart_after: int = 0,
        borders_ns: NDArray[np.int64] = NO_BORDERS,
        *,
        list_duplicates: bool = False,
    ) -> None:
        """Emit ``duplicates`` too where ``list_duplicates``."""
        self._list_duplicates = list_duplicates
        self._rules = NUMBERINGS[numbering], borders_ns, restart_after
        self._lookup = Lookup()
        self._streams: NDArray[np.int64] = np.empty((0, kernel.COLUMNS), np.int64)

    def process(self, work: Work, outbox: Outbox) -> None:
        """Judge each numbered row; emit a gap where numbers are missing before it."""
        block = work.block
        rows = len(block)
        found = self._lookup
        found.reserve(rows)
        self._streams = grown(self._streams, len(found.entry_key))
        verdict = np.empty(rows, np.uint8)
        before = np.empty(rows, np.int64)
        found.count = kernel.judge(
            (work.slot, work.venue, _numbered(block), block.seq, block.ts_ns),
            (found.keys, found.values, found.entry_key),
            found.count,
            self._streams,
            self._rules,
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
            if self._list_duplicates:
                for row in np.flatnonzero(work.duplicate).tolist():
                    _emit_duplicate(work, row, outbox)
        numbered = _numbered(block)
        for row in np.flatnonzero(verdict == kernel.GAP).tolist():
            _emit_gap(work, row, TYPES[numbered[row]], int(before[row]), outbox)

    def release(self, slots: NDArray[np.int32]) -> None:
        """Forget the streams of these slots."""
        self._streams = self._streams[self._lookup.release(slots)]

    def describe(self, slot: int) -> dict[str, Any]:
        """Return the largest sequence number of each stream, by venue number and type."""
        used = self._lookup.entry_key[: self._lookup.count]
        mine = np.flatnonzero(used >> 24 == slot)
        return {
            "heads": {
                f"{TYPES[used[i] & 3]} of venue {(used[i] >> 2) & 0x3FFFFF}": int(
                    self._streams[i, kernel.HEAD]
                )
                for i in mine.tolist()
            }
        }

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state."""
        return {
            "streams": self._lookup.snapshot(),
            "numbers": pack_array(self._streams[: self._lookup.count]),
        }

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        self._lookup.restore(parts["streams"])
        if "numbers" in parts:
            self._streams = unpack_array(parts["numbers"])
        else:  # at first a stream had one numbering, and the day of its head
            self._streams = np.zeros((self._lookup.count, kernel.COLUMNS), np.int64)
            self._streams[:, kernel.HEAD] = unpack_array(parts["head"])
            self._streams[:, kernel.SEEN : kernel.SEEN + 4] = unpack_array(parts["seen"])
            self._streams[:, kernel.NEWEST_NS] = (
                unpack_array(parts["day"]) + 1
            ) * kernel.DAY_NS - 1
            self._streams[:, kernel.BEGUN_NS] = kernel.NEVER


def _numbered(block: TickBlock) -> NDArray[np.uint8]:
    """Return the kind by which a row is numbered: corrections are among the trades."""
    if not block.corrections:
        return block.kind
    return np.where(block.kind == CORRECTION, np.uint8(TRADE), block.kind)


def _emit_gap(work: Work, row: int, type_: str, head: int, outbox: Outbox) -> None:
    block = work.block
    identity = str(block.coordinates(row))
    ts_ns, seq = int(block.ts_ns[row]), int(block.seq[row])
    record = {
        "id": identity,
        "ts_ns": ts_ns,
        "symbol": work.names[work.slot[row]],
        "venue": block.venues[block.venue[row]],
        "type": type_,
        "first_missing": head + 1,
        "last_missing": seq - 1,
        "count": seq - 1 - head,
    }
    outbox.emit("gaps", int(block.partition[row]), ts_ns, identity, "", record)


def _emit_duplicate(work: Work, row: int, outbox: Outbox) -> None:
    block = work.block
    record = work.listed(row) | {
        "venue": block.venues[block.venue[row]],
        "type": TYPES[block.kind[row]],
        "seq": int(block.seq[row]),
    }
    outbox.emit("duplicates", record["partition"], record["ts_ns"], record["id"], "", record)
