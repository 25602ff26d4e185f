"""What the parts of the benchmark share: Redis, a server, its readers, and updates at a pace."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import orjson
import psutil  # type: ignore[import-untyped]  # it ships no types
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.machine import Cores, pinned
from benchmarks.web.readers import SYMBOLS
from benchmarks.web.writer import Writer, quote
from flows.servers import Valkey
from state.errors import Broken

ROOT = Path(__file__).parents[2]
TICK_S = 0.02
STREAM_LENGTH = 400_000
"""Entries that Redis holds of a stream: 20 s of what the part `resume` writes."""
FEED = ("-m", "flows", "feed")


@dataclass(frozen=True)
class Load:
    """So many clients of ten symbols each, and quotes at ``rate`` a second."""

    clients: int
    rate: int
    seconds: int


@dataclass(frozen=True)
class Trial:
    """What one server did; ``client_bytes`` are what each client added to its memory."""

    messages: int
    seconds: float
    cpu_s: float
    p50_ms: float
    p99_ms: float
    client_bytes: float


class Rig:
    """A Redis on the load's core; servers that are measured run on the other."""

    def __init__(self, valkey: Valkey, cores: Cores) -> None:
        self.url = valkey.url
        # One for all: another lineage would be another history to the feed.
        self.writer = Writer(valkey.url, stream_length=STREAM_LENGTH)
        self._cores = cores

    @contextmanager
    def server(
        self, words: Sequence[str], clients: int, **more: str
    ) -> Iterator[tuple[int, psutil.Process]]:
        """Start a server that says its port on stdout; yields the port and the process.

        ``more`` are further settings of the feed.
        """
        settings: dict[str, int | str] = {
            "port": 0,
            "clients": 2 * clients,
            "clients_per_address": 2 * clients,
            "connections_per_second": 2 * clients,
            **more,
        }
        env = {f"HEADRACE_FEED__{name.upper()}": str(value) for name, value in settings.items()}
        with _process(words, self._cores.engine, env | {"HEADRACE_REDIS__URL": self.url}) as server:
            yield int(_line(server).rpartition(":")[2]), psutil.Process(server.pid)

    def trial(self, words: Sequence[str], load: Load) -> Trial:
        """Measure a server under a load."""
        # A heartbeat sends a quiet channel its position, which is a delta too: none may fall into
        # the time that is measured, for the bare server sends none.
        with self.server(words, load.clients, heartbeat="10m") as (port, seen):
            return self.measure(port, seen, load)

    def measure(self, port: int, seen: psutil.Process, load: Load) -> Trial:
        """Measure a server that runs."""
        time.sleep(1.0)
        before_bytes = seen.memory_info().rss
        words = ["-m", "benchmarks.web.readers", str(port), str(load.clients)]
        with _process(words, self._cores.load, {}) as readers:
            _line(readers)
            client_bytes = (seen.memory_info().rss - before_bytes) / load.clients
            cpu_s, began = _cpu_s(seen), time.monotonic()
            pace(self.quotes, load.rate, load.seconds)
            time.sleep(0.5)
            cpu_s, took = _cpu_s(seen) - cpu_s, time.monotonic() - began
            found = orjson.loads(readers.communicate()[0])
        return Trial(found["count"], took, cpu_s, found["p50_ms"], found["p99_ms"], client_bytes)

    def quotes(self, first: int, count: int) -> None:
        """Write quotes that say when they were written."""
        now = time.time_ns()
        made = [quote(f"S{number % SYMBOLS}", now) for number in range(first, first + count)]
        self.writer.write("nbbo", made, [record["symbol"] for record in made])


@contextmanager
def rig(cores: Cores) -> Iterator[Rig]:
    """Yield a rig with a Redis of its own."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with (
        pinned(cores.load),
        tempfile.TemporaryDirectory(prefix="headrace-feed-") as directory,
        Valkey(Path(directory)) as valkey,
    ):
        yield Rig(valkey, cores)


def pace(write: Callable[[int, int], object], rate: int, seconds: int) -> float:
    """Call ``write(first, count)`` at ``rate`` a second; return the seconds that it took."""
    total, sent, began = rate * seconds, 0, time.monotonic()
    while sent < total:
        if due := min(int((time.monotonic() - began) * rate), total) - sent:
            write(sent, due)
            sent += due
        time.sleep(TICK_S)
    return time.monotonic() - began


def metrics(port: int) -> dict[tuple[str, ...], float]:
    """Return a feed's metrics: (name, value of each label...) -> value."""
    with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:  # http, ours
        families = list(text_string_to_metric_families(answer.read().decode()))
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    if not (line := process.stdout.readline().strip()):
        raise Broken(f"a process of the benchmark ended: {process.args!r}")
    return line


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@contextmanager
def _process(
    words: Sequence[str], core: int, env: dict[str, str]
) -> Iterator[subprocess.Popen[str]]:
    with pinned(core):
        process = subprocess.Popen(
            [sys.executable, *words],
            env=os.environ | {"PYTHONPATH": str(ROOT)} | env,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
    with process:
        try:
            yield process
        finally:
            process.kill()
