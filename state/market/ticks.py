"""Market ticks as a columnar block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from state.records import Coordinates, DeadLetter

HEARTBEAT, TRADE, QUOTE, CORRECTION = 0, 1, 2, 3
"""Values of ``TickBlock.kind``; a cancel is a correction that leaves nothing."""

SIDES = ("", "buy", "sell")
"""``TickBlock.side`` indexes this; the aggressor of a trade, '' where unknown."""

NO_SEQ = -1
"""``TickBlock.seq`` of a tick that has no sequence number."""

ZERO = 5e-324
"""A quote's price of 0, where a symbol may have it; 0.0 says nothing of a side."""

MAX_SYMBOL, MAX_VENUE, MAX_CONDITION = 32, 16, 32
"""The most UTF-8 bytes that a symbol, a venue and a condition may have."""


def quoted(price: float) -> float:
    """Return a price of a quote as it is told."""
    return 0.0 if price == ZERO else price


class Correction(NamedTuple):
    """What has become of a trade of the same symbol and venue; a size of 0: nothing is left.

    The trade is the one of this event time, this number, or both; 0 and NO_SEQ are not said.
    """

    trade_ts_ns: int
    trade_seq: int
    price: float = 0.0
    size: float = 0.0
    condition: str = ""


@dataclass(slots=True)
class TickBlock:
    """Ticks of one shard by column, in offset order within each partition.

    Row i came from ``(topic, partition[i], offset[i], sequence[i])``. ``symbol``,
    ``venue`` and ``condition`` are int32 codes into ``symbols``, ``venues`` and
    ``conditions`` (-1 in a heartbeat's row; code of '' where a field is absent).
    Times are int64 ns since 1970 UTC: ``ts_ns`` event, ``recv_ns`` receive (0 where
    absent), ``timestamp_ns`` Kafka. A trade has ``price`` and ``size``; a quote has its
    bid in ``price`` and ``size`` and its ask in ``ask`` and ``ask_size``, where a price
    of 0 means that the quote says nothing of that side. ``seq`` is NO_SEQ where absent.
    ``retried`` marks a retried dead letter. ``dead`` are the messages that could not
    be decoded. ``corrections`` are those of the rows of that kind, in their order; such a row has
    the price and size 0. ``ranges``: see Messages. ``newest``: the largest event time of each
    partition's rows, heartbeats included, by which a source paces its partitions;
    ``least``: the smallest of each partition's last event times.
    """

    topic: str
    partitions: int
    partition: NDArray[np.int32]
    offset: NDArray[np.int64]
    sequence: NDArray[np.int32]
    timestamp_ns: NDArray[np.int64]
    kind: NDArray[np.uint8]
    symbol: NDArray[np.int32]
    venue: NDArray[np.int32]
    condition: NDArray[np.int32]
    side: NDArray[np.uint8]
    ts_ns: NDArray[np.int64]
    recv_ns: NDArray[np.int64]
    price: NDArray[np.float64]
    size: NDArray[np.float64]
    ask: NDArray[np.float64]
    ask_size: NDArray[np.float64]
    seq: NDArray[np.int64]
    retried: NDArray[np.bool_]
    symbols: list[str]
    venues: list[str]
    conditions: list[str]
    corrections: list[Correction] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    ranges: dict[int, tuple[int, int]] = field(default_factory=dict)
    newest: dict[int, int] = field(default_factory=dict)
    least: dict[int, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ts_ns)

    def up_to_corrections(self) -> Iterator[TickBlock]:
        """Return the rows in blocks, of which each correction ends one; the usual block itself."""
        if not self.corrections:
            yield self
            return
        ends = [*(np.flatnonzero(self.kind == CORRECTION) + 1).tolist(), len(self)]
        begin = 0
        for end, correction in zip(ends, [*self.corrections, None], strict=True):
            if begin < end:
                yield self._rows(slice(begin, end), [correction] if correction else [])
            begin = end

    def _rows(self, rows: slice, corrections: list[Correction]) -> TickBlock:
        columns = {
            column.name: getattr(self, column.name)[rows]
            for column in fields(self)
            if isinstance(getattr(self, column.name), np.ndarray)
        }
        return replace(self, corrections=corrections, **columns)

    def coordinates(self, row: int) -> Coordinates:
        """Return the coordinates of one tick."""
        return Coordinates(
            self.topic, int(self.partition[row]), int(self.offset[row]), int(self.sequence[row])
        )
