"""Ticks that jump ahead of their partition wait until it is clear whose clock is wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.market.kernels import jumps as kernel
from operators.market.records import TYPES
from state.clock import NS
from state.errors import AheadOfOthers
from state.market.ticks import (
    CORRECTION,
    NO_SEQ,
    QUOTE,
    SIDES,
    TRADE,
    Correction,
    TickBlock,
    quoted,
)
from state.outputs import to_json
from state.records import DeadLetter
from state.snapshots import pack_array, unpack_array

COLUMNS = (
    "partition", "offset", "sequence", "timestamp_ns", "kind", "symbol", "venue", "condition",
    "side", "ts_ns", "recv_ns", "price", "size", "ask", "ask_size", "seq", "retried",
)  # fmt: skip
CODES = {"symbol": "symbols", "venue": "venues", "condition": "conditions"}
"""The columns of codes, and the lists that these index."""


class Jumps:
    """Holds ticks that are more than ``max_jump`` ahead of the newest time of their partition.

    A producer whose clock is ahead would move the watermark, and all others would be late; but
    after a pause the next tick is as far ahead, and right. What comes next in the partition tells:

    - a tick or a heartbeat that is neither ahead nor late: the held ones that are still ahead of it
      are refuted, which makes them dead letters;
    - 64 messages ahead in a row, or one that is a tenth of ``max_jump`` apart from the first of
      them, or a heartbeat that is as far ahead: there was a pause, and all go on in their order.

    The first tick of a partition is believed.
    """

    def __init__(self, max_jump_ns: int, lateness_ns: int) -> None:
        """0 holds nothing."""
        self._max_jump_ns = max_jump_ns
        self._lateness_ns = lateness_ns
        self._held: TickBlock | None = None

    def sift(
        self, block: TickBlock, newest: NDArray[np.int64]
    ) -> tuple[TickBlock, list[DeadLetter]]:
        """Return what goes on, and what is refuted.

        ``newest`` int64[partitions or fewer]: the largest event time of what has gone on so far.
        """
        if not self._max_jump_ns:
            return block, []
        known = np.full(block.partitions, kernel.UNKNOWN_NS, np.int64)
        known[: len(newest)] = newest
        if self._held is None and not kernel.any_ahead(
            _rows(block), self._max_jump_ns, known.copy()
        ):
            return block, []
        return self._judged(block, known)

    def rest(self) -> TickBlock | None:
        """Return what is still held at the end of the input, which nothing has refuted."""
        held, self._held = self._held, None
        return held

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of what is held."""
        held = self._held
        if held is None:
            return {}
        return {
            "topic": held.topic,
            "partitions": held.partitions,
            "columns": {name: pack_array(getattr(held, name)) for name in COLUMNS},
            "names": {name: list(getattr(held, name)) for name in CODES.values()},
            "corrections": [tuple(correction) for correction in held.corrections],
        }

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over what a snapshot holds."""
        if parts:
            columns: dict[str, Any] = {
                name: unpack_array(column) for name, column in parts["columns"].items()
            }
            names: dict[str, Any] = {name: list(found) for name, found in parts["names"].items()}
            self._held = TickBlock(parts["topic"], parts["partitions"], **columns, **names)
            self._held.corrections = [Correction(*each) for each in parts["corrections"]]

    def _judged(
        self, block: TickBlock, newest: NDArray[np.int64]
    ) -> tuple[TickBlock, list[DeadLetter]]:
        held = 0 if self._held is None else len(self._held)
        whole = block if self._held is None else _joined(self._held, block)
        none = np.zeros(block.partitions, np.int64)
        lists = none, none.copy(), none.copy(), np.empty(len(whole), np.int64)
        verdict = np.empty(len(whole), np.uint8)
        order, ahead_ns = np.empty(len(whole), np.int64), np.empty(len(whole), np.int64)
        passed = kernel.sift(
            _rows(whole),
            held,
            self._max_jump_ns,
            self._lateness_ns,
            newest,
            lists,
            (verdict, order, ahead_ns),
        )
        waiting = np.flatnonzero(verdict == kernel.HELD)
        self._held = _taken(whole, waiting) if len(waiting) else None
        refuted = np.flatnonzero(verdict == kernel.REFUTED).tolist()
        return _taken(whole, order[:passed]), [
            _letter(whole, row, int(ahead_ns[row])) for row in refuted
        ]


def _rows(block: TickBlock) -> tuple[Any, ...]:
    return block.partition, block.offset, block.ts_ns, block.kind


def _taken(block: TickBlock, rows: NDArray[np.int64]) -> TickBlock:
    """Return some rows of a block, with their names alone: one of no row would become a symbol."""
    columns: dict[str, Any] = {name: getattr(block, name)[rows] for name in COLUMNS}
    number = np.cumsum(block.kind == CORRECTION) - 1
    corrections = [block.corrections[n] for n in number[rows[columns["kind"] == CORRECTION]]]
    names: dict[str, Any] = {}
    for codes, listed in CODES.items():
        used, places = np.unique(columns[codes], return_inverse=True)
        beats = int(np.count_nonzero(used < 0))  # the code of a heartbeat's row, -1
        columns[codes] = (places - beats).astype(np.int32)
        names[listed] = [getattr(block, listed)[code] for code in used[beats:].tolist()]
    return replace(
        block, **columns, **names, corrections=corrections, dead=[], ranges={}, newest={}
    )


def _joined(first: TickBlock, second: TickBlock) -> TickBlock:
    """Return the rows of both; a name has one code."""
    columns: dict[str, Any] = {
        name: [getattr(first, name), getattr(second, name)] for name in COLUMNS
    }
    names: dict[str, Any] = {}
    for codes, listed in CODES.items():
        index = {name: code for code, name in enumerate(getattr(first, listed))}
        to = [index.setdefault(name, len(index)) for name in getattr(second, listed)]
        columns[codes][1] = np.array([*to, -1], np.int32)[columns[codes][1]]  # -1 reads the last
        names[listed] = list(index)
    merged: dict[str, Any] = {name: np.concatenate(parts) for name, parts in columns.items()}
    corrections = [*first.corrections, *second.corrections]
    return replace(second, **merged, **names, corrections=corrections)


def _letter(block: TickBlock, row: int, ahead_ns: int) -> DeadLetter:
    """Return a tick as a dead letter, as JSON whatever format it came in."""
    symbol = block.symbols[block.symbol[row]]
    return DeadLetter.of(
        AheadOfOthers(ahead_ns // NS),
        block.coordinates(row),
        int(block.timestamp_ns[row]),
        symbol.encode(),
        to_json(_fields(block, row, symbol)),
    )


def _fields(block: TickBlock, row: int, symbol: str) -> dict[str, Any]:
    """Return the fields of a tick in the JSON format; absent ones are left out."""
    kind = block.kind[row]
    said: dict[str, Any] = {
        "recv_ns": int(block.recv_ns[row]),
        "venue": block.venues[block.venue[row]],
        "side": SIDES[block.side[row]],
        "condition": block.conditions[block.condition[row]],
    }
    fields = {name: value for name, value in said.items() if value}
    fields |= {"type": TYPES[kind], "symbol": symbol, "ts_ns": int(block.ts_ns[row])}
    price, size = float(block.price[row]), float(block.size[row])
    if kind == TRADE:
        fields |= {"price": price, "size": size}
    elif kind == QUOTE:
        ask, ask_size = float(block.ask[row]), float(block.ask_size[row])
        fields |= {"bid": quoted(price), "bid_size": size} if price else {}
        fields |= {"ask": quoted(ask), "ask_size": ask_size} if ask else {}
    else:
        number = int(np.count_nonzero(block.kind[:row] == CORRECTION))
        fields |= _correction_fields(block.corrections[number])
    seq = int(block.seq[row])
    return fields if seq == NO_SEQ else fields | {"seq": seq}


def _correction_fields(correction: Correction) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if correction.trade_ts_ns:
        fields["trade_ts_ns"] = correction.trade_ts_ns
    if correction.trade_seq != NO_SEQ:
        fields["trade_seq"] = correction.trade_seq
    if correction.size == 0:
        return fields | {"type": "cancel"}
    fields |= {"price": correction.price, "size": correction.size}
    return fields | ({"condition": correction.condition} if correction.condition else {})
