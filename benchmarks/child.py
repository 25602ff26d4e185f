"""Measured programs as processes of their own, which say what they found as JSON lines.

A program is a module with ``main(job)``; its job comes as JSON on the command line. It
may `say` something while it runs (that it is ready), and says its result last. It ends
when its standard input closes, at the latest with the process that started it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from state.errors import Broken

ROOT = Path(__file__).resolve().parents[1]


class Child:
    """One running program; killed where it still runs when the block ends."""

    def __init__(
        self, module: str, job: Mapping[str, Any], env: Mapping[str, str] | None = None
    ) -> None:
        self._module = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, orjson.dumps(job).decode()],
            env={**_environment(), "PYTHONPATH": str(ROOT), **(env or {})},
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def heard(self) -> dict[str, Any]:
        """Return the next thing that it says; raises Broken where it ended without a word."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise Broken(f"{self._module} ended with {self._process.wait()} before its result")
        said: dict[str, Any] = orjson.loads(line)
        return said

    def stop(self) -> None:
        """Close its standard input, by which it is told to end."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._process.kill()
        with self._process:  # closes the pipes, and waits
            pass


def _environment() -> dict[str, str]:
    """Return ours without settings: a figure must not depend on what a shell has set."""
    return {k: v for k, v in os.environ.items() if not k.startswith("HEADRACE_")}


def say(content: Mapping[str, Any]) -> None:
    """Tell the parent one thing."""
    sys.stdout.buffer.write(orjson.dumps(content) + b"\n")
    sys.stdout.flush()


def stopped() -> threading.Event:
    """Return an event that is set when the parent has closed our standard input."""
    event = threading.Event()

    def watch() -> None:
        while os.read(0, 1):
            pass
        event.set()

    threading.Thread(target=watch, name="parent", daemon=True).start()
    return event


def job() -> dict[str, Any]:
    """Return the job that the command line gives."""
    given: dict[str, Any] = orjson.loads(sys.argv[1])
    return given


def start(main: Callable[[dict[str, Any]], None]) -> None:
    """Run a program's main on its job, and end without waiting for others' threads."""
    main(job())
    sys.stdout.flush()
