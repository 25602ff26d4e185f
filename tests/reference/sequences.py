"""Duplicates and gaps of one stream of numbered ticks, by definition."""

from __future__ import annotations

import math
from typing import Literal

from tests.reference.vocabulary import DAY_NS, ReferenceSettings

WINDOW = 256
QUIET_NS = 3600 * 10**9

Verdict = Literal["new", "duplicate", "too old"]
Gap = tuple[int, int]


class Numbering:
    """The numbers seen since a feed last began to count; it forgets nothing, being a reference."""

    def __init__(self, first: int, begun_ns: float) -> None:
        self.begun_ns = begun_ns
        self.head = first
        self.seen = {first}

    def judge(self, seq: int) -> tuple[Verdict, Gap | None]:
        """Return what a number is, and the (first, last) missing number that it reveals."""
        if seq <= self.head - WINDOW:
            return "too old", None
        if seq in self.seen:
            return "duplicate", None
        self.seen.add(seq)
        gap = (self.head + 1, seq - 1) if seq > self.head + 1 else None
        self.head = max(self.head, seq)
        return "new", gap


class SequenceStream:
    """All numberings of one (symbol, venue, kind), of which only the last two matter."""

    def __init__(self, settings: ReferenceSettings) -> None:
        self.settings = settings
        self.numberings: list[Numbering] = []
        self.newest_ns = 0
        self.run: list[tuple[int, int]] = []

    def judge(self, seq: int, ts_ns: int) -> tuple[Verdict, Gap | None]:
        """Return what a tick is, and the (first, last) missing number that it reveals."""
        if not self.numberings:
            return self._begin(seq, ts_ns, -math.inf)
        present = self.numberings[-1]
        if ts_ns < present.begun_ns:
            return self.numberings[-2].judge(seq)
        if seq <= present.head:
            border_ns = self._border(ts_ns)
            if border_ns is not None:
                return self._begin(seq, ts_ns, border_ns)
        verdict, gap = present.judge(seq)
        after = self.settings.sequence_restart_after
        if after and verdict != "new" and ts_ns > self.newest_ns:
            if not self.run or ts_ns > self.run[-1][1]:  # else it is sent again
                grows = self.run and seq > self.run[-1][0]
                self.run = [*(self.run if grows else ()), (seq, ts_ns)]
            if len(self.run) == after:
                return self._begin(seq, ts_ns, self.run[0][1])
            return "too old", None
        if verdict == "new":
            self.newest_ns = max(self.newest_ns, ts_ns)
            if present.head == seq:
                self.run = []
        return verdict, gap

    def _border(self, ts_ns: int) -> int | None:
        """Return when the numbering began that a lower number at ``ts_ns`` may belong to."""
        if self.settings.sequences == "daily":
            if ts_ns // DAY_NS > self.newest_ns // DAY_NS:
                return ts_ns // DAY_NS * DAY_NS
            if ts_ns >= self.newest_ns + QUIET_NS:
                return self.newest_ns + (ts_ns - self.newest_ns) // 2
        if self.settings.sequences == "session":
            passed = [b for b in self.settings.session_borders_ns if self.newest_ns < b <= ts_ns]
            return max(passed, default=None)
        return None

    def _begin(self, seq: int, ts_ns: int, begun_ns: float) -> tuple[Verdict, Gap | None]:
        self.numberings.append(Numbering(seq, begun_ns))
        self.newest_ns = ts_ns
        self.run = []
        return "new", None
