"""One shard's work as a Bytewax step: the operators in order, and the counters of its outputs."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np
from bytewax.operators import StatefulBatchLogic
from numpy.typing import NDArray

from operators.arrays import grown
from operators.market.handover import Close, Handover
from operators.market.operator import Operator
from operators.market.symbols import Symbols
from operators.market.work import Work
from operators.watermark import UNKNOWN_NS, Watermarks
from state.clock import NS, now_ns
from state.market.ticks import HEARTBEAT, TickBlock
from state.metrics import OUTPUTS, RECORDS, SNAPSHOT_BYTES, WATERMARK_DELAY
from state.outputs import to_json
from state.records import DeadLetter, OutputBatch
from state.rows import Event, Rows
from state.snapshots import pack, pack_array, unpack, unpack_array


def dead_letters(item: tuple[str, TickBlock | Rows[Event]]) -> list[tuple[str, DeadLetter]]:
    """Return the dead letters of a block under its shard's name: a step of a flow."""
    name, block = item
    return [(name, letter) for letter in block.dead]


class Outputs:
    """Collects emitted records and counts them by (output, origin).

    A counter depends on the input alone, so after a crash the same record gets the same
    counter again, and a sink knows what it already has. The counters are part of the
    snapshot.
    """

    def __init__(self, counters: dict[str, int] | None = None) -> None:
        self.counters = dict(counters or {})
        self.timestamp_ns = 0
        """The Kafka timestamp of what is being worked on."""
        self._open: dict[tuple[str, str], OutputBatch] = {}

    def emit(
        self,
        output: str,
        partition: int,
        time_ns: int,
        identity: str,
        key: str,
        record: dict[str, Any],
    ) -> None:
        """Add one record (operators.outbox.Outbox)."""
        self.add(output, str(partition), time_ns, identity, key, record)

    def add(
        self,
        output: str,
        origin: str,
        time_ns: int,
        identity: str,
        key: str,
        record: dict[str, Any],
    ) -> None:
        """Add one record of any origin."""
        batch = self._open.get((output, origin))
        if batch is None:
            first = self.counters.get(f"{output}/{origin}", 0) + 1
            batch = self._open[(output, origin)] = OutputBatch(
                output, origin, first, [], [], [], [], self.timestamp_ns
            )
        batch.times_ns.append(time_ns)
        batch.ids.append(identity)
        batch.keys.append(key)
        batch.values.append(to_json(record))

    def take(self) -> list[OutputBatch]:
        """Return what was added since the last call, counted."""
        batches = list(self._open.values())
        self._open.clear()
        for batch in batches:
            self.counters[f"{batch.output}/{batch.origin}"] = batch.first + len(batch) - 1
            OUTPUTS.labels(batch.output).inc(len(batch))
        return batches


class TickShard:
    """Runs the operators over the blocks of one shard.

    The watermark comes first, for nothing may depend on more than the rows before; then the
    symbols get their slots; then each operator sees the whole block.
    """

    def __init__(
        self,
        watermarks: Watermarks,
        symbols: Symbols,
        operators: Sequence[Operator],
        universe: frozenset[str] = frozenset(),
        progress_ns: int = 0,
        *,
        sessions: bool = False,
    ) -> None:
        """Hand over the bars of ``universe``, and the closes of sessions where ``sessions``."""
        self.watermarks = watermarks
        self.symbols = symbols
        self.operators = operators
        self.outputs = Outputs()
        self._topic = ""
        self._universe = universe
        self._hands_over = bool(universe) or sessions
        self._step_ns = progress_ns
        self._progress: NDArray[np.int64] = np.empty(0, np.int64)

    def process(self, block: TickBlock) -> tuple[list[OutputBatch], Handover | None]:
        """Work on one block; return its output and what the portfolios need of it."""
        released = self.symbols.sweep(self.watermarks.current)
        if len(released):
            for operator in self.operators:
                operator.release(released)
        if not len(block):
            return [], None
        self._topic = block.topic
        RECORDS.labels(block.topic).inc(len(block))
        self.outputs.timestamp_ns = int(block.timestamp_ns.max())
        work = self._begin(block)
        for operator in self.operators:
            operator.process(work, self.outputs)
        return self.outputs.take(), self._handover(work) if self._hands_over else None

    def measure(self, now_ns: int) -> None:
        """Set the watermark delay of the shard's partitions."""
        for partition, watermark in enumerate(self.watermarks.current.tolist()):
            if watermark != UNKNOWN_NS:
                delay = WATERMARK_DELAY.labels(self._topic, str(partition))
                delay.set((now_ns - watermark) / NS)

    def describe(self, symbol: str) -> dict[str, Any]:
        """Return what the state says of a symbol, by partition; empty where it is unknown."""
        found: dict[str, Any] = {}
        for partition in self.symbols.partitions_of(symbol):
            slot = self.symbols.slot_of(partition, symbol)
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
            "counters": dict(self.outputs.counters),
            "progress": pack_array(self._progress),
        }

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        self.watermarks.restore(parts["watermark"])
        self.symbols.restore(parts["symbols"])
        for operator in self.operators:
            operator.restore(parts["operators"][operator.name])
        self.outputs = Outputs(parts["counters"])
        self._progress = unpack_array(parts["progress"])

    def _begin(self, block: TickBlock) -> Work:
        after, late, behind = self.watermarks.advance(
            block.partitions, block.partition, block.ts_ns, block.retried
        )
        rows = len(block)
        return Work(
            block=block,
            slot=self.symbols.assign(block, after, late),
            venue=self.symbols.venue_numbers(block),
            watermark=after,
            late=late,
            too_old=np.zeros(rows, np.bool_),
            duplicate=np.zeros(rows, np.bool_),
            keep=(block.kind != HEARTBEAT) & ~late,
            counts=np.zeros(rows, np.bool_),
            placed=np.zeros(rows, np.bool_),
            names=self.symbols.names,
            aside=behind > 0 or bool(block.retried.any()),
        )

    def _handover(self, work: Work) -> Handover | None:
        """Return the closed bars of the universe and the partitions' progress, if it moved."""
        now = self.watermarks.current
        self._progress = grown(self._progress, len(now), UNKNOWN_NS)
        passed = np.where(now == UNKNOWN_NS, UNKNOWN_NS, now - now % self._step_ns)
        moved = np.flatnonzero(passed != self._progress[: len(now)])
        if not len(moved):
            return None
        self._progress[moved] = passed[moved]
        progress = dict(zip(moved.tolist(), passed[moved].tolist(), strict=True))
        topic, partitions = work.block.topic, work.block.partitions
        return Handover(topic, partitions, progress, self._closes(work), work.session_closes)

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


class ShardLogic(StatefulBatchLogic[TickBlock, OutputBatch | Handover, bytes]):
    """A TickShard as a Bytewax step; its snapshot is one pickle of plain values."""

    def __init__(self, shard: TickShard, settings_hash: str, resume: bytes | None) -> None:
        self._shard = shard
        self._hash = settings_hash
        if resume is not None:
            parts = pickle.loads(resume)  # noqa: S301  # our own recovery store
            shard.restore(unpack(parts, settings_hash))

    def on_batch(self, values: list[TickBlock]) -> tuple[list[OutputBatch | Handover], bool]:
        """Work on the blocks in order."""
        items: list[OutputBatch | Handover] = []
        for block in values:
            batches, handover = self._shard.process(block)
            items.extend(batches)
            if handover is not None:
                items.append(handover)
        return items, StatefulBatchLogic.RETAIN

    def snapshot(self) -> bytes:
        """Return the state, versioned."""
        data = pickle.dumps(pack(self._hash, self._shard.snapshot()), protocol=5)
        SNAPSHOT_BYTES.labels("shard").observe(len(data))
        self._shard.measure(now_ns())
        return data
