"""Wards whose beds hold one patient each, and those who wait for a bed."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from heapq import heappop, heappush

Process = Generator["int | Ward", "str | None", None]
"""Something that goes on for a while. It yields until when it waits, or the ward in which it waits
for a bed; that bed is sent to it."""


class Ward:
    """The free beds of a ward, and the processes that wait for one."""

    def __init__(self, name: str, beds: int) -> None:
        self.name = name
        self._free = deque(f"{name}^R{bed // 2 + 1:02d}^{bed % 2 + 1}" for bed in range(beds))
        self._waiting: deque[Process] = deque()

    def take(self) -> str | None:
        """Return a bed that is free, and nobody waits for; None where there is none."""
        return self._free.popleft() if self._free and not self._waiting else None

    def wait(self, process: Process) -> None:
        """Let a process wait for a bed."""
        self._waiting.append(process)

    def give(self, bed: str) -> Process | None:
        """Take back a bed; return who gets it, None where nobody waits."""
        if self._waiting:
            return self._waiting.popleft()
        self._free.append(bed)
        return None


class Time:
    """What goes on at once, step by step. No two steps have the same second."""

    def __init__(self) -> None:
        self.now_s = 0
        self._due: list[tuple[int, int, Process, str | None]] = []
        self._count = 0

    def start(self, process: Process, time_s: int | None = None, bed: str | None = None) -> None:
        """Let a process go on, now or at a time, with the bed that it waited for."""
        self._count += 1
        due_s = self.now_s if time_s is None else time_s
        heappush(self._due, (due_s, self._count, process, bed))

    def steps(self) -> Iterator[None]:
        """Yield after each step, as long as something goes on."""
        while self._due:
            time_s, _, process, bed = heappop(self._due)
            self.now_s = max(self.now_s + 1, time_s)
            self._step(process, bed)
            yield

    def _step(self, process: Process, bed: str | None) -> None:
        try:
            wanted = process.send(bed)
        except StopIteration:
            return
        if isinstance(wanted, Ward):
            if (found := wanted.take()) is None:
                wanted.wait(process)
            else:
                self.start(process, bed=found)
        else:
            self.start(process, wanted)
