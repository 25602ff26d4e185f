"""The demo's world: three servers, the flows and the gateway, all children of this process."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import orjson
import psycopg

from connectors.kafka.client import Cluster
from connectors.kafka.topics import ensure_topics
from flows.engine.ports import free_port, is_free
from flows.engine.systems import output_topic
from flows.market import demo_past
from flows.servers import KafkaBroker, Postgres, Valkey, launch
from state.clock import now_ns
from state.errors import HeadraceError, Misuse
from state.market.outputs import MARKET
from state.outputs import DEAD

PARTITIONS = 4
DRAIN_S = 120
"""How long a flow gets to drain; a machine that is busy with other things needs it."""
END_S = DRAIN_S + 10.0
READY_S = 600.0
"""How long one gets to be ready: without `headrace warm` it compiles its kernels first."""

QUICK_JAVA = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""For some minutes at the demo's rate, the second compiler costs more than it saves."""

SETTINGS = {
    "MARKET__INTERVALS": '["1s", "10s"]',
    "MARKET__RISK__INTERVAL": "1s",
    "MARKET__RISK__MIN_OBSERVATIONS": "5",
    "MARKET__RISK__BREACH_CONFIDENCE": "0.95",
    "MARKET__SIGNALS__KINDS": '["order-flow-imbalance", "micro-price", "realised-variance"]',
}
"""Risk from bars of a second, a low bar for signals, some features: there is soon a lot to see."""

PAGE_PORT = 9700
"""Where the page is, unless somebody else is there."""

Portfolios = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Ticks:
    """What the demo runs on: one topic, and portfolios of its symbols.

    ``symbols`` are those that have a past of daily closes (flows/market/demo_past.py).
    """

    topic: str
    partitions: int
    portfolios: Portfolios
    symbols: Sequence[str] = ()

    @property
    def flows(self) -> tuple[str, ...]:
        """Return the flows that work on it, in the order in which they end."""
        return ("market", *(("models",) if self.symbols else ()), "trading", "history")


def simulated(symbols: int) -> Ticks:
    """Return the ticks of flows/market/demo_ticks.py with three portfolios."""
    names = [f"SIM{index:04d}" for index in range(symbols)]
    half = symbols // 2
    return Ticks(
        "market.ticks",
        PARTITIONS,
        {
            "broad": _equal(names),
            "leaders": _equal(names[:3]),
            "hedged": _equal(names[:half]) | _equal(names[half:], -0.8),
        },
        names,
    )


def recorded(path: Path) -> Ticks:
    """Return the ticks of a recording, with one portfolio of its (first twenty) symbols.

    Raises Misuse where it does not hold one topic.
    """
    recording = importlib.import_module("replay.recording").Recording([path])
    if len(recording.partitions) != 1:
        raise Misuse(f"{path} holds the topics {sorted(recording.partitions)}: the demo takes one")
    ((topic, partitions),) = recording.partitions.items()
    polars = importlib.import_module("polars")
    keys = polars.scan_parquet(path).select("key").unique().collect()["key"].drop_nulls()
    names = sorted(key.decode() for key in keys)[:20]
    return Ticks(topic, partitions, {"broad": _equal(names)})


def _equal(names: list[str], total: float = 1.0) -> dict[str, float]:
    return {name: total / len(names) for name in names}


@dataclass
class Child:
    """A `headrace` command as a child process, which is killed when this process dies."""

    name: str
    words: list[str]
    environment: Mapping[str, str]
    log: Path
    http_port: int
    _process: subprocess.Popen[bytes] = field(init=False)

    def __enter__(self) -> Self:
        kill = str(int(signal.SIGKILL))
        launcher = [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), kill, "root"]
        with self.log.open("wb") as log:
            # A session of its own: Ctrl-C in the terminal reaches us, and we end them in order.
            self._process = subprocess.Popen(
                [*launcher, sys.executable, "-P", "-m", "flows", *self.words],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def check(self) -> None:
        """Raise HeadraceError where it has failed."""
        if self._process.poll() not in (None, 0):
            raise HeadraceError(f"headrace {self.name} ended: {self._last_words()}")

    def wait_until_ready(self, stop: threading.Event, probe: str = "ready") -> None:
        """Return when its first worker is ready, or when told to stop; raises HeadraceError.

        With ``probe`` "live" it is enough that it answers at all.
        """
        deadline = time.monotonic() + READY_S
        while not stop.is_set() and not self._answers(probe):
            self.check()
            if time.monotonic() > deadline:
                raise HeadraceError(f"headrace {self.name} is not ready: {self._last_words()}")
            time.sleep(0.05)

    def end(self) -> bool:
        """Tell it to stop; return whether it drained, or had nothing to drain.

        A command dies of the signal only while it still loads: later it handles it.
        """
        if self._process.poll() is None:
            self._process.terminate()
        try:
            return self._process.wait(END_S) in (0, -signal.SIGTERM)
        except subprocess.TimeoutExpired:
            return False

    def wait_until_ended(self, stop: threading.Event) -> None:
        """Return when it has done its work, or when told to stop; raises HeadraceError."""
        while not stop.is_set() and self._process.poll() is None:
            time.sleep(0.05)
        self.check()

    def _answers(self, probe: str) -> bool:
        address = f"http://127.0.0.1:{self.http_port}/{probe}"
        try:
            with urllib.request.urlopen(address, timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        return f"{lines[-1] if lines else 'it said nothing'} (see {self.log})"


@dataclass
class World:
    """The servers of a demo, and how to start flows on them."""

    directory: Path
    ticks: Ticks
    kafka: KafkaBroker
    valkey: Valkey
    postgres: Postgres

    def wait_for_servers(self) -> None:
        """Return when all servers answer; raises ServerFailed."""
        for server in (self.valkey, self.postgres, self.kafka):
            server.wait()

    def child(self, *words: str) -> Child:
        """Return a command that is to run on these servers; the context manager starts it."""
        port = free_port(in_a_row=4)  # one for each worker
        log = self.directory / f"{'-'.join(Path(word).stem for word in words[:2])}.log"
        name = " ".join(words[:2])
        return Child(name, list(words), self._environment(port), log, port)

    def gateway(self, flows: Iterable[Child], more: Mapping[str, str] | None = None) -> Child:
        """Return the gateway of the page, which shows the health of these flows.

        ``more`` are variables of the environment, such as keys for tokens.
        """
        port = PAGE_PORT if is_free(PAGE_PORT) else free_port()
        workers = [f"http://127.0.0.1:{flow.http_port}" for flow in flows]
        settings = {
            "HEADRACE_FEED__PORT": str(port),
            "HEADRACE_FEED__WORKERS": orjson.dumps(workers).decode(),
        }
        environment = self._environment(port) | settings | dict(more or {})
        return Child("feed", ["feed"], environment, self.directory / f"feed-{port}.log", port)

    def cluster(self) -> Cluster:
        """Return how to reach Kafka."""
        return Cluster(self.kafka.bootstrap)

    def prepare_topics(self) -> None:
        """Create the ticks' topic and those of the outputs, and write the past."""
        # A recording is of the past: by default Kafka would delete it at once.
        ensure_topics(
            self.cluster(), {self.ticks.topic: self.ticks.partitions}, {"retention.ms": "-1"}
        )
        names = [output_topic("market", name) for name in [*(o.name for o in MARKET), DEAD]]
        ensure_topics(self.cluster(), dict.fromkeys(names, self.ticks.partitions))
        if self.ticks.symbols:
            demo_past.send(self.cluster(), self.ticks.symbols, now_ns())

    def history_rows(self) -> int:
        """Return how many bars PostgreSQL holds."""
        with psycopg.connect(self.postgres.dsn) as connection:
            try:
                row = connection.execute("SELECT count(*) FROM market_bars").fetchone()
            except psycopg.errors.UndefinedTable:  # it ended before history had begun
                return 0
        return int(row[0]) if row else 0

    def __str__(self) -> str:
        return f"{self.kafka.kind}, Valkey, PostgreSQL"

    def _environment(self, http_port: int) -> dict[str, str]:
        settings = SETTINGS | (demo_past.SETTINGS if self.ticks.symbols else {})
        settings |= {
            "KAFKA__BOOTSTRAP": self.kafka.bootstrap,
            "KAFKA__SHARDS": str(min(PARTITIONS, self.ticks.partitions)),
            "REDIS__URL": self.valkey.url,
            "POSTGRES__DSN": self.postgres.dsn,
            "RUN__STATE_DIR": str(self.directory / "state"),
            "RUN__HTTP_PORT": str(http_port),
            "RUN__DRAIN": f"{DRAIN_S}s",
            "MARKET__TOPIC": self.ticks.topic,
            "MARKET__PORTFOLIOS": orjson.dumps(self.ticks.portfolios).decode(),
        }
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("HEADRACE_")}
        ours = str(Path(__file__).resolve().parent.parent)
        return inherited | {"PYTHONPATH": ours} | {f"HEADRACE_{k}": v for k, v in settings.items()}


@contextmanager
def world(directory: Path, ticks: Ticks) -> Iterator[World]:
    """Launch the servers in an empty ``directory``, not waiting until they answer.

    They end with the context, the broker last.
    """
    for old in directory.iterdir():
        if old.is_dir():
            shutil.rmtree(old)
    made = World(
        directory.resolve(),
        ticks,
        KafkaBroker(directory, QUICK_JAVA),
        Valkey(directory),
        Postgres(directory),
    )
    try:
        for server in (made.kafka, made.valkey, made.postgres):  # the slowest first
            server.launch()
        yield made
    finally:
        for server in (made.postgres, made.valkey, made.kafka):
            server.stop()
