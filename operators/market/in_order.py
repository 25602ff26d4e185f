"""Ticks in the order of event time, for what an older tick that comes later must not change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.arrays import grown
from operators.market.kernels import in_order as kernel
from operators.market.operator import Operator
from operators.market.work import Forecasts, Work
from operators.outputs import Outbox
from operators.watermark import UNKNOWN_NS
from state.market.ticks import HEARTBEAT, QUOTE, TickBlock
from state.snapshots import pack_array, unpack_array

_ALL = 9_223_372_036_854_775_807


class InOrder:
    """Runs operators over the ticks by (event time, sequence number, arrival), once that is known.

    Kept quotes, and trades that count where ``trades``, are held until the watermark of their
    partition has passed them: then none can come that belongs before them. What these operators
    emit is so later by the lateness at most, and no order of arrival within it changes it.

    They see a block of their own. Its rows are by partition, and `Work.watermark` of each is its
    own event time; behind a partition's ticks, a row of kind HEARTBEAT has its watermark as the
    time. A tick without a sequence number comes before those of its time that have one. A retried
    tick that is behind the watermark is not among them.
    """

    name = "in_order"

    def __init__(self, operators: Sequence[Operator], *, trades: bool) -> None:
        self._operators = list(operators)
        self._trades = trades
        self._keys: NDArray[np.int64] = np.empty((0, 0, 3), np.int64)
        self._begin: NDArray[np.int64] = np.empty(0, np.int64)
        self._end: NDArray[np.int64] = np.empty(0, np.int64)
        self._ticks: NDArray[np.int64] = np.empty((0, 6), np.int64)
        self._free: NDArray[np.int32] = np.empty(0, np.int32)
        self._tally = np.zeros(1, np.int64)

    def process(self, work: Work, outbox: Outbox) -> None:
        """Hold the block's ticks, and run the operators over those that its watermarks passed."""
        self._hold(work)
        ordered = self._released(work)
        for operator in self._operators:
            operator.process(ordered, outbox)

    def release(self, slots: NDArray[np.int32]) -> None:
        """Forget the symbols in these slots, whose ticks the watermark has passed long ago."""
        for operator in self._operators:
            operator.release(slots)

    def describe(self, slot: int) -> dict[str, Any]:
        """Return how many ticks of the symbol are held, and what the operators say of it."""
        _, _, places = self._all()
        held = int(np.count_nonzero(self._ticks[places, kernel.WHAT] >> 32 == slot))
        parts = {operator.name: operator.describe(slot) for operator in self._operators}
        return {"held": held} | {name: part for name, part in parts.items() if part}

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the held ticks, in order, and of the operators' state."""
        partition, keys, places = self._all()
        return {
            "partition": pack_array(partition),
            "keys": pack_array(keys),
            "ticks": pack_array(self._ticks[places]),
            "operators": {operator.name: operator.snapshot() for operator in self._operators},
        }

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        for operator in self._operators:
            operator.restore(parts["operators"][operator.name])
        if "keys" not in parts:
            return  # of a version that held none
        partition, keys = unpack_array(parts["partition"]), unpack_array(parts["keys"])
        self._ticks = unpack_array(parts["ticks"])
        self._free = np.empty(len(keys), np.int32)
        self._tally[0] = 0
        keys[:, kernel.PLACE] &= ~kernel.LOW
        keys[:, kernel.PLACE] |= np.arange(len(keys))
        held = np.bincount(partition).astype(np.int64)
        self._begin, self._end = np.zeros(len(held), np.int64), held
        self._keys = np.empty((len(held), int(held.max(initial=0)), 3), np.int64)
        for p, mine in enumerate(np.split(keys, np.cumsum(held)[:-1]) if len(held) else ()):
            self._keys[p, : len(mine)] = mine

    def _held(self) -> tuple[Any, ...]:
        """Return what is held as the kernels take it."""
        return (
            self._keys, self._begin, self._end, self._ticks, self._ticks.view(np.float64),
            self._free, self._tally,
        )  # fmt: skip

    def _all(self) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]:
        """Return partition, key and place of all that is held."""
        counts = self._end - self._begin
        partition = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        within = [k[b:e] for k, b, e in zip(self._keys, self._begin, self._end, strict=True)]
        keys = np.concatenate([np.empty((0, 3), np.int64), *within])
        return partition, keys, keys[:, kernel.PLACE] & kernel.LOW

    def _hold(self, work: Work) -> None:
        block = work.block
        self._make_room(block.partitions, len(block))
        chosen = work.keep & (block.kind == QUOTE)
        if self._trades:
            chosen |= work.counts
        if work.aside:  # only a retried tick is kept behind the watermark
            chosen &= block.ts_ns >= work.watermark
        rows = (
            block.partition, work.slot, work.venue, block.kind, block.side, block.offset,
            block.sequence, block.ts_ns, block.seq, block.price, block.size, block.ask,
            block.ask_size,
        )  # fmt: skip
        work.placed |= chosen
        done = kernel.append(rows, chosen, self._held())
        if done < len(block):
            rest = done + np.flatnonzero(chosen[done:])
            by_time = np.lexsort((block.seq[rest], block.ts_ns[rest], block.partition[rest]))
            kernel.merge(rest[by_time], rows, self._held())

    def _make_room(self, partitions: int, rows: int) -> None:
        """Make room for a block whose rows are all of one partition."""
        self._begin, self._end = grown(self._begin, partitions), grown(self._end, partitions)
        held = self._end - self._begin
        most, room = int(held.max(initial=0)), self._keys.shape[1]
        # At least half of a partition's room is empty when its keys go to the front, so that they
        # do so once for as many ticks as they are.
        if len(self._keys) < len(held) or room < 2 * most + rows:
            kernel.to_the_front(self._keys, self._begin[: len(self._keys)], self._end)
            bigger = np.empty((len(held), max(room, 3 * most + 2 * rows), 3), np.int64)
            # What is not written takes no memory: most partitions may be other shards'.
            for p, count in enumerate(held[: len(self._keys)].tolist()):
                bigger[p, :count] = self._keys[p, :count]
            self._keys = bigger
        elif int(self._end.max(initial=0)) + rows > room:
            kernel.to_the_front(self._keys, self._begin, self._end)
        had = len(self._ticks)
        if self._tally[0] < rows:
            self._ticks = grown(self._ticks, had + rows)
            self._free = grown(self._free, had + rows)
            more = np.arange(had, len(self._ticks), dtype=np.int32)
            self._free[self._tally[0] : self._tally[0] + len(more)] = more
            self._tally[0] += len(more)

    def _released(self, work: Work) -> Work:
        """Return the ticks that the block's watermarks have passed, and the watermarks."""
        block = work.block
        reached = np.full(len(self._begin), UNKNOWN_NS, np.int64)
        kernel.latest(block.partition, work.watermark, reached)
        rows = kernel.count_due(reached, self._held())
        rows += int(np.count_nonzero(reached != UNKNOWN_NS))
        ends = np.empty(len(reached), np.int64)
        columns = _columns(rows)
        kernel.release(reached, UNKNOWN_NS, HEARTBEAT, self._held(), columns, ends)
        ordered = _work_of(work, columns)
        if work.forecasts is not None:
            ordered.forecasts = _by_time(work.forecasts, ordered.block.ts_ns, ends)
        return ordered


def _columns(rows: int) -> tuple[Any, ...]:
    dtypes = (
        np.int32, np.int32, np.int32, np.uint8, np.uint8, np.int64, np.int32, np.int64, np.int64,
        np.float64, np.float64, np.float64, np.float64,
    )  # fmt: skip
    return tuple(np.empty(rows, dtype) for dtype in dtypes)


def _work_of(work: Work, columns: tuple[Any, ...]) -> Work:
    """Return released ticks as a block whose symbols and venues are the shard's own numbers."""
    (
        partition, slot, venue, kind, side, offset, sequence, ts_ns, seq, price, size, ask, ask_size
    ) = columns  # fmt: skip
    rows = len(slot)
    nothing, no = np.zeros(rows, np.int64), np.zeros(rows, np.bool_)
    block = TickBlock(
        topic=work.block.topic,
        partitions=work.block.partitions,
        partition=partition,
        offset=offset,
        sequence=sequence,
        timestamp_ns=nothing,
        kind=kind,
        symbol=slot,
        venue=venue,
        condition=np.full(rows, -1, np.int32),
        side=side,
        ts_ns=ts_ns,
        recv_ns=nothing,
        price=price,
        size=size,
        ask=ask,
        ask_size=ask_size,
        seq=seq,
        retried=no,
        symbols=work.names,
        venues=work.venues,
        conditions=[],
    )
    tick = kind != HEARTBEAT
    return Work(
        block=block,
        slot=slot,
        venue=venue,
        watermark=ts_ns,
        late=no,
        too_old=no,
        duplicate=no,
        keep=tick,
        counts=tick & (kind != QUOTE),
        placed=np.zeros(rows, np.bool_),
        names=work.names,
        venues=work.venues,
        aside=False,
    )


def _by_time(forecasts: Forecasts, ts_ns: NDArray[np.int64], ends: NDArray[np.int64]) -> Forecasts:
    """Return the forecasts at the rows from which on they count: those of the bar's end or later.

    A bar closes when the watermark has passed its end, so none of these rows was released before.
    """
    at_row = np.empty(len(forecasts), np.int64)
    for p in np.unique(forecasts.partition).tolist():
        mine = forecasts.partition == p
        first = int(ends[p - 1]) if p else 0
        at_row[mine] = first + np.searchsorted(ts_ns[first : ends[p]], forecasts.end_ns[mine])
    order = np.lexsort((forecasts.end_ns, at_row))
    return replace(
        forecasts,
        at_row=at_row[order],
        partition=forecasts.partition[order],
        slot=forecasts.slot[order],
        end_ns=forecasts.end_ns[order],
        price=forecasts.price[order],
        ret=forecasts.ret[order],
        has_return=forecasts.has_return[order],
        sigma=forecasts.sigma[order],
        observations=forecasts.observations[order],
    )
