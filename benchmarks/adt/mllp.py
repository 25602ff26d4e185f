"""The MLLP listener under load: it answers only what a real Kafka broker has.

Senders, listener and broker share the cores of the machine, so the report says what share of them
each of the three takes.
"""

from __future__ import annotations

import argparse
import socket
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it ships no types

from benchmarks.adt import seen
from benchmarks.adt.listener import Listening, settings
from benchmarks.adt.mllp_load import PATIENCE_S
from benchmarks.child import Child
from benchmarks.machine import facts
from benchmarks.report import Goal, Report
from benchmarks.rig import Rig, eventually
from connectors.adt.envelope import TOPIC
from flows.engine.open_files import allow_connections
from flows.engine.ports import HOST, free_port
from replay import arguments
from state.errors import Broken

LOAD = "benchmarks.adt.mllp_load"
TAKEN = Goal(5000)
SHOWN = ("p50", "p99", "p99.9")
KIB = 1 << 10
TICK_S = 0.01
"""What the kernel counts CPU time of other processes in."""


@dataclass(frozen=True)
class Trial:
    """What came of one load; CPU seconds by process."""

    seconds: float
    answered_ms: dict[str, float]
    cpu_s: dict[str, float]


class Load:
    """Loads of new messages on one listener."""

    def __init__(self, listening: Listening, connections: int, count: int) -> None:
        self._listening = listening
        self._connections = connections
        self._count = count
        self._used = 0

    def trial(self, window: int) -> Trial:
        """Send messages that were never sent, ``window`` under way on each connection.

        Raises Broken where one is not accepted, or not in Kafka.
        """
        rig = self._listening.rig
        seen = {"listener": self._listening.run.pid, "broker": rig.kafka.pid}
        before = rig.produced(TOPIC)
        job = {"port": self._listening.port, "connections": self._connections, "window": window,
               "count": self._count, "seed": 1, "first": self._used}  # fmt: skip
        self._used += self._count
        with Child(LOAD, job) as child:
            child.heard()
            began_s = {name: _cpu_s(pid) for name, pid in seen.items()}
            told = child.heard()
            cpu_s = {name: _cpu_s(pid) - began_s[name] for name, pid in seen.items()}
        if (stored := rig.produced(TOPIC) - before) != self._count:
            raise Broken(f"{self._count} messages were accepted and {stored} are in Kafka")
        return Trial(told["seconds"], told["answered_ms"], {"senders": told["cpu_s"], **cpu_s})

    def figures(self, report: Report, part: str, trials: list[Trial]) -> None:
        """Report trials of one window."""
        rates = [self._count / each.seconds for each in trials]
        report.figure(part, "stored, then answered", "messages/s", rates, TAKEN)
        busy = [self._count / max(each.cpu_s["listener"], TICK_S) for each in trials]
        report.figure(part, "a CPU-second of the listener", "messages", busy)
        for name in SHOWN:
            values = [each.answered_ms[name] for each in trials]
            report.figure(part, f"a message's answer, {name}", "ms", values)
        for name in trials[0].cpu_s:
            shares = [each.cpu_s[name] / each.seconds for each in trials]
            report.figure(part, f"CPU of the {name}", "cores", shares)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the sizes."""
    positive = arguments.positive
    parser.add_argument("--connections", type=positive, default=50, metavar="N", help="(50)")
    parser.add_argument(
        "--window", type=positive, default=16, metavar="N", help="b: under way on each (16)"
    )
    parser.add_argument(
        "--messages", type=positive, default=20_000, metavar="N", help="a trial (20,000)"
    )
    parser.add_argument("--idle", type=positive, default=1000, metavar="N", help="c (1,000)")
    parser.add_argument("--repeats", type=positive, default=5, metavar="N")
    parser.add_argument("--only", choices=("load", "seen"), help="a to c, or d (all)")
    parser.add_argument("--rate", type=positive, default=100, metavar="N", help="d (100)")
    parser.add_argument("--seconds", type=positive, default=60, metavar="N", help="d (60)")
    arguments.add_json(parser, "all figures")


def run(args: argparse.Namespace) -> int:
    """Measure and print; a goal that is missed is printed as missed, and is no failure."""
    report = Report(args.json, facts())
    report.begin()
    with tempfile.TemporaryDirectory(prefix="headrace-mllp-") as directory:
        if args.only != "seen":
            _loaded(report, Path(directory) / "load", args)
        if args.only != "load":
            seen.run(report, Path(directory) / "seen", args.rate, args.seconds)
    report.end()
    return 0


def _loaded(report: Report, directory: Path, args: argparse.Namespace) -> None:
    allow_connections(args.idle, "--idle")
    port = free_port()
    with Rig(directory, settings(port)) as rig:
        listening = Listening(rig, port)
        # First, for what a load has freed again would be used for connections.
        idle = _idle_bytes(listening, args.idle)
        load = Load(listening, args.connections, args.messages)
        _loads(report, load, args)
        report.part(
            "c", f"{args.idle:,} idle connections; {rig.kafka.kind}", "growth of the listener's RSS"
        )
        report.figure("c", "memory", "MiB", [idle / KIB / KIB])
        report.figure("c", "a connection", "KiB", [idle / KIB / args.idle])


def _loads(report: Report, load: Load, args: argparse.Namespace) -> None:
    windows = {"a": 1, "b": args.window}
    load.trial(args.window)  # nobody's first messages: topics, caches and connections are new
    trials: dict[str, list[Trial]] = {part: [] for part in windows}
    for _ in range(args.repeats):
        for part, window in windows.items():
            trials[part].append(load.trial(window))
    condition = f"{args.messages:,} ADT messages of the simulated hospital"
    titles = {"a": "one message under way on each", "b": f"{args.window} under way on each"}
    for part, found in trials.items():
        report.part(part, f"{args.connections} connections, {titles[part]}", condition)
        load.figures(report, part, found)


def _idle_bytes(listening: Listening, count: int) -> int:
    """Return by how much the listener grows with so many connections that say nothing."""
    process = psutil.Process(listening.run.pid)
    before, files = process.memory_info().rss, process.num_fds()
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(socket.create_connection((HOST, listening.port), PATIENCE_S))
        eventually("all connections are open", lambda: process.num_fds() >= files + count)
        return int(process.memory_info().rss - before)


def _cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
