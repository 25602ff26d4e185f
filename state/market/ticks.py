"""Market ticks as a columnar block."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from state.records import Coordinates, DeadLetter

HEARTBEAT, TRADE, QUOTE = 0, 1, 2
"""Values of ``TickBlock.kind``."""

SIDES = ("", "buy", "sell")
"""``TickBlock.side`` indexes this; the aggressor of a trade, '' where unknown."""

NO_SEQ = -1
"""``TickBlock.seq`` of a tick that has no sequence number."""

MAX_SYMBOL, MAX_VENUE, MAX_CONDITION = 32, 16, 32
"""The most UTF-8 bytes that a symbol, a venue and a condition may have."""


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
    be decoded. ``ranges``: see Messages. ``newest``: the largest event time of each
    partition's rows, heartbeats included, by which a source paces its partitions.
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
    dead: list[DeadLetter] = field(default_factory=list)
    ranges: dict[int, tuple[int, int]] = field(default_factory=dict)
    newest: dict[int, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ts_ns)

    def coordinates(self, row: int) -> Coordinates:
        """Return the coordinates of one tick."""
        return Coordinates(
            self.topic, int(self.partition[row]), int(self.offset[row]), int(self.sequence[row])
        )
