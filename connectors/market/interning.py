"""Codes for the strings of a block, from a table kept between batches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from connectors.market.kernels.interning import intern_all, intern_words

Table = tuple[
    NDArray[np.int32], NDArray[np.uint64], NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]
]
"""slots, words, local, used, counts: see `Interner`."""

KEPT = 32_768
"""A table with more strings is emptied before the next batch, so that it stays bounded."""


class Interner:
    """The strings seen so far and, for one batch at a time, their codes in its block.

    ``table`` is what the kernels work on: ``slots`` int32[2m] (an open-addressing hash
    table of string ids, -1 where empty), ``words`` uint64[m, 4] (the bytes of each string),
    ``local`` int32[3, m] (its code among the block's symbols, venues and conditions, -1
    where it does not occur), ``used`` int32[3, m] (the id of each code) and ``counts``
    int64[4] (of strings, and of codes of each kind).
    """

    table: Table

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._ids: dict[str, int] = {}
        self._empty()

    def _empty(self) -> None:
        self.table = _empty_table(1024)
        self._texts.clear()
        self._ids.clear()
        self.identify("")  # layout.EMPTY_TEXT is its id

    def start_batch(self) -> None:
        """Forget the codes of the last batch."""
        _slots, _words, local, used, counts = self.table
        if counts[0] > KEPT:
            self._empty()
            return
        for which in range(3):
            local[which, used[which, : counts[1 + which]]] = -1
        counts[1:] = 0

    def reserve(self, more: int) -> None:
        """Make room for ``more`` new strings."""
        _slots, words, local, used, counts = self.table
        count, capacity = int(counts[0]), len(words)
        if count + more <= capacity:
            return
        bigger = _empty_table(1 << (count + more + capacity - 1).bit_length())
        intern_all(bigger, words[:count])
        bigger[2][:, :capacity] = local
        bigger[3][:, :capacity] = used
        bigger[4][:] = counts
        self.table = bigger

    @property
    def capacity(self) -> int:
        """Return how many strings there is room for."""
        return len(self.table[1])

    def identify(self, text: str) -> int:
        """Return the id of a string of at most 32 UTF-8 bytes without NUL."""
        found = self._ids.get(text)
        if found is None:
            self.reserve(1)
            words = np.frombuffer(text.encode().ljust(32, b"\0"), np.uint64)
            found = self._ids[text] = intern_words(self.table, words)
        return found

    def code(self, which: int, text: str) -> int:
        """Return the code of ``text`` among the block's strings of one kind."""
        identity = self.identify(text)
        _slots, _words, local, used, counts = self.table
        code = int(local[which, identity])
        if code < 0:
            code = int(counts[1 + which])
            counts[1 + which] += 1
            used[which, code] = identity
            local[which, identity] = code
        return code

    def text(self, identity: int) -> str:
        """Return the string with this id."""
        words, counts = self.table[1], self.table[4]
        for i in range(len(self._texts), int(counts[0])):
            self._texts.append(words[i].tobytes().rstrip(b"\0").decode())
        return self._texts[identity]

    def texts(self, which: int) -> list[str]:
        """Return the block's strings of one kind, in the order of their codes."""
        used, counts = self.table[3], self.table[4]
        return [self.text(i) for i in used[which, : counts[1 + which]].tolist()]


def _empty_table(capacity: int) -> Table:
    return (
        np.full(2 * capacity, -1, np.int32),
        np.zeros((capacity, 4), np.uint64),
        np.full((3, capacity), -1, np.int32),
        np.empty((3, capacity), np.int32),
        np.zeros(4, np.int64),
    )
