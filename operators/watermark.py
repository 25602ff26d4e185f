"""Event time: the watermark of each partition and the rows that are behind it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.kernels import watermark as kernel
from state.snapshots import pack_array, unpack_array

UNKNOWN_NS = -(1 << 62)
"""The watermark of a partition that has had no record."""


class Watermarks:
    """The watermarks of a topic's partitions: the largest event time less the lateness."""

    name = "watermark"

    def __init__(self, lateness_ns: int) -> None:
        self.lateness_ns = lateness_ns
        self.current: NDArray[np.int64] = np.empty(0, np.int64)
        """int64[partitions], ns."""

    def newest(self) -> NDArray[np.int64]:
        """Return the largest event time of each partition; UNKNOWN_NS of one without a record."""
        known = self.current != UNKNOWN_NS
        return np.where(known, self.current + self.lateness_ns, UNKNOWN_NS)

    def advance(
        self,
        partitions: int,
        partition: NDArray[np.int32],
        ts_ns: NDArray[np.int64],
        retried: NDArray[np.bool_],
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_], int]:
        """Move the watermarks; return them after each row, which rows are late, and how many.

        ``partitions`` is how many the topic has. Each row has its ``partition`` and event time
        (ns); one that is ``retried`` is never late.
        """
        if len(self.current) < partitions:
            fresh = np.full(partitions, UNKNOWN_NS, np.int64)
            fresh[: len(self.current)] = self.current
            self.current = fresh
        after = np.empty(len(ts_ns), np.int64)
        late = np.empty(len(ts_ns), np.bool_)
        behind = kernel.advance(
            partition, ts_ns, retried, self.lateness_ns, self.current, after, late
        )
        return after, late, behind

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the watermarks."""
        return {"current": pack_array(self.current)}

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's watermarks."""
        self.current = unpack_array(parts["current"])
