"""Cancels and corrections of trades: bars that are open take them in, others get a new version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.arrays import grown
from operators.market.alignment import Alignment
from operators.market.conditions import has_condition
from operators.market.records import bar_record, interval_name
from operators.market.windows import Aggregate, Windows
from operators.market.work import Work
from operators.outputs import Outbox
from state.market.ticks import NO_SEQ, TRADE, Correction
from state.snapshots import pack_array, unpack_array

_COLUMNS: dict[str, Any] = {
    "slot": np.int32,
    "partition": np.int32,
    "venue": np.int32,
    "watermark": np.int64,
    "seq": np.int64,
    "ts_ns": np.int64,
    "price": np.float64,
    "size": np.float64,
    "counts": np.bool_,
}
_LEAST_PRUNED = 4096


class Corrections:
    """Keeps trades for ``age_ns`` behind the watermark, and makes bars anew where one changes.

    A bar is made of what had come for it while it was open. A closed one gets a record of the
    output ``corrected_bars``; no figure that was made of it is made anew.
    """

    def __init__(
        self,
        alignments: Sequence[Alignment],
        age_ns: int = 0,
        excluded: tuple[str, ...] = (),
        bits: int = 0,
    ) -> None:
        """``excluded`` and ``bits``: the conditions of trades that do not count."""
        self._alignments = alignments
        self._names = [interval_name(alignment.interval_ns) for alignment in alignments]
        self._age_ns = age_ns
        self._excluded, self._bits = frozenset(excluded), bits
        self._count = 0
        self._trades = {name: np.empty(0, dtype) for name, dtype in _COLUMNS.items()}
        self._due = _LEAST_PRUNED
        """With how many trades the old ones are looked for again."""
        self._versions: dict[tuple[int, int, int], tuple[int, int]] = {}
        """Version and partition of bars that were corrected behind their end, by (interval, slot,
        start)."""
        self._reached: NDArray[np.int64] = np.empty(0, np.int64)

    def process(self, work: Work, windows: Sequence[Windows], outbox: Outbox) -> None:
        """Keep the block's trades; apply the correction that ends it."""
        if self._age_ns:
            self._keep(work)
        if self._age_ns and work.block.corrections and work.keep[-1]:
            self._correct(work, work.block.corrections[0], windows, outbox)

    def release(self, slots: NDArray[np.int32]) -> None:
        """Forget the trades of these slots."""
        self._choose(~np.isin(self._column("slot"), slots))
        gone = set(slots.tolist())
        self._versions = {at: v for at, v in self._versions.items() if at[1] not in gone}

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state."""
        return {
            "trades": {name: pack_array(self._column(name)) for name in _COLUMNS},
            "versions": [(*at, *version) for at, version in self._versions.items()],
            "reached": pack_array(self._reached),
        }

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        self._trades = {name: unpack_array(parts["trades"][name]) for name in _COLUMNS}
        self._count = len(self._trades["slot"])
        self._versions = {(i, s, at): (v, p) for i, s, at, v, p in parts["versions"]}
        self._reached = unpack_array(parts["reached"])

    def _column(self, name: str) -> NDArray[Any]:
        return self._trades[name][: self._count]

    def _keep(self, work: Work) -> None:
        block = work.block
        rows = np.flatnonzero(work.keep & (block.kind == TRADE))
        values: tuple[NDArray[Any], ...] = (
            work.slot, block.partition, work.venue, work.watermark, block.seq, block.ts_ns,
            block.price, block.size, work.counts,
        )  # fmt: skip
        end = self._count + len(rows)
        for name, column in zip(_COLUMNS, values, strict=True):
            self._trades[name] = grown(self._trades[name], end)
            self._trades[name][self._count : end] = column[rows]
        self._count = end
        self._reached = grown(self._reached, block.partitions)
        np.maximum.at(self._reached, block.partition, work.watermark)
        if self._count >= self._due:
            self._drop_old()

    def _drop_old(self) -> None:
        """Drop the trades of windows that no correction can reach any more."""
        oldest = self._reached - self._age_ns
        begins = np.min([alignment.starts(oldest) for alignment in self._alignments], axis=0)
        self._choose(self._column("ts_ns") >= begins[self._column("partition")])
        self._due = max(2 * self._count, _LEAST_PRUNED)
        self._versions = {at: v for at, v in self._versions.items() if at[2] >= begins[v[1]]}

    def _choose(self, kept: NDArray[np.bool_]) -> None:
        self._trades = {name: self._column(name)[kept] for name in _COLUMNS}
        self._count = int(np.count_nonzero(kept))

    def _correct(
        self, work: Work, correction: Correction, windows: Sequence[Windows], outbox: Outbox
    ) -> None:
        at = self._find(work, correction)
        if at is None:
            return  # it stays without a place, which makes it late
        work.placed[-1] = True
        counted = bool(self._trades["counts"][at])
        counts = correction.size > 0 and not has_condition(
            correction.condition, self._excluded, self._bits
        )
        self._trades["price"][at] = correction.price
        self._trades["size"][at] = correction.size
        self._trades["counts"][at] = counts
        if not (counted or counts):
            return
        for interval in range(len(windows)):
            self._make_anew(work, at, interval, windows[interval], outbox)

    def _find(self, work: Work, correction: Correction) -> int | None:
        """Return the trade that is meant; None where none is young enough, or more than one."""
        oldest_ns = work.watermark[-1] - self._age_ns
        same = (self._column("slot") == work.slot[-1]) & (self._column("venue") == work.venue[-1])
        same &= (self._column("size") > 0) & (self._column("ts_ns") > oldest_ns)
        if correction.trade_ts_ns:
            same &= self._column("ts_ns") == correction.trade_ts_ns
        if correction.trade_seq != NO_SEQ:
            same &= self._column("seq") == correction.trade_seq
        found = np.flatnonzero(same)
        return int(found[0]) if len(found) == 1 else None

    def _make_anew(
        self, work: Work, at: int, interval: int, windows: Windows, outbox: Outbox
    ) -> None:
        """Make the bar of a trade anew, unless the trade had come behind its end."""
        ts_ns = self._column("ts_ns")
        [start_ns], [end_ns] = (
            find(ts_ns[at : at + 1]) for find in (windows.alignment.starts, windows.alignment.ends)
        )
        if end_ns <= self._column("watermark")[at]:
            return
        members = (self._column("slot") == work.slot[-1]) & self._column("counts")
        members &= (ts_ns >= start_ns) & (ts_ns < end_ns) & (self._column("watermark") < end_ns)
        bar = Aggregate.of(
            ts_ns[members], self._column("price")[members], self._column("size")[members]
        )
        if end_ns > work.watermark[-1]:
            windows.put(work, int(ts_ns[at]), bar)
        else:
            self._emit(work, interval, int(start_ns), bar, outbox)

    def _emit(
        self, work: Work, interval: int, start_ns: int, bar: Aggregate, outbox: Outbox
    ) -> None:
        slot, block = int(work.slot[-1]), work.block
        row = len(block) - 1
        partition = int(block.partition[row])
        key = (interval, slot, start_ns)
        version = self._versions.get(key, (1, partition))[0] + 1
        self._versions[key] = version, partition
        symbol, name = work.names[slot], self._names[interval]
        made = bar_record(symbol, name, start_ns, bar.values, bar.trades)
        identity = f"{made['id']}|{version}"
        record = made | {
            "id": identity,
            "version": version,
            "corrected_ns": int(block.ts_ns[row]),
            "cause": str(block.coordinates(row)),
        }
        outbox.emit("corrected_bars", partition, start_ns, identity, "", record)
