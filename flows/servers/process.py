"""A server as a child process: launched, waited for, ended, brought back."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from importlib import metadata
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals
from types import TracebackType
from typing import ClassVar, Literal, Protocol, Self

from flows.engine.ports import HOST, free_port
from flows.servers import launch
from state.errors import ServerFailed

START_SECONDS = 180.0
STOP_SECONDS = 30.0


class Server(ABC):
    """A server of ours on loopback; a context manager that starts and stops it.

    Start it from a thread that lives as long as it should: Linux ends it with the
    *thread* that started it.
    """

    name: ClassVar[str]
    run_as: ClassVar[Literal["root", "unprivileged"]] = "root"
    stop_signal: ClassVar[Signals] = SIGTERM
    kill_signal: ClassVar[Signals] = SIGKILL

    def __init__(self, directory: Path) -> None:
        self.home = directory.resolve() / self.name
        """Where all its files are."""
        self.port = free_port()
        """The same after a restart."""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """The file that holds what the server said."""
        return self.home / "server.log"

    @property
    def pid(self) -> int:
        """The process's id; raises `ServerFailed` where it does not run."""
        if self._process is None:
            raise ServerFailed(self.name, "is not running")
        return self._process.pid

    def start(self) -> Self:
        """Start the server and return when it answers; raises `ServerFailed`."""
        self.launch()
        self.wait()
        return self

    def launch(self) -> None:
        """Start the process without waiting until it answers."""
        if self._process is not None:
            raise ServerFailed(self.name, "is running already")
        if not self.home.exists():
            self.home.mkdir(parents=True)
            self._create()
        self._process = self._spawn(self._command())

    def wait(self) -> None:
        """Return when the launched server answers; raises `ServerFailed` after 180 s."""
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process is None or self._process.poll() is not None:
                self._process = None
                raise ServerFailed(self.name, f"ended while starting: {self._last_words()}")
            if time.monotonic() > deadline:
                self.kill()
                raise ServerFailed(self.name, f"did not answer in time: {self._last_words()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End the server as its operator would; no effect where it does not run."""
        self._end(self.stop_signal)

    def kill(self) -> None:
        """End the server at once, as a crash would; no effect where it does not run."""
        self._end(self.kill_signal)

    def __enter__(self) -> Self:
        return self if self._process is not None else self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @abstractmethod
    def _create(self) -> None:
        """Fill the new home: configuration, empty data."""

    @abstractmethod
    def _command(self) -> list[str]:
        """Return the absolute path and the arguments of the server."""

    @abstractmethod
    def _answers(self) -> bool:
        """Say whether a client would be served now."""

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            # A session of its own: Ctrl-C in a terminal reaches us, and we end them in order.
            return subprocess.Popen(
                self._launcher(command),
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _run(self, command: list[str]) -> None:
        """Run a tool of the server to its end, as the user that the server will be."""
        process = self._spawn(command)
        if process.wait() != 0:
            raise ServerFailed(self.name, f"{Path(command[0]).name} failed: {self._last_words()}")

    def _launcher(self, command: list[str]) -> list[str]:
        parent, signal_number = str(os.getpid()), str(int(self.kill_signal))
        python = [sys.executable, "-I", "-S", launch.__file__]
        return [*python, parent, signal_number, self.run_as, *command]

    def _end(self, signal: Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").split("\n") if self.log.exists() else []
        said = [line.strip() for line in lines if line.strip()]
        return f"{said[-1] if said else 'it said nothing'} (see {self.log})"


def wheel_path(name: str, distribution: str, path: str) -> Path:
    """Return where a wheel put one of its files; raises `ServerFailed` where it is not installed.

    Not by importing its package: some look for directories of their own when imported.
    """
    try:
        return Path(str(metadata.distribution(distribution).locate_file(path)))
    except metadata.PackageNotFoundError as error:
        fix = "is not installed: pip install 'headrace[demo]'"
        raise ServerFailed(name, f"{distribution} {fix}") from error


def connects(port: int) -> bool:
    """Say whether something listens on this loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


class Launched(Protocol):
    """What `start_all` needs of a server."""

    def launch(self) -> None:
        """Start without waiting."""

    def wait(self) -> None:
        """Return when it answers."""

    def kill(self) -> None:
        """End at once."""


def start_all(*servers: Launched) -> None:
    """Start servers side by side; where one fails, none stays."""
    try:
        for server in servers:
            server.launch()
        for server in servers:
            server.wait()
    except BaseException:
        # Whatever it is, Ctrl-C too: nobody else knows the servers that run already.
        for server in servers:
            server.kill()
        raise
