"""``headrace bench feed``: many clients on ten symbols each, beside a bare broadcast.

Both servers read the same stream at the same rate. What is compared is how many messages each
delivers for one second of its CPU, which other load on the machine does not change as it does
the clock.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
import psutil  # type: ignore[import-untyped]  # it ships no types
from pydantic import SecretStr

from benchmarks.web.readers import SYMBOLS
from connectors.redis.client import pool
from connectors.redis.keys import Keys
from connectors.redis.sink import RedisPartition
from flows.servers import Valkey
from replay import arguments
from state.lifecycle import Lifecycle
from state.outputs import to_json
from state.records import OutputBatch

ROOT = Path(__file__).parents[2]
TICK_S = 0.02
GOAL = 0.7


@dataclass(frozen=True)
class Trial:
    """What one server did; bytes are what each client added to its memory."""

    messages: int
    seconds: float
    cpu_s: float
    p50_ms: float
    p99_ms: float
    client_bytes: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --clients, --rate and --seconds."""
    positive = arguments.positive
    parser.add_argument("--clients", type=positive, default=1000, metavar="N", help="(1000)")
    parser.add_argument("--rate", type=positive, default=200, help="updates a second (200)")
    parser.add_argument("--seconds", type=positive, default=20, metavar="N", help="(20)")


def run(args: argparse.Namespace) -> int:
    """Print both trials and their ratio; return 1 where the goal was missed."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    feed, bare = measure(args.clients, args.rate, args.seconds)
    for name, trial in (("feed", feed), ("bare broadcast", bare)):
        print(
            f"{name:<15} {trial.messages / trial.seconds:>9,.0f} messages/s  "
            f"{trial.messages / trial.cpu_s:>9,.0f} per CPU second  "
            f"p50 {trial.p50_ms:.2f} ms  p99 {trial.p99_ms:.2f} ms  "
            f"{trial.client_bytes / 1024:.1f} KiB a client"
        )
    ratio = (feed.messages / feed.cpu_s) / (bare.messages / bare.cpu_s)
    verdict = "met" if ratio >= GOAL else "MISSED"
    print(f"{'ratio':<15} {ratio:.2f} (goal: at least {GOAL}, {verdict})")
    return 0 if ratio >= GOAL else 1


def measure(clients: int, rate: int, seconds: int) -> tuple[Trial, Trial]:
    """Return the trials of the feed and of the bare broadcast."""
    with (
        tempfile.TemporaryDirectory(prefix="headrace-feed-") as directory,
        Valkey(Path(directory)) as valkey,
    ):
        url = valkey.url
        keys = Keys("market", 1)
        connections = pool(SecretStr(url))
        sink = RedisPartition(connections, keys, "bench", 100_000, Lifecycle())
        writer = _Writer(sink)
        settings = {"port": 0, "clients": 2 * clients, "connections_per_second": clients}
        env = os.environ | {"PYTHONPATH": str(ROOT), "HEADRACE_REDIS__URL": url}
        env |= {f"HEADRACE_FEED__{k.upper()}": str(v) for k, v in settings.items()}
        bare = ["-m", "benchmarks.web.bare", url, keys.stream("nbbo")]
        return (
            _trial(["-m", "flows", "feed"], env, writer, clients, rate, seconds),
            _trial(bare, env, writer, clients, rate, seconds),
        )


class _Writer:
    """Writes quotes that say when they were written."""

    def __init__(self, sink: RedisPartition) -> None:
        self._sink = sink
        self._written = 0

    def write(self, count: int) -> None:
        """Write some quotes."""
        symbols = [f"S{(self._written + i) % SYMBOLS}" for i in range(count)]
        now = time.time_ns()
        sides = {"bid": 100.01, "bid_size": 300.0, "ask": 100.02, "ask_size": 200.0}
        ids = [f"{symbol}|{now}" for symbol in symbols]
        values = [
            to_json({"id": i, "symbol": s, "ts_ns": now, **sides})
            for i, s in zip(ids, symbols, strict=True)
        ]
        first = self._written + 1
        self._written += count
        self._sink.write_batch(
            [OutputBatch("nbbo", "0", first, [now] * count, ids, symbols, values)]
        )
        self._sink.snapshot()


def _trial(
    words: list[str], env: dict[str, str], writer: _Writer, clients: int, rate: int, seconds: int
) -> Trial:
    with _process(words, env) as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip().rpartition(":")[2]
        seen = psutil.Process(server.pid)
        time.sleep(1.0)
        before_bytes = seen.memory_info().rss
        with _process(["-m", "benchmarks.web.readers", port, str(clients)], env) as readers:
            assert readers.stdout is not None
            assert readers.stdin is not None
            assert readers.stdout.readline() == "ready\n"
            client_bytes = (seen.memory_info().rss - before_bytes) / clients
            cpu_s, began = _cpu_s(seen), time.monotonic()
            _pace(writer, rate, seconds)
            time.sleep(0.5)
            cpu_s, took = _cpu_s(seen) - cpu_s, time.monotonic() - began
            readers.stdin.close()
            found = orjson.loads(readers.stdout.readline())
    return Trial(found["count"], took, cpu_s, found["p50_ms"], found["p99_ms"], client_bytes)


def _pace(writer: _Writer, rate: int, seconds: int) -> None:
    began, sent = time.monotonic(), 0
    while (passed := time.monotonic() - began) < seconds:
        if due := int(passed * rate) - sent:
            writer.write(due)
            sent += due
        time.sleep(TICK_S)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@contextmanager
def _process(words: list[str], env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, *words],
        env=env,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
