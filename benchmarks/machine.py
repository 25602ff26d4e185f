"""The machine that a figure belongs to, and which cores run what."""

from __future__ import annotations

import gc
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("bytewax", "confluent-kafka", "numba", "numpy", "orjson", "redis", "psycopg")


@dataclass(frozen=True, slots=True)
class Cores:
    """One core for what is measured, one for the servers and the load."""

    engine: int
    load: int

    @classmethod
    def here(cls) -> Cores:
        """Return the last and the first core that this process may use."""
        allowed = sorted(os.sched_getaffinity(0))
        return cls(allowed[-1], allowed[0])

    def __str__(self) -> str:
        if self.engine == self.load:
            return f"everything on core {self.load}: there is no other"
        others = f"servers, load and probes on core {self.load}"
        return f"the measured process on core {self.engine}; {others}"


def pin(core: int) -> None:
    """Run this thread, and all threads and processes that it will start, on one core."""
    os.sched_setaffinity(0, {core})


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Run on one core for a while, and what is started meanwhile for good."""
    before = os.sched_getaffinity(0)
    pin(core)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def settle() -> None:
    """Leave what is loaded now to no later garbage collection, as a worker does at its start."""
    gc.collect()
    gc.freeze()


def facts() -> dict[str, str]:
    """Return what figures depend on, with the load of the last minutes: others disturb."""
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
        "load before (1, 5, 15 min)": load,
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
