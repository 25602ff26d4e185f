"""State of many entities: what an epoch writes, and for how long it stops a flow.

One shard holds 25,000 entities of about 1 KB, of which 50 change in each epoch. The step is the
engine's, with Bytewax and its SQLite store; the source is polled each millisecond. A stall is the
time between the last poll before a snapshot and the first after it. Pages are compared, in turns,
with the same entities in one pickle.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import bytewax.operators as op
import numpy as np
from bytewax._bytewax import run_main
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.recovery import RecoveryConfig, init_db_dir
from prometheus_client import REGISTRY

from benchmarks.machine import facts, settle
from benchmarks.report import Goal, Report
from flows.engine.step import Step, add_step
from operators.logic import Logic
from operators.outputs import Outbox, Outputs
from operators.pages import Pages
from state.shards import shard_names

PAGES = 4096
STALL_MS = Goal(10.0, most=True)

Entity = list[str]


class Entities(Logic):
    """Entities by id; each item names those that change."""

    def __init__(self) -> None:
        self.entities: Pages[Entity] = Pages(PAGES, list, list)

    def process(self, item: list[int], outbox: Outbox) -> Iterable[Any]:
        """Change the entities of these numbers."""
        for number in item:
            self.entities.put(f"P{number}", [f"{number}|{field}" + "x" * 90 for field in range(10)])
        return ()

    def snapshot(self) -> dict[str, Any]:
        """Return what is not in pages: nothing."""
        return {}

    def restore(self, parts: dict[str, Any]) -> None:
        """Nothing is restarted here."""


class Whole(Logic):
    """The same with all entities in one snapshot."""

    def __init__(self) -> None:
        self._entities: dict[str, Entity] = {}

    def process(self, item: list[int], outbox: Outbox) -> Iterable[Any]:
        """Change the entities of these numbers."""
        for number in item:
            self._entities[f"P{number}"] = [f"{number}|{f}" + "x" * 90 for f in range(10)]
        return ()

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of all."""
        return {name: list(entity) for name, entity in self._entities.items()}

    def restore(self, parts: dict[str, Any]) -> None:
        """Nothing is restarted here."""


class Changes(FixedPartitionedSource[tuple[str, list[int]], int]):
    """All entities once, then some in each epoch; notes how long each epoch's end took."""

    def __init__(self, entities: int, touched: int, epochs: int) -> None:
        self.entities, self.touched, self.epochs = entities, touched, epochs
        self.stalls_ns: list[int] = []
        self.written: list[float] = []
        """Bytes of all snapshots of the step, after each epoch."""

    def list_parts(self) -> list[str]:
        """Return the one shard."""
        return shard_names(1)

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> _Part:
        """Return it."""
        return _Part(self, for_part)


class _Part(StatefulSourcePartition[tuple[str, list[int]], int]):
    def __init__(self, source: Changes, name: str) -> None:
        self._source, self._name = source, name
        self._rng = np.random.default_rng(1)
        self._epoch = 0
        self._polled_ns = 0
        self._ended = False
        self._begun = False

    def next_batch(self) -> list[tuple[str, list[int]]]:
        source, now = self._source, time.perf_counter_ns()
        if self._ended:
            if self._epoch > 1:  # the first wrote everything
                source.stalls_ns.append(now - self._polled_ns)
            source.written.append(_written())
            self._ended = self._begun = False
            if self._epoch > source.epochs:
                raise StopIteration
        self._polled_ns = now
        if self._begun:
            return []
        self._begun = True
        if self._epoch == 0:
            return [(self._name, list(range(source.entities)))]
        changed = self._rng.choice(source.entities, source.touched, replace=False)
        return [(self._name, changed.tolist())]

    def snapshot(self) -> int:
        self._epoch += 1
        self._ended = True
        return self._epoch


class _Nowhere(DynamicSink[Any]):
    def build(self, step_id: str, worker_index: int, worker_count: int) -> _NowherePart:
        return _NowherePart()


class _NowherePart(StatelessSinkPartition[Any]):
    def write_batch(self, items: list[Any]) -> None:
        """Write nothing."""


def _written() -> float:
    """Return the bytes of all snapshots so far."""
    return sum(
        sample.value
        for metric in REGISTRY.collect()
        if metric.name == "headrace_snapshot_bytes"
        for sample in metric.samples
        if sample.name.endswith("_sum")
    )


def measure(make: Callable[[], Logic], entities: int, touched: int, epochs: int) -> Changes:
    """Return the source of one run: its stalls and what was written."""
    source = Changes(entities, touched, epochs)
    flow = Dataflow("pages")
    stepped = add_step("entities", op.input("in", flow, source), Step(make, "bench"))
    op.output("out", stepped.records, _Nowhere())
    with tempfile.TemporaryDirectory() as directory:
        store = Path(directory)
        init_db_dir(store, 1)  # type: ignore[no-untyped-call]  # Bytewax has no types here
        settle()
        run_main(  # type: ignore[no-untyped-call]  # nor here
            flow,
            epoch_interval=timedelta(milliseconds=200),
            recovery_config=RecoveryConfig(store),  # type: ignore[no-untyped-call]  # nor here
        )
    return source


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the sizes."""
    parser.add_argument("--entities", type=int, default=25_000, metavar="N")
    parser.add_argument("--touched", type=int, default=50, metavar="N", help="in each epoch")
    parser.add_argument("--epochs", type=int, default=200, metavar="N", help="of each repeat")
    parser.add_argument("--repeats", type=int, default=3, metavar="N")
    parser.add_argument("--json", action="store_true")


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    report = Report(args.json, facts())
    report.begin()
    report.part(
        "a",
        f"one shard of {args.entities:,} entities, {args.touched} touched an epoch of 0.2 s",
        f"{PAGES:,} pages; stalls of {args.epochs} epochs a repeat, its store on this disk",
    )
    kinds: dict[str, Callable[[], Logic]] = {"pages": Entities, "one pickle": Whole}
    found: dict[str, list[Changes]] = {name: [] for name in kinds}
    for _ in range(args.repeats):
        for name, make in kinds.items():
            # One pickle takes about a second to write: fewer epochs tell as much.
            epochs = args.epochs if name == "pages" else max(5, args.epochs // 20)
            found[name].append(measure(make, args.entities, args.touched, epochs))
    for name, runs in found.items():
        goal = STALL_MS if name == "pages" else None
        for percentile in (50, 99):
            stalls = [float(np.percentile(each.stalls_ns, percentile)) / 1e6 for each in runs]
            at = goal if percentile == 99 else None
            report.figure("a", f"{name}: stall of an epoch's end, p{percentile}", "ms", stalls, at)
        bytes_ = [float(np.median(np.diff(each.written)[1:])) for each in runs]
        allowed = Goal(args.touched * page_bytes(args.entities), most=True)
        report.figure(
            "a", f"{name}: bytes an epoch", "B", bytes_, allowed if name == "pages" else None
        )
    report.end()
    return 0


def page_bytes(entities: int) -> float:
    """Return the bytes of the largest page, as it is written."""
    logic = Entities()
    list(logic.process(list(range(entities)), Outputs()))
    pages = logic.entities
    return float(max(len(repr(pages.dump(page))) for page in pages.filled()) + 300)
