"""``headrace warm``: compile every kernel now, so that no run waits for a compiler."""

from __future__ import annotations

import argparse
import importlib
import os
import time
from concurrent.futures import ProcessPoolExecutor

from flows.engine.kernels import kernels
from flows.engine.systems import flow_modules


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --processes."""
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count(), metavar="N", help="side by side (all CPUs)"
    )


def run(args: argparse.Namespace) -> int:
    """Load every kernel and every flow once; what was compiled already is only looked at."""
    begin = time.monotonic()
    names = [*kernels(), *flow_modules().values(), "flows.feed.gateway"]
    with ProcessPoolExecutor(args.processes) as pool:
        for _ in pool.map(_load, names):
            pass
    print(f"{len(names)} modules are compiled ({time.monotonic() - begin:.1f} s)")
    return 0


def _load(name: str) -> None:
    importlib.import_module(name)
