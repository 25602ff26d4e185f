"""A `headrace run` of the test flow as a child process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any, ClassVar, Self, cast
from unittest.mock import patch

import orjson
import psutil  # type: ignore[import-untyped]  # it ships no types
from pydantic import SecretStr

from connectors.redis.reader import RedisReader
from flows.__main__ import main
from flows.engine.ports import free_port
from flows.servers import launch
from tests import producing
from tests.waiting import PATIENCE_S, eventually

ROOT = Path(__file__).parents[2]
_ENDS_WITH_US = [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), "9", "root"]
"""What a command begins with that the kernel kills when this process ends, however it does."""
TALLY = Path(__file__).with_name("tally.py")


def settings(bootstrap: str, redis_url: str, directory: Path, **more: str) -> dict[str, str]:
    """Return an environment with nothing of ours but these settings."""
    own = {k: v for k, v in os.environ.items() if not k.startswith("HEADRACE_")}
    return own | {
        "PYTHONPATH": str(ROOT),
        "HEADRACE_KAFKA__BOOTSTRAP": bootstrap,
        "HEADRACE_KAFKA__SHARDS": "2",
        "HEADRACE_REDIS__URL": redis_url,
        "HEADRACE_KEY_FILE": str(directory / "adt.key"),  # none before a command makes it
        "HEADRACE_RUN__STATE_DIR": str(directory / "state"),
        "HEADRACE_RUN__EPOCH": "100ms",
        "HEADRACE_RUN__DRAIN": f"{PATIENCE_S:g}s",
        "HEADRACE_RUN__HTTP_PORT": str(free_port(in_a_row=4)),  # one for each worker
        **more,
    }


def headrace(env: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end in this process, where its imports are made already."""
    out, err = StringIO(), StringIO()
    with (
        patch.dict(os.environ, env, clear=True),
        chdir(ROOT),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            code: object = main(words)
        except SystemExit as end:  # argparse's own way out
            code = end.code
    return subprocess.CompletedProcess(words, cast(int, code), out.getvalue(), err.getvalue())


def headrace_process(env: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end in a process of its own."""
    command = [sys.executable, "-m", "flows", *words]
    return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)


@dataclass
class Run:
    """One run of a flow; killed at the end of the test if it still runs."""

    command: ClassVar[str] = "run"

    env: dict[str, str]
    words: tuple[str, ...]
    log: Path
    process: subprocess.Popen[bytes] = field(init=False)

    def __enter__(self) -> Self:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*_ENDS_WITH_US, sys.executable, "-m", "flows", self.command, *self.words],
                env=self.env,
                cwd=ROOT,
                stderr=log,
            )
        return self

    def __exit__(self, kind: object = None, *_: object) -> None:
        workers = self.workers()
        self.process.kill()
        self.process.wait()
        psutil.wait_procs(workers, PATIENCE_S)  # they hold their ports until they are gone
        if kind is not None:  # the log's directory may be gone when someone looks
            print(self.log.read_text())

    def workers(self) -> list[psutil.Process]:
        """Return the worker processes, by index."""
        try:
            found = psutil.Process(self.process.pid).children()
            commands = {child: child.cmdline() for child in found}
        except psutil.NoSuchProcess:
            return []
        # One that has just been forked still has its parent's command.
        running = [c for c, w in commands.items() if "--index" in w and "--prepare" not in w]
        return sorted(running, key=lambda c: commands[c][commands[c].index("--index") + 1])

    def probe(self, path: str, index: int = 0) -> tuple[int, Any]:
        """Return the answer of a worker's probe; (0, None) where nobody answers."""
        port = int(self.env["HEADRACE_RUN__HTTP_PORT"]) + index
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, orjson.loads(error.read())
        except OSError:
            return 0, None

    def ready(self, count: int = 1) -> None:
        """Wait until all workers are ready."""

        def fact() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            return all(self.probe("/ready", index)[0] == 200 for index in range(count))

        eventually(fact, 120)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


class Numbers:
    """Produces numbers to a topic and knows the sums that must come out."""

    def __init__(self, bootstrap: str, topic: str, partitions: int) -> None:
        self._producer = producing.producer(bootstrap, linger_ms=1)
        self._topic = topic
        self.sums: dict[str, list[int]] = {str(p): [] for p in range(partitions)}

    def send(self, count: int) -> None:
        """Produce ``count`` numbers to each partition."""
        for partition, sums in self.sums.items():
            for number in range(1, count + 1):
                sums.append((sums[-1] if sums else 0) + number)
                self.raw(str(number).encode(), int(partition))
        self.flush()

    def raw(self, value: bytes, partition: int = 0) -> None:
        """Produce any value."""
        self._producer.produce(self._topic, value, key=b"k", partition=partition)

    def flush(self) -> None:
        """Wait for the broker."""
        assert self._producer.flush(PATIENCE_S) == 0


def held(redis_url: str, system: str = "tally", generation: int = 1) -> dict[str, list[int]]:
    """Return the sums in the Redis stream by origin; counters have to be without gaps."""
    reader = RedisReader(SecretStr(redis_url), system, generation)
    sums: dict[str, list[int]] = {}
    for entry in reader.entries("sums"):
        found = sums.setdefault(entry.origin, [])
        assert entry.counter == len(found) + 1
        found.append(orjson.loads(entry.value)["sum"])
    return sums


def topic_name() -> str:
    return f"numbers.{uuid.uuid4().hex[:12]}"
