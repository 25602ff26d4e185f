"""Limit Up-Limit Down: price bands, limit states and trading pauses.

The rules are those of the National Market System Plan to Address Extraordinary Market Volatility
(the LULD Plan, SEC File No. 4-631), with these choices where its text leaves them or needs what
a stream of ticks does not hold:

- Reference price: the first trade that counts in a session, or after a pause; then the mean of the
  prices of the trades that counted in the last five minutes. It is looked at where 30 seconds
  of UTC end, over the ten of them before, and replaces the one in force where it differs by 1 % or
  more; so each but the first is in force for 30 s at least. Where nothing traded, the one in
  force stays.
- Bands: above $3, 5 % (tier 1) or 10 % (tier 2); from $0.75 to $3, 20 %; below, the lesser of $0.15
  and 75 %; by the reference price itself (the Plan: by the last closing price). Twice as wide in
  the first 15 and the last 25 minutes of a session for both tiers (the Plan until its amendment
  18). Rounded to the cent; not below 0, and a band of 0 is never reached.
- Limit state: the national best bid at or above the upper band, or the best ask at or below the
  lower one. A crossed quote counts too: one-sided quotes of many venues are crossed for moments.
  The bands stand still in it; prices back within them set them anew, by the same reference price
  and the time, and it is left where these are not reached either. Trading is paused for 5 minutes
  where it was not left for 15 s.
- A pause ends by itself, for nobody here sees the reopening auction: there are no bands until the
  first trade. Trades within a pause do not count. The end of the session ends everything.

Time is event time: ticks come in its order (`operators.market.in_order`), so what changes at a
time is known when the watermark has passed it, which is later by the lateness.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.arrays import grown
from operators.market.bars import by_name
from operators.market.kernels import bands
from operators.market.kernels import luld as kernel
from operators.market.work import Work
from operators.outputs import Outbox
from state.market.ticks import QUOTE
from state.snapshots import pack_array, unpack_array

STATES = ("open", "limit_up", "limit_down", "paused")

ROOM = 256
"""How many changes the kernel writes before it hands them over."""

BLANK = np.zeros(13, np.int64)
BLANK[[bands.LAST, bands.PHASE, bands.CHANGED]] = bands.UNUSED
BLANK[[bands.DEADLINE, bands.DUE]] = bands.NEVER
BLANK[bands.PARTITION] = -1
BLANK.setflags(write=False)


class LimitUpDown:
    """Emits ``bands``: each change of a symbol's reference price, bands or state.

    ``tiers``: 1 or 2 by symbol, else 2. ``open_ns`` and ``close_ns`` int64[sessions]: when the
    sessions open and close, ascending; without any, one session never ends, never wider.
    ``ttl_ns`` is the time to live of a symbol behind its last tick that counts.
    """

    name = "luld"

    def __init__(
        self,
        tiers: Mapping[str, int],
        open_ns: NDArray[np.int64],
        close_ns: NDArray[np.int64],
        ttl_ns: int,
    ) -> None:
        self._tiers = dict(tiers)
        self._open_ns, self._close_ns = open_ns, close_ns
        self._ttl_ns = ttl_ns
        self._whole: NDArray[np.int64] = np.empty((0, len(BLANK)), np.int64)
        self._real: NDArray[np.float64] = np.empty((0, 8))
        self._sums: NDArray[np.float64] = np.empty((0, bands.BUCKETS))
        self._counts: NDArray[np.int64] = np.empty((0, bands.BUCKETS), np.int64)
        self._soonest: NDArray[np.int64] = np.empty(0, np.int64)

    def process(self, work: Work, outbox: Outbox) -> None:
        """Follow the block's trades, quotes and watermarks; emit what changes."""
        self._make_room(work)
        whole, real = self._follow(work)
        if len(whole) > 1:
            # Stable; by time, since a symbol's next change may be due after another symbol's.
            order = np.lexsort((by_name(whole[:, 1], work.names), whole[:, 2], whole[:, 0]))
            whole, real = whole[order], real[order]
        for change, prices in zip(whole.tolist(), real.tolist(), strict=True):
            where, slot = change[:2]
            record = bands_record(work.names[slot], *change[2:], *prices)
            partition = int(work.block.partition[where // 2])
            outbox.emit("bands", partition, record["ts_ns"], record["id"], record["symbol"], record)

    def release(self, slots: NDArray[np.int32]) -> None:
        """Forget the symbols in these slots; their time to live has ended what they were in."""
        slots = slots[slots < len(self._whole)]
        self._whole[slots] = BLANK
        self._real[slots] = 0.0
        self._sums[slots] = 0.0
        self._counts[slots] = 0

    def describe(self, slot: int) -> dict[str, Any]:
        """Return the symbol's state, reference price and bands."""
        if slot >= len(self._whole) or self._whole[slot, bands.TIER] == 0:
            return {}
        row, prices = self._whole[slot].tolist(), self._real[slot].tolist()
        return {
            "state": STATES[row[bands.STATE]],
            "reference": prices[bands.REFERENCE],
            "lower": prices[bands.LOWER],
            "upper": prices[bands.UPPER],
            "due_ns": row[bands.DUE],
        }

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state."""
        return {
            "whole": pack_array(self._whole),
            "real": pack_array(self._real),
            "sums": pack_array(self._sums),
            "counts": pack_array(self._counts),
        }

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        self._whole, self._real = unpack_array(parts["whole"]), unpack_array(parts["real"])
        if self._whole.shape[1] > len(BLANK):  # once, a symbol's ticks had a clock of their own
            self._whole = np.ascontiguousarray(np.delete(self._whole, 11, axis=1))
        self._sums, self._counts = unpack_array(parts["sums"]), unpack_array(parts["counts"])
        home = self._whole[:, bands.PARTITION]
        self._soonest = np.full(int(home.max(initial=-1)) + 1, bands.NEVER, np.int64)
        used = home >= 0
        np.minimum.at(self._soonest, home[used], self._whole[used, bands.DUE])

    def _make_room(self, work: Work) -> None:
        had = len(self._whole)
        self._whole = grown(self._whole, len(work.names))
        self._whole[had:] = BLANK
        self._real = grown(self._real, len(work.names))
        self._sums = grown(self._sums, len(work.names))
        self._counts = grown(self._counts, len(work.names))
        self._soonest = grown(self._soonest, work.block.partitions, bands.NEVER)
        slots = work.slot[work.slot >= 0]
        for slot in np.unique(slots[self._whole[slots, bands.TIER] == 0]).tolist():
            self._whole[slot, bands.TIER] = self._tiers.get(work.names[slot], 2)

    def _follow(self, work: Work) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the changes: int64[k, 5] and float64[k, 3] as the kernel gives them."""
        block = work.block
        quoted = work.keep & (block.kind == QUOTE)
        nbbo = np.empty((0, 4)) if work.nbbo is None else work.nbbo
        counts = work.counts & (block.price > 0)  # bands are shares of a price
        rows = block.partition, work.slot, block.ts_ns, counts, quoted, block.price, nbbo
        rules = self._open_ns, self._close_ns, self._ttl_ns
        symbols = self._whole, self._real, self._sums, self._counts, self._soonest
        taken = np.zeros(1, np.int64)
        whole, real = [], []
        row = 0
        while row < len(block):
            out = np.empty((ROOM, 5), np.int64), np.empty((ROOM, 3))
            row = kernel.follow(row, rows, rules, symbols, out, taken)
            whole.append(out[0][: taken[0]])
            real.append(out[1][: taken[0]])
        return np.concatenate(whole), np.concatenate(real)


def bands_record(
    symbol: str, ts_ns: int, number: int, state: int, reference: float, lower: float, upper: float
) -> dict[str, Any]:
    """Return one ``bands`` record; prices are None where there is no reference price.

    The identity is the symbol's version: the time, and which change at that time it is.
    """
    known = reference > 0.0
    return {
        "id": f"{symbol}|{ts_ns}|{number:06}",
        "ts_ns": ts_ns,
        "symbol": symbol,
        "reference": reference if known else None,
        "lower": lower if known else None,
        "upper": upper if known else None,
        "state": STATES[state],
    }
