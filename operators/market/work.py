"""A block of ticks on its way through the operators of a shard, with what they have added."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.market.handover import SessionClose
from operators.market.records import listed
from state.market.ticks import TickBlock


@dataclass(slots=True)
class ClosedBars:
    """Bars that closed within a block, in the order in which they are emitted.

    Sorted by (at_row, interval, start_ns, symbol's name). ``at_row`` int64: the row
    whose event time moved the watermark past the bar's end; the bar closes *before* that
    row is applied. ``slot`` int32: the symbol's state index; ``interval`` int32: index into
    the intervals of the settings. ``partition`` int32. Prices and sums are float64.
    """

    at_row: NDArray[np.int64]
    partition: NDArray[np.int32]
    slot: NDArray[np.int32]
    interval: NDArray[np.int32]
    start_ns: NDArray[np.int64]
    end_ns: NDArray[np.int64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]
    notional: NDArray[np.float64]
    trades: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.at_row)


@dataclass(slots=True)
class Forecasts:
    """New volatility forecasts within a block, sorted as the bars that caused them.

    From ``at_row`` on (inclusive) the symbol in ``slot`` has the reference price
    ``price`` and the forecast standard deviation ``sigma`` of its next simple return;
    ``observations`` counts the returns that made it. ``end_ns`` is the end of the bar, ``ret`` its
    return; ``has_return`` is false where there was no bar before it in its session.
    """

    at_row: NDArray[np.int64]
    partition: NDArray[np.int32]
    slot: NDArray[np.int32]
    end_ns: NDArray[np.int64]
    price: NDArray[np.float64]
    ret: NDArray[np.float64]
    has_return: NDArray[np.bool_]
    sigma: NDArray[np.float64]
    observations: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.at_row)


@dataclass(slots=True)
class Work:
    """A block on its way through the operators, with what they have added.

    ``slot`` int32[n]: the symbol's state index (-1 in a heartbeat's row).
    ``watermark`` int64[n]: the partition's watermark after this row.
    ``venue`` int32[n]: the shard's number of the venue (the block's codes are its own).
    ``late`` bool[n]: behind the watermark; ``too_old``: its sequence number is;
    ``duplicate``: seen before. ``keep`` bool[n]: a tick that is none of these, or a late trade
    that may still count in bars.
    ``counts`` bool[n]: kept trades whose conditions let them count.
    ``placed`` bool[n]: kept ticks that some window has taken in.
    ``names``: the symbol of each slot; ``venues``: the venue of each number. ``aside``: whether
    any row is late, too old or retried, so that the usual block, which has none, is not searched
    for them.
    """

    block: TickBlock
    slot: NDArray[np.int32]
    venue: NDArray[np.int32]
    watermark: NDArray[np.int64]
    late: NDArray[np.bool_]
    too_old: NDArray[np.bool_]
    duplicate: NDArray[np.bool_]
    keep: NDArray[np.bool_]
    counts: NDArray[np.bool_]
    placed: NDArray[np.bool_]
    names: list[str]
    venues: list[str]
    aside: bool
    bars: ClosedBars | None = None
    """None where no bar closed."""
    forecasts: Forecasts | None = None
    """None where no forecast was made."""
    nbbo: NDArray[np.float64] | None = None
    """float64[n, 4]: (bid, size, ask, size) of the symbol after each kept quote's row, price 0
    where a side is absent; other rows hold nothing. None where the block has no kept quote, and
    where the ticks are not in the order of event time (`operators.market.in_order`)."""
    session_closes: list[SessionClose] = field(default_factory=list)
    """Of sessions that ended within the block, for whoever combines partitions."""

    def listed(self, row: int) -> dict[str, Any]:
        """Return how a tick is listed by its coordinates: TICK_BY_COORDINATES of the outputs."""
        where, ts_ns = self.block.coordinates(row), int(self.block.ts_ns[row])
        return listed(where, ts_ns, self.names[self.slot[row]])
