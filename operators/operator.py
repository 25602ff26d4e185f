"""What an operator of the hot path is, and what it works on.

A shard runs its operators one after another over each block (flows/shard.py). An
operator sees the block's rows in order and may depend on nothing else: not on where
the block was cut, nor on the time of day.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from operators.market.handover import SessionClose
from state.market.ticks import TickBlock
from state.snapshots import pack_array, unpack_array


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
    ``duplicate``: seen before. ``keep`` bool[n]: a tick that is none of these.
    ``counts`` bool[n]: kept trades whose conditions let them count.
    ``placed`` bool[n]: kept ticks that some window has taken in.
    ``names``: the symbol of each slot. ``aside``: whether any row is late, too old or retried,
    so that the usual block, which has none, is not searched for them.
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
    aside: bool
    bars: ClosedBars | None = None
    """None where no bar closed."""
    forecasts: Forecasts | None = None
    """None where no forecast was made."""
    nbbo: NDArray[np.float64] | None = None
    """float64[n, 4]: (bid, size, ask, size) of the symbol after each kept quote's row, price 0
    where a side is absent; other rows hold nothing. None where the block has no kept quote."""
    session_closes: list[SessionClose] = field(default_factory=list)
    """Of sessions that ended within the block, for whoever combines partitions."""
    extra: dict[str, Any] = field(default_factory=dict)


Array = TypeVar("Array", bound=NDArray[Any])


def grown(values: Array, length: int, fill: float = 0) -> Array:
    """Return ``values``, or a copy at least twice as long, so that ``length`` rows fit."""
    if len(values) >= length:
        return values
    bigger = np.full((max(length, 2 * len(values), 16), *values.shape[1:]), fill, values.dtype)
    bigger[: len(values)] = values
    return bigger  # type: ignore[return-value]  # numpy cannot say that the dtype is the same


class Outbox(Protocol):
    """Where an operator puts its output records, row by row in order."""

    def emit(
        self,
        output: str,
        partition: int,
        time_ns: int,
        identity: str,
        key: str,
        record: dict[str, Any],
    ) -> None:
        """Add one record of ``output`` that input ``partition`` caused.

        ``record`` holds plain values without NaN; ``identity`` is also its ``id`` field;
        ``key`` is '' where the output is not keyed. An operator emits in the order of
        the rows, and only one operator of a flow emits an output.
        """


class Operator(Protocol):
    """One step of a shard's work; all of its state is in its snapshot."""

    @property
    def name(self) -> str:
        """Return what names its part of the snapshot; never changed once released."""

    def process(self, work: Work, outbox: Outbox) -> None:
        """Work on one block: change the state, add to ``work``, emit records."""

    def release(self, slots: NDArray[np.int32]) -> None:
        """Forget the symbols in these slots, which are about to be given to others."""

    def describe(self, slot: int) -> dict[str, Any]:
        """Return what the state says of one symbol, as plain values for people to read."""

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state as plain values (state/snapshots.py)."""

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""


class Stateless:
    """What an operator that keeps nothing has to say of its state."""

    def release(self, slots: NDArray[np.int32]) -> None:
        """Nothing is kept."""

    def describe(self, slot: int) -> dict[str, Any]:
        """Nothing is kept."""
        return {}

    def snapshot(self) -> dict[str, Any]:
        """Nothing is kept."""
        return {}

    def restore(self, parts: dict[str, Any]) -> None:
        """Nothing is kept."""


class PerSymbol:
    """State of one number per symbol in each of some named columns, 0 where nothing is known."""

    def __init__(self, **columns: type[np.generic]) -> None:
        self.columns: dict[str, NDArray[Any]] = {
            name: np.empty(0, dtype) for name, dtype in columns.items()
        }

    def room_for(self, slots: int) -> list[NDArray[Any]]:
        """Return the columns, in the order of their declaration, grown to ``slots`` symbols."""
        for name, column in self.columns.items():
            self.columns[name] = grown(column, slots)
        return list(self.columns.values())

    def release(self, slots: NDArray[np.int32]) -> None:
        """Set the symbols in these slots back to 0."""
        for column in self.columns.values():
            column[slots[slots < len(column)]] = 0

    def describe(self, slot: int) -> dict[str, Any]:
        """Return the symbol's number in each column."""
        return {
            name: column[slot].item() for name, column in self.columns.items() if slot < len(column)
        }

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the columns."""
        return {name: pack_array(column) for name, column in self.columns.items()}

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's columns."""
        for name in self.columns:
            self.columns[name] = unpack_array(parts[name])
