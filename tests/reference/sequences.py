"""Duplicates and gaps of one stream of numbered ticks, by definition."""

from __future__ import annotations

from typing import Literal

from tests.reference.vocabulary import DAY_NS

WINDOW = 256

Verdict = Literal["new", "duplicate", "too old"]


class SequenceStream:
    """The numbers seen on one (symbol, venue, kind); it forgets nothing, being a reference."""

    def __init__(self) -> None:
        self.head: int | None = None
        self.head_day = 0
        self.seen: set[int] = set()

    def judge(self, seq: int, ts_ns: int) -> tuple[Verdict, tuple[int, int] | None]:
        """Return what a tick is, and the (first, last) missing number that it reveals."""
        day = ts_ns // DAY_NS
        if self.head is None:
            self._start(seq, day)
            return "new", None
        if seq > self.head:
            gap = (self.head + 1, seq - 1) if seq > self.head + 1 else None
            self.head, self.head_day = seq, day
            self.seen.add(seq)
            return "new", gap
        if seq > self.head - WINDOW:
            if seq in self.seen:
                return "duplicate", None
            self.seen.add(seq)
            return "new", None
        if day > self.head_day:
            self._start(seq, day)
            return "new", None
        return "too old", None

    def _start(self, seq: int, day: int) -> None:
        self.head, self.head_day, self.seen = seq, day, {seq}
