"""Two ways to the same figures, timed in turn: ours against numpy's, call by call.

The calls of a contest are numbered and come in order, since ours moves a state along: call i adds
the i-th row or tick, after which numpy works the same out from everything that is in the window.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from state.errors import Broken

LEAST_S = 0.004
"""How long one measurement of one side takes at least."""

Call = Callable[[int], Any]


@dataclass(frozen=True, slots=True)
class Contest:
    """One figure. Each side takes the number of its call, below ``calls``.

    ``fresh`` is ours without any history but the window of its call, for the comparison of
    results; None where ours keeps no more than that.
    """

    name: str
    calls: int
    ours: Call
    theirs: Call
    fresh: Call | None = None
    tolerance: float = 1e-9

    def check(self, until: int) -> None:
        """Raise Broken where both do not come to the same after calls 0 to ``until``."""
        found = [self.ours(i) for i in range(until + 1)][-1]
        if self.fresh is not None:
            found = self.fresh(until)
        expected = self.theirs(until)
        if not np.allclose(found, expected, self.tolerance, 1e-12, equal_nan=True):
            raise Broken(f"{self.name}: ours {found}, numpy {expected}")


def measured(contests: Sequence[Contest], rounds: int) -> list[dict[str, Any]]:
    """Return, for each contest, its name and the seconds per call of both sides by round.

    Whose turn is first alternates with the rounds.
    """
    counts = [(_enough(c.ours, c.calls), _enough(c.theirs, c.calls)) for c in contests]
    found: list[dict[str, Any]] = [{"name": c.name, "ours": [], "theirs": []} for c in contests]
    for number in range(rounds):
        for contest, count, times in zip(contests, counts, found, strict=True):
            sides = [("ours", contest.ours, count[0]), ("theirs", contest.theirs, count[1])]
            for side, call, calls in sides if number % 2 else sides[::-1]:
                times[side].append(_seconds(call, calls, contest.calls))
    return found


def _enough(call: Call, calls: int) -> int:
    """Return how many calls take `LEAST_S`, after some to warm up."""
    count = 1
    while (each := _seconds(call, count, calls)) * count < LEAST_S:
        count = max(2 * count, int(LEAST_S / max(each, 1e-9)))
    return count


def _seconds(call: Call, count: int, calls: int) -> float:
    """Return the seconds of CPU of one call, averaged over ``count`` of them.

    Of this thread: both sides have no other, and who else uses the core does not count.
    """
    numbers = [i % calls for i in range(count)]
    begin = time.thread_time()
    for i in numbers:
        call(i)
    return (time.thread_time() - begin) / count
