"""A growing index of entries by (slot, venue, kind), for state that is not one per symbol."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.arrays import grown
from operators.market.kernels import table
from state.snapshots import pack_array, unpack_array


class Lookup:
    """Entries numbered from 0; a kernel finds and adds them through ``keys`` and ``values``."""

    def __init__(self) -> None:
        self.count = 0
        self.entry_key: NDArray[np.int64] = np.empty(0, np.int64)
        """int64[capacity]: slot << 24 | venue << 2 | kind."""
        self.keys: NDArray[np.int64] = np.full(8, table.EMPTY, np.int64)
        self.values: NDArray[np.int32] = np.zeros(8, np.int32)

    def reserve(self, more: int) -> None:
        """Make room for ``more`` entries: each row of a block may be a new one."""
        need = self.count + more
        self.entry_key = grown(self.entry_key, need)
        if 2 * need > len(self.keys):
            self._rebuild(need)

    def release(self, slots: NDArray[np.int32]) -> NDArray[np.int64]:
        """Drop the entries of these slots; return the old numbers of those kept, in order."""
        used = self.entry_key[: self.count]
        kept = np.flatnonzero(~np.isin(used >> 24, slots))
        self.entry_key = used[kept]
        self.count = len(kept)
        self._rebuild(self.count)
        return kept

    def snapshot(self) -> Any:
        """Return a copy of the entries' keys."""
        return pack_array(self.entry_key[: self.count])

    def restore(self, packed: Any) -> None:
        """Take over the entries of a snapshot."""
        self.entry_key = unpack_array(packed)
        self.count = len(self.entry_key)
        self._rebuild(self.count)

    def _rebuild(self, need: int) -> None:
        size = max(8, 1 << (2 * need).bit_length())
        self.keys = np.full(size, table.EMPTY, np.int64)
        self.values = np.zeros(size, np.int32)
        table.rebuild(self.keys, self.values, self.entry_key, self.count)
