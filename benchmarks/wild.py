"""Faults drawn at random for the crash campaign: what they are follows from a seed alone."""

from __future__ import annotations

import random
from collections.abc import Iterator

from benchmarks.campaign import FIRST, LAST, Plan
from benchmarks.crash import point
from benchmarks.incidents import drain, kill_broker, pause_worker, stop_postgres, stop_redis
from benchmarks.trial import Incident

MOST_POINTS = 8
DOWN_S = (1.0, 20.0)
PAUSE_S = (0.5, 15.0)


def wild_plans(seed: int) -> Iterator[Plan]:
    """Yield runs without an end: deaths, drains, outages and pauses of any length, in any order.

    Run n is the same whatever became of those before it.
    """
    number = 0
    while True:
        rng = random.Random(f"{seed}/{number}")
        shares = sorted(rng.uniform(FIRST, LAST) for _ in range(rng.randint(2, MOST_POINTS)))
        yield Plan(rng.choice((1, 2)), [_incident(rng, at) for at in shares])
        number += 1


def _incident(rng: random.Random, at: float) -> Incident:
    kind = rng.choices(
        ("death", "drain", "pause", "kafka", "redis", "postgres"), (6, 1, 3, 1, 2, 1)
    )
    down_s, pause_s = rng.uniform(*DOWN_S), rng.uniform(*PAUSE_S)
    index, jitter_s = rng.randrange(8), rng.uniform(0.0, 0.4)
    match kind[0]:
        case "drain":
            return Incident("market drained", drain(), at, jitter_s)
        case "pause":
            name = f"a worker paused for {pause_s:.1f} s"
            return Incident(name, pause_worker(index, pause_s), at, jitter_s)
        case "kafka":
            return Incident(f"the broker killed for {down_s:.1f} s", kill_broker(down_s), at)
        case "redis":
            return Incident(f"Redis stopped for {down_s:.1f} s", stop_redis(down_s), at)
        case "postgres":
            return Incident(f"PostgreSQL stopped for {down_s:.1f} s", stop_postgres(down_s), at)
    return point(rng, at, down=rng.random() < 0.1)
