"""Waiting for facts: no test sleeps for as long as something should take."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

PATIENCE_S = 180.0
"""How long a fact may take: a busy machine stalls for tens of seconds, and starts take long."""


def eventually(fact: Callable[[], Any], seconds: float = PATIENCE_S, every_s: float = 0.02) -> Any:
    """Return what ``fact`` returns once it is true; fail after a while."""
    deadline = time.monotonic() + seconds
    while not (answer := fact()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {fact}"
        time.sleep(every_s)
    return answer


def least_seconds(work: Callable[[], object], rounds: int = 20) -> float:
    """Return how long ``work`` takes where the machine lets it: the shortest of some rounds."""
    taken = []
    for _ in range(rounds):
        began = time.monotonic()
        work()
        taken.append(time.monotonic() - began)
    return min(taken)
