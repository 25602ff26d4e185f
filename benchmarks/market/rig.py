"""What the parts of the benchmark share: servers, settings of the flow, processes to measure."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks import child
from benchmarks.machine import Cores, pinned
from benchmarks.report import Report
from flows.servers import KafkaBroker, Postgres, Valkey, start_all

PARTITIONS = 16
SHARDS = 1
"""One for the one worker: with the default of four, which leaves room for more workers, each
activation polls all four before any is worked on, and p99 was 5 ms higher."""
EPOCH = "1s"


@dataclass(frozen=True, slots=True)
class Options:
    """How much to measure."""

    parts: tuple[str, ...]
    repeats: int
    messages: int
    ticks: int
    records: int
    seconds: int


class Rig:
    """Real servers on the load's core, and a fresh generation of the flow for every run."""

    def __init__(
        self, kafka: KafkaBroker, valkey: Valkey, postgres: Postgres, cores: Cores, home: Path
    ) -> None:
        self.kafka = kafka
        self.valkey = valkey
        self.postgres = postgres
        self.cores = cores
        self.home = home
        self._generations = count(1)

    def settings(self, topic: str, **more: str) -> dict[str, str]:
        """Return the environment of one run; its generation has never run before."""
        return {
            "HEADRACE_KAFKA__BOOTSTRAP": self.kafka.bootstrap,
            "HEADRACE_KAFKA__SHARDS": str(SHARDS),
            "HEADRACE_REDIS__URL": self.valkey.url,
            "HEADRACE_MARKET__TOPIC": topic,
            "HEADRACE_MARKET__RISK__INTERVAL": "1s",
            "HEADRACE_MARKET__RISK__MIN_OBSERVATIONS": "5",
            "HEADRACE_RUN__EPOCH": EPOCH,
            "HEADRACE_RUN__GENERATION": str(next(self._generations)),
            "HEADRACE_RUN__STATE_DIR": str(self.home / "state"),
            **more,
        }

    def measure(self, program: str, env: dict[str, str], **job: Any) -> dict[str, Any]:
        """Run one program on the engine's core to its end; return what it said."""
        with child.Child(
            f"benchmarks.market.{program}", {"core": self.cores.engine, **job}, env
        ) as running:
            while "ready" in (said := running.heard()):
                pass
        return said


@contextmanager
def servers(cores: Cores) -> Iterator[Rig]:
    """Start all servers on the load's core, with their data in a directory that vanishes."""
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as name, pinned(cores.load):
        home = Path(name)
        kafka, valkey, postgres = KafkaBroker(home), Valkey(home), Postgres(home)
        start_all(kafka, valkey, postgres)
        try:
            yield Rig(kafka, valkey, postgres, cores, home)
        finally:
            for server in (kafka, valkey, postgres):
                server.stop()


@dataclass(slots=True)
class Run:
    """What every part is given."""

    rig: Rig
    options: Options
    report: Report
