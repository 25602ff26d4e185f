"""State slots: which index of the state arrays belongs to which symbol of which partition.

A slot is given up when its partition's watermark has passed the symbol's last tick by
more than the time to live, so that symbols which come and go do not fill the memory.
The rule looks at event time only. When exactly the slot is freed does not matter:
whatever comes for an expired symbol starts afresh either way.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.arrays import grown
from operators.market.handover import Home
from operators.market.kernels import symbols as kernel
from operators.watermark import UNKNOWN_NS
from state.market.ticks import TickBlock
from state.snapshots import pack_array, unpack_array


class Symbols:
    """Slots by (partition, symbol), and venue numbers by name."""

    name = "symbols"

    def __init__(self, ttl_ns: int) -> None:
        self.ttl_ns = ttl_ns
        self.names: list[str] = []
        """The symbol of each slot; '' where it is free."""
        self.venue_names: list[str] = []
        """The venue of each venue number."""
        self._venues: dict[str, int] = {}
        self._slots: dict[tuple[int, str], int] = {}
        self._partition: NDArray[np.int32] = np.empty(0, np.int32)
        self._last_ns: NDArray[np.int64] = np.empty(0, np.int64)
        self._free: list[int] = []
        self._retired: list[int] = []
        self._homes: list[Home] = []
        """What came since it was last taken."""
        self._swept_ns: NDArray[np.int64] = np.empty(0, np.int64)

    def take_homes(self) -> list[Home]:
        """Return the symbols that came since the last call: at first, or after they had expired."""
        taken, self._homes = self._homes, []
        return taken

    def slot_of(self, partition: int, symbol: str) -> int | None:
        """Return the slot of a symbol, or None."""
        return self._slots.get((partition, symbol))

    def partitions_of(self, symbol: str) -> list[int]:
        """Return the partitions in which the symbol is known."""
        return sorted(p for p, name in self._slots if name == symbol)

    def venue_numbers(self, block: TickBlock) -> NDArray[np.int32]:
        """Return the venue number of each row (int32; 0 in a heartbeat's row)."""
        numbers = np.zeros(len(block.venues) + 1, np.int32)
        for code, venue in enumerate(block.venues):
            numbers[code] = self._venue(venue)
        return numbers[block.venue]  # code -1 reads the extra last element

    def assign(
        self, block: TickBlock, watermark: NDArray[np.int64], late: NDArray[np.bool_]
    ) -> NDArray[np.int32]:
        """Return the slot of each row (int32; -1 in a heartbeat's row)."""
        pair, pairs = _pairs(block)
        known = [self._slots.get(pair_) for pair_ in pairs]
        if None in known:
            # A part of a block may have no row of a symbol, whose partition is then not known.
            known = [self._slot(p, symbol) if p >= 0 else -1 for p, symbol in pairs]
        slot_of = np.array(known, np.int32)
        slot = np.empty(len(block), np.int32)
        row = 0
        while True:
            row = kernel.assign(
                row, pair, slot_of, block.ts_ns, watermark, late, self.ttl_ns, self._last_ns, slot
            )
            if row == len(block):
                return slot
            expired = int(pair[row])
            self._retire(int(slot_of[expired]))
            slot_of[expired] = self._slot(*pairs[expired])

    def sweep(self, watermarks: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return the slots to be released (int32), after which they may be given away.

        To be called between blocks, when no row refers to a retired slot any more.
        """
        self._swept_ns = grown(self._swept_ns, len(watermarks), UNKNOWN_NS)
        due = watermarks - self._swept_ns[: len(watermarks)] > self.ttl_ns // 4
        for partition in np.flatnonzero(due).tolist():
            self._swept_ns[partition] = watermarks[partition]
            used = len(self.names)
            idle = watermarks[partition] - self._last_ns[:used] > self.ttl_ns
            for slot in np.flatnonzero(idle & (self._partition[:used] == partition)).tolist():
                if self._slots.get((partition, self.names[slot])) == slot:
                    self._retire(slot)
        retired = np.array(self._retired, np.int32)
        for slot in self._retired:
            self.names[slot] = ""
            self._partition[slot] = -1
            self._last_ns[slot] = kernel.UNUSED
        self._free.extend(self._retired)
        self._retired.clear()
        return retired

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state."""
        used = len(self.names)
        return {
            "names": list(self.names),
            "venues": list(self.venue_names),
            "slots": [(p, name, slot) for (p, name), slot in self._slots.items()],
            "partition": pack_array(self._partition[:used]),
            "last_ns": pack_array(self._last_ns[:used]),
            "homes": [tuple(home) for home in self._homes],
            "free": list(self._free),
            "retired": list(self._retired),
        }

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        self.names = list(parts["names"])
        self.venue_names = list(parts["venues"])
        self._venues = {venue: number for number, venue in enumerate(self.venue_names)}
        self._slots = {(p, name): slot for p, name, slot in parts["slots"]}
        self._partition = unpack_array(parts["partition"])
        self._last_ns = unpack_array(parts["last_ns"])
        homes = parts["homes"] if "homes" in parts else [(name, p) for p, name in self._slots]
        self._homes = [Home(*home) for home in homes]  # at first nobody asked: all are told now
        self._free = list(parts["free"])
        self._retired = list(parts["retired"])

    def _venue(self, venue: str) -> int:
        number = self._venues.setdefault(venue, len(self.venue_names))
        if number == len(self.venue_names):
            self.venue_names.append(venue)
        return number

    def _slot(self, partition: int, symbol: str) -> int:
        slot = self._slots.get((partition, symbol))
        if slot is None:
            slot = self._free.pop() if self._free else self._append()
            self.names[slot] = symbol
            self._partition[slot] = partition
            self._last_ns[slot] = kernel.UNUSED
            self._slots[(partition, symbol)] = slot
            self._homes.append(Home(symbol, partition))
        return slot

    def _append(self) -> int:
        slot = len(self.names)
        self.names.append("")
        self._partition = grown(self._partition, slot + 1)
        self._last_ns = grown(self._last_ns, slot + 1)
        return slot

    def _retire(self, slot: int) -> None:
        del self._slots[(int(self._partition[slot]), self.names[slot])]
        self._retired.append(slot)


def _pairs(block: TickBlock) -> tuple[NDArray[np.int32], list[tuple[int, str]]]:
    """Return each row's index into the list of (partition, symbol) pairs, and that list."""
    owner = np.full(len(block.symbols), -1, np.int32)
    if kernel.owners(block.partition, block.symbol, owner) == 0:
        return block.symbol, list(zip(owner.tolist(), block.symbols, strict=True))
    # A symbol came in two partitions of this shard: rare, so a plain dictionary will do.
    index: dict[tuple[int, int], int] = {}
    pair = np.array(
        [
            -1 if s < 0 else index.setdefault((p, s), len(index))
            for p, s in zip(block.partition.tolist(), block.symbol.tolist(), strict=True)
        ],
        np.int32,
    )
    return pair, [(p, block.symbols[s]) for p, s in index]
