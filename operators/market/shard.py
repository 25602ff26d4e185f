"""One shard of the market: the operators, one after another over each block of ticks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.arrays import grown
from operators.logic import Logic
from operators.market.alignment import Alignment
from operators.market.handover import Close, Handover
from operators.market.jumps import Jumps
from operators.market.operator import Operator
from operators.market.symbols import Symbols
from operators.market.work import Work
from operators.outputs import Outbox
from operators.watermark import UNKNOWN_NS, Watermarks
from state.clock import NS
from state.market.ticks import CORRECTION, HEARTBEAT, TRADE, TickBlock
from state.metrics import HEARTBEATS, KEPT, RECORDS, WATERMARK_DELAY
from state.snapshots import pack_array, unpack_array


class TickShard(Logic):
    """Runs the operators over the blocks of one shard.

    What jumps ahead is held first. Then comes the watermark, for nothing may depend on more than
    the rows before; then the symbols get their slots; then each operator sees the whole block.
    """

    def __init__(
        self,
        watermarks: Watermarks,
        symbols: Symbols,
        operators: Sequence[Operator],
        universe: frozenset[str] = frozenset(),
        progress: Alignment | None = None,
        max_jump_ns: int = 0,
        *,
        sessions: bool = False,
        late_by_window: bool = False,
        corrects: bool = False,
    ) -> None:
        """Hand over the bars of ``universe``, and the closes of sessions where ``sessions``.

        ``progress``: the windows of these bars, whose ends are told as they pass.

        ``late_by_window``: a trade behind the watermark is kept for the bars that are still open.
        ``corrects``: whether trades can be cancelled and corrected.
        """
        self.watermarks = watermarks
        self.symbols = symbols
        self.operators = operators
        self._topic = ""
        self._universe = universe
        self._jumps = Jumps(max_jump_ns, watermarks.lateness_ns)
        self._hands_over = bool(universe) or sessions
        self._late_by_window = late_by_window
        self._corrects = corrects
        self._windows = progress
        self._progress: NDArray[np.int64] = np.empty(0, np.int64)

    def process(self, item: TickBlock, outbox: Outbox) -> Iterable[Any]:
        """Work on one block; return what those who combine partitions need, and dead letters."""
        block, dead = self._jumps.sift(item, self.watermarks.newest())
        return [*dead, *self._work_on(block, outbox)]

    def finish(self, outbox: Outbox) -> Iterable[Handover]:
        """Work on the ticks that are ahead, which the end of a recording leaves waiting."""
        rest = self._jumps.rest()
        return () if rest is None else self._work_on(rest, outbox)

    def _work_on(self, item: TickBlock, outbox: Outbox) -> Iterable[Handover]:
        released = self.symbols.sweep(self.watermarks.current)
        if len(released):
            for operator in self.operators:
                operator.release(released)
        if not len(item):
            return ()
        blocks = item.up_to_corrections() if self._corrects else (item,)
        handed = [self._process(block, outbox) for block in blocks]
        return [handover for handover in handed if handover is not None]

    def measure(self, now_ns: int) -> None:
        """Set the watermark delay of the shard's partitions."""
        for partition, watermark in enumerate(self.watermarks.current.tolist()):
            if watermark != UNKNOWN_NS:
                delay = WATERMARK_DELAY.labels(self._topic, str(partition))
                delay.set((now_ns - watermark) / NS)

    def describe(self, key: str) -> dict[str, Any]:
        """Return what the state says of a symbol, by partition; empty where it is unknown."""
        found: dict[str, Any] = {}
        for partition in self.symbols.partitions_of(key):
            slot = self.symbols.slot_of(partition, key)
            assert slot is not None
            parts = {operator.name: operator.describe(slot) for operator in self.operators}
            watermark = int(self.watermarks.current[partition])
            found[str(partition)] = {
                "watermark_ns": watermark,
                **{k: v for k, v in parts.items() if v},
            }
        return found

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the whole state as plain values."""
        return {
            "watermark": self.watermarks.snapshot(),
            "symbols": self.symbols.snapshot(),
            "operators": {operator.name: operator.snapshot() for operator in self.operators},
            "progress": pack_array(self._progress),
            "jumps": self._jumps.snapshot(),
        }

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        self.watermarks.restore(parts["watermark"])
        self.symbols.restore(parts["symbols"])
        kept = parts["operators"]
        # Operators that see ticks in order stood beside the others before there was an order.
        kept = {"in_order": {"operators": kept}} | kept
        for operator in self.operators:
            operator.restore(kept[operator.name])
        self._progress = unpack_array(parts["progress"])
        self._jumps.restore(parts.get("jumps", {}))  # at first nothing was held

    def _process(self, block: TickBlock, outbox: Outbox) -> Handover | None:
        """Work on a block of which a correction that is to be applied is the last row."""
        self._topic = block.topic
        RECORDS.labels(block.topic).inc(len(block))
        outbox.timestamp_ns = int(block.timestamp_ns.max())
        work = self._begin(block)
        for operator in self.operators:
            operator.process(work, outbox)
        _count(work)
        return self._handover(work)

    def _begin(self, block: TickBlock) -> Work:
        after, late, behind = self.watermarks.advance(
            block.partitions, block.partition, block.ts_ns, block.retried
        )
        rows = len(block)
        refused = late & (block.kind != TRADE) if behind and self._late_by_window else late
        # A correction counts by the age of its trade, not by its own.
        kept = ~refused | (block.kind == CORRECTION)
        return Work(
            block=block,
            slot=self.symbols.assign(block, after, refused),
            venue=self.symbols.venue_numbers(block),
            watermark=after,
            late=late,
            too_old=np.zeros(rows, np.bool_),
            duplicate=np.zeros(rows, np.bool_),
            keep=(block.kind != HEARTBEAT) & kept,
            counts=np.zeros(rows, np.bool_),
            placed=np.zeros(rows, np.bool_),
            names=self.symbols.names,
            venues=self.symbols.venue_names,
            aside=behind > 0 or bool(block.retried.any()),
        )

    def _handover(self, work: Work) -> Handover | None:
        """Return what those who combine partitions need of a block; None where that is nothing."""
        topic, partitions = work.block.topic, work.block.partitions
        progress = self._passed() if self._hands_over else {}
        homes = self.symbols.take_homes()
        if not progress and not homes and not work.session_closes:
            return None
        closes = self._closes(work) if progress else []
        return Handover(topic, partitions, progress, closes, work.session_closes, homes)

    def _passed(self) -> dict[int, int]:
        """Return the partitions' progress where it moved."""
        assert self._windows is not None
        now = self.watermarks.current
        self._progress = grown(self._progress, len(now), UNKNOWN_NS)
        passed = np.where(now == UNKNOWN_NS, UNKNOWN_NS, self._windows.starts(now))
        moved = np.flatnonzero(passed != self._progress[: len(now)])
        self._progress[moved] = passed[moved]
        return dict(zip(moved.tolist(), passed[moved].tolist(), strict=True))

    def _closes(self, work: Work) -> list[Close]:
        f = work.forecasts
        if f is None:
            return []
        names = [work.names[slot] for slot in f.slot.tolist()]
        columns = [column.tolist() for column in (f.end_ns, f.ret, f.has_return, f.price)]
        return [
            Close(end_ns, name, ret, has_return, price)
            for name, end_ns, ret, has_return, price in zip(names, *columns, strict=True)
            if name in self._universe
        ]


def _count(work: Work) -> None:
    """Count the heartbeats of a block, and the ticks that the state has taken in.

    These are the ones that found a window and the trades that do not count by their condition.
    With what is late and what is a duplicate they are all (`replay.accounts`).
    """
    kind, topic = work.block.kind, work.block.topic
    beats = int(np.count_nonzero(kind == HEARTBEAT))
    if beats:
        HEARTBEATS.labels(topic).inc(beats)
    kept = work.placed | (work.keep & (kind == TRADE) & ~work.counts)
    KEPT.labels(topic).inc(int(np.count_nonzero(kept)))
