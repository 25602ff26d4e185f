"""Windows of a series: the last returns by time, and by size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from operators.market.kernels.ring import COUNT, NEXT
from state.snapshots import pack_array, unpack_array


class Window:
    """The last ``size`` values of a series, as the kernels want them (kernels/ring.py)."""

    def __init__(self, size: int) -> None:
        self.ring = np.zeros(size)
        self.cursor = np.zeros(2, np.int64)

    @property
    def count(self) -> int:
        """Return how many values are held."""
        return int(self.cursor[COUNT])

    def values(self) -> NDArray[np.float64]:
        """Return a copy of the values, oldest first."""
        slots = np.arange(self.cursor[NEXT] - self.cursor[COUNT], self.cursor[NEXT])
        return self.ring[slots]  # a slot below 0 counts from the end, as the ring does

    def fill(self, values: NDArray[np.float64]) -> None:
        """Hold the last of these values and no others."""
        kept = values[-len(self.ring) :]
        self.ring[: len(kept)] = kept
        self.cursor[:] = len(kept) % len(self.ring), len(kept)

    def snapshot(self) -> tuple[str, tuple[int, ...], bytes]:
        """Return the values as plain ones; which slots they were in is no part of the state."""
        return pack_array(self.values())

    def restore(self, packed: tuple[str, tuple[int, ...], bytes]) -> None:
        """Take over a snapshot's values."""
        self.fill(unpack_array(packed))


class OrderedWindow(Window):
    """A window that also knows the order of its values (kernels/order_statistics.py)."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.order = np.zeros(size, np.int32)
        self.state = (self.ring, self.order, self.cursor)
        """What the kernels take; the arrays are only ever changed in place."""

    def fill(self, values: NDArray[np.float64]) -> None:
        """Hold the last of these values and no others, as if they had come one by one."""
        super().fill(values + 0.0)  # without -0.0, as the kernel takes them
        self.order[: self.count] = np.argsort(self.ring[: self.count], kind="stable")
