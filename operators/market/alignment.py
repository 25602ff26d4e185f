"""Where windows begin: at multiples of the interval in UTC, or anew at each border of sessions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

UTC: NDArray[np.int64] = np.empty(0, np.int64)
"""The borders where none cuts a window."""


class Alignment:
    """The windows [start, end) of one interval, and their consecutive numbers.

    One begins at 0 (1970 UTC) and at each border, and every interval behind these; the next border
    cuts the last one before it short.
    """

    def __init__(self, interval_ns: int, borders_ns: NDArray[np.int64] = UTC) -> None:
        """``borders_ns`` int64: above 0, ascending, each once."""
        self.interval_ns = interval_ns
        self.begins_ns = np.array([0, *borders_ns, np.iinfo(np.int64).max], np.int64)
        """Where windows begin anew, and the end of time behind the last."""
        windows = -(-np.diff(self.begins_ns[:-1]) // interval_ns)
        self.firsts = np.array([0, *np.cumsum(windows)], np.int64)
        """The number of the first window of each."""

    def numbers(self, ts_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of each time's window."""
        part = self._parts(ts_ns)
        return self.firsts[part] + (ts_ns - self.begins_ns[part]) // self.interval_ns

    def starts(self, ts_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the start of each time's window."""
        return ts_ns - (ts_ns - self.begins_ns[self._parts(ts_ns)]) % self.interval_ns

    def ends(self, ts_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the end of each time's window."""
        border = self.begins_ns[self._parts(ts_ns) + 1]
        return np.minimum(self.starts(ts_ns) + self.interval_ns, border)

    def most_within(self, span_ns: int) -> int:
        """Return how many windows an interval of time of this length can touch at the most."""
        borders = self.begins_ns[1:-1]
        cut = np.searchsorted(borders, borders + span_ns, side="right") - np.arange(len(borders))
        return span_ns // self.interval_ns + 2 + int(cut.max(initial=0))

    def _parts(self, ts_ns: NDArray[np.int64]) -> NDArray[np.intp]:
        parts = np.searchsorted(self.begins_ns[:-1], ts_ns, side="right") - 1
        return np.maximum(parts, 0)  # times before 0, which only a watermark has
