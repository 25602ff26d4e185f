"""A `headrace` command as a child process of a demo."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from flows.servers import launch
from state.errors import HeadraceError

DRAIN_S = 120
"""How long a flow gets to drain; a machine that is busy with other things needs it."""
END_S = DRAIN_S + 10.0
READY_S = 600.0
"""How long one gets to be ready: without `headrace warm` it compiles its kernels first."""


@dataclass
class Child:
    """A `headrace` command as a child process, which is killed when this process dies."""

    name: str
    words: list[str]
    environment: dict[str, str]
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
