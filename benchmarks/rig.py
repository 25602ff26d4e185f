"""What a benchmark runs on: real servers and real ``headrace`` processes, and their end.

::

    with Rig(directory, {"HEADRACE_RUN__EPOCH": "200ms"}) as rig:
        rig.make_topics(partitions=4)
        market = rig.start("market", "--workers", "2")
        ...
        market.drain()

All of it lies in one directory and ends with the process that made it, however that ends.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from signal import SIGKILL, SIGTERM
from types import TracebackType
from typing import Any, Self
from urllib.request import urlopen

import psutil  # type: ignore[import-untyped]  # it ships no types
from confluent_kafka import KafkaException, TopicPartition

import flows
from connectors.kafka.topics import ensure_topics, offset_bounds
from flows.config import load
from flows.engine.cluster import cluster_of, group_name
from flows.engine.ports import free_port
from flows.engine.systems import output_topic
from flows.market import flow as market
from flows.market.settings import Market
from flows.servers import KafkaBroker, Postgres, Valkey, launch, start_all
from state.errors import Broken
from state.market.outputs import MARKET
from state.outputs import DEAD

ROOT = Path(flows.__file__).parents[1]
POLL_S = 0.1
"""Each look asks the broker for offsets, and it has work to do beside."""
PATIENCE_S = 600.0
"""How long anything here may take before the run counts as stuck."""

_LAUNCH = [sys.executable, "-I", "-S", str(launch.__file__)]


def eventually(what: str, fact: Callable[[], Any], patience_s: float = PATIENCE_S) -> None:
    """Return once ``fact()`` is true; raises Broken after ``patience_s``."""
    deadline = time.monotonic() + patience_s
    while not fact():
        if time.monotonic() > deadline:
            raise Broken(f"not within {patience_s:g} s: {what}")
        time.sleep(POLL_S)


class FlowRun:
    """One ``headrace run``, a supervisor and its workers; or a listener or feed, without any."""

    def __init__(
        self,
        environment: Mapping[str, str],
        words: tuple[str, ...],
        log: Path,
        command: str = "run",
    ) -> None:
        self.name = words[0]
        self.log = log
        self.http_port = int(environment["HEADRACE_RUN__HTTP_PORT"])
        """Where its first worker answers."""
        program = [sys.executable, "-P", "-m", "flows", *filter(None, (command, *words))]
        with log.open("ab") as said:
            self._process = subprocess.Popen(
                [*_LAUNCH, str(os.getpid()), str(int(SIGKILL)), "root", *program],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,  # Ctrl-C is ours to handle
            )

    @property
    def pid(self) -> int:
        """The id of the process, a flow's supervisor."""
        return self._process.pid

    def workers(self) -> list[psutil.Process]:
        """Return the worker processes that run now, by index."""
        found = {}
        for child in self._children():
            try:
                words = child.cmdline()
            except psutil.NoSuchProcess:
                continue
            if "--index" in words and "--prepare" not in words:
                found[words[words.index("--index") + 1]] = child
        return [found[index] for index in sorted(found)]

    def ready(self) -> bool:
        """Say whether its workers have opened their sources and wait for no server."""
        count = len(self.workers())
        return count > 0 and all(_answers(self.http_port + index) for index in range(count))

    def code(self) -> int | None:
        """Return the exit code; None while it runs."""
        return self._process.poll()

    def check(self) -> None:
        """Raise Broken where it has ended."""
        if self.code() is not None:
            raise Broken(f"{self.name} ended with code {self.code()}: {self.said()}")

    def said(self) -> str:
        """Return the last line that it logged."""
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1] if lines else "nothing"

    def kill(self) -> None:
        """Kill the supervisor and its workers at once; return when all are gone."""
        children = self._children()
        for child in children:
            child.kill()
        self.kill_supervisor(children)

    def kill_supervisor(self, children: list[psutil.Process] | None = None) -> None:
        """Kill the supervisor alone; return when its workers are gone too, as they must be."""
        left = self._children() if children is None else children
        self._process.kill()
        self._process.wait()
        _, alive = psutil.wait_procs(left, timeout=PATIENCE_S)
        if alive:
            raise Broken(f"workers of {self.name} outlive their supervisor")

    def drain(self) -> int:
        """Stop it as an operator would; return the exit code."""
        self._process.send_signal(SIGTERM)
        return self.wait()

    def wait(self, seconds: float = PATIENCE_S) -> int:
        """Return the exit code once it has ended; raises Broken where it does not."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Broken(f"{self.name} does not end: {self.said()}") from None

    def _children(self) -> list[psutil.Process]:
        try:
            return list(psutil.Process(self._process.pid).children())
        except psutil.NoSuchProcess:
            return []


def _answers(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/ready", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


class Rig:
    """Kafka, Valkey and PostgreSQL in a directory, and flows on them.

    ``settings`` are ``HEADRACE_…`` variables besides the servers' addresses; those of
    this process's own environment are left out.
    """

    def __init__(self, directory: Path, settings: Mapping[str, str]) -> None:
        self.directory = directory
        self._given = dict(settings)
        self.kafka = KafkaBroker(directory)
        self.valkey = Valkey(directory)
        self.postgres = Postgres(directory)
        self.environment: dict[str, str] = {}
        self._runs: list[FlowRun] = []
        self._groups: dict[str, Any] = {}
        self._counts: dict[str, int] = {}

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        start_all(self.kafka, self.valkey, self.postgres)
        own = {k: v for k, v in os.environ.items() if not k.startswith("HEADRACE_")}
        self.environment = own | {
            "PYTHONPATH": str(ROOT),
            "HEADRACE_KAFKA__BOOTSTRAP": self.kafka.bootstrap,
            "HEADRACE_REDIS__URL": self.valkey.url,
            "HEADRACE_POSTGRES__DSN": self.postgres.dsn,
            "HEADRACE_RUN__STATE_DIR": str(self.directory / "state"),
            **self._given,
        }
        self.settings = load(environ=self.environment).settings
        self.cluster = cluster_of(self.settings.kafka)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for run in self._runs:
            run.kill()
        for consumer in self._groups.values():
            consumer.close()
        for server in (self.kafka, self.valkey, self.postgres):
            server.kill()

    def make_topics(self, partitions: int, **config: str) -> None:
        """Make the topics that market reads and writes; they keep all by default.

        Those of events and answers have one partition. ``config`` holds Kafka's topic settings,
        with underscores for the dots.
        """
        names = [output.name for output in MARKET]
        topics = [self.settings.of(Market).topic]
        topics += [output_topic("market", name) for name in [*names, DEAD]]
        made = {each.topic: each.partitions for each in market.inputs(self.settings)}
        options = {"retention_ms": "-1", **config}
        ensure_topics(
            self.cluster,
            dict.fromkeys(topics, partitions) | {t: n for t, n in made.items() if n},
            {name.replace("_", "."): value for name, value in options.items()},
        )

    def start(self, *words: str, command: str = "run") -> FlowRun:
        """Start ``headrace run``, or ``ingest``, with these words; its log is ``<flow>.log``.

        Without a ``command`` the words are the command itself. From a thread that lives as long as
        the flow should: Linux ends it with that.
        """
        port = free_port(in_a_row=4)  # one for each worker
        environment = {"HEADRACE_RUN__HTTP_PORT": str(port), **self.environment}
        run = FlowRun(environment, words, self.directory / f"{words[0]}.log", command)
        self._runs.append(run)
        return run

    def headrace(self, *words: str) -> str:
        """Run a command to its end; return its output. Raises Broken where it fails."""
        command = [sys.executable, "-P", "-m", "flows", *words]
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise Broken(f"headrace {words[0]}: {done.stderr.strip()}")
        return done.stdout

    def consumed(self, flow: str, *topics: str) -> int:
        """Return how many messages of the topics are behind a durable snapshot of the flow.

        That is what its group has committed; a topic is taken to begin at offset 0.
        """
        asked = [TopicPartition(t, p) for t in topics for p in range(self._partitions(t))]
        if flow not in self._groups:
            self._groups[flow] = self.cluster.consumer(group_name(self.settings, flow, 1))
        return sum(max(0, answer.offset) for answer in self._committed(flow, asked))

    def _committed(self, flow: str, asked: list[TopicPartition]) -> list[TopicPartition]:
        """Return the group's answers; a broker that has just come back is asked again."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                answers: list[TopicPartition] = self._groups[flow].committed(asked, timeout=10)
            except KafkaException as error:
                if time.monotonic() > deadline:
                    raise Broken(f"no offsets of {flow}: {error.args[0].str()}") from None
                time.sleep(POLL_S)
            else:
                return answers

    def produced(self, *topics: str) -> int:
        """Return how many messages the topics have got."""
        ends = (high for topic in topics for _, high in self._bounds(topic).values())
        return sum(ends)

    def _partitions(self, topic: str) -> int:
        if topic not in self._counts:
            self._counts[topic] = len(self._bounds(topic))
        return self._counts[topic]

    def _bounds(self, topic: str) -> dict[int, tuple[int, int]]:
        # A topic that was just made may have no leaders for as long as the machine is busy.
        return offset_bounds(self.cluster, topic, PATIENCE_S)
