"""The supervisor of one flow: starts its workers, drains them, restarts them together.

The workers of a Bytewax cluster live and die as a group: one that loses a peer cannot go
on. So when a worker dies the others are killed, and all start again from the last
durable snapshot, later each time, until `Restarts` gives up.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flows.engine.generation import Generation, writer_name
from flows.engine.ports import free_port
from flows.engine.reports import Failure, parse
from state.errors import Broken, Misuse

log = logging.getLogger("supervisor")

SIGNALS = (signal.SIGTERM, signal.SIGINT)
POLL_S = 0.02
GRACE_S = 0.5
"""How long the peers of a dead worker may take to report: the cause is not always the first."""


@dataclass(frozen=True)
class Order:
    """What to run."""

    flow: str
    config: Path | None
    generation: Generation
    start: str
    """Where a new generation starts, as kafka.start; '' for that setting."""
    workers: int
    drain_s: float
    restarts: int
    debug: bool = False
    writer: str = field(default_factory=writer_name)
    """Names this run, of which all its workers are."""


class Stop:
    """Set by SIGTERM, by SIGINT, or by a worker that was told to stop by someone else.

    The signals are blocked here and, since a mask is inherited, in every worker from its
    birth, so that none dies of one before it can drain. A library may have started a thread
    before (numpy does) in which they are not blocked: for that there are handlers too.
    """

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.impatient = threading.Event()
        """A second SIGINT: the user will not wait for the drain."""
        self._interrupts = 0
        for number in SIGNALS:
            signal.signal(number, lambda number, _: self._take(number))
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        threading.Thread(target=self._watch, name="signals", daemon=True).start()

    def _watch(self) -> None:
        while True:
            self._take(signal.sigwait(SIGNALS))

    def _take(self, number: int) -> None:
        self._interrupts += number == signal.SIGINT
        self.asked.set()
        if self._interrupts > 1:
            self.impatient.set()


class Restarts:
    """When to start again: 0.5 s after a death, doubling to 30 s, for each within ten minutes."""

    WINDOW_S = 600.0
    FIRST_S, LONGEST_S = 0.5, 30.0

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._deaths: deque[float] = deque()

    def next_delay(self, now: float) -> float | None:
        """Count a death at ``now`` (seconds); return how long to wait, None to give up."""
        self._deaths.append(now)
        while now - self._deaths[0] > self.WINDOW_S:
            self._deaths.popleft()
        count = len(self._deaths)
        if count > self._limit:
            return None
        return float(min(self.FIRST_S * 2 ** (count - 1), self.LONGEST_S))


class Worker:
    """One worker process and what it reports."""

    def __init__(self, order: Order, stop: Stop, index: int, arguments: Sequence[str]) -> None:
        self.name = f"worker {index}"
        self.failure: Failure | None = None
        self._stop = stop
        self._debug = order.debug
        self._last_line = ""
        log_fd = os.dup(2)
        self._process = subprocess.Popen(
            [*_command(order), "--index", str(index), "--log-fd", str(log_fd), *arguments],
            stdin=subprocess.PIPE,  # nothing is written; the worker ends when it breaks
            stderr=subprocess.PIPE,
            pass_fds=(log_fd,),
            env=_environment(order.debug),
        )
        os.close(log_fd)
        self._reader = threading.Thread(target=self._read, name=self.name, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def code(self) -> int | None:
        """Return the exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        self._process.send_signal(number)

    def reap(self) -> None:
        """Kill it if it still runs, and take in its last reports."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stdin is not None
        self._process.stdin.close()

    def reason(self) -> Failure:
        """Return why it died, from its report or, without one, from its end."""
        if self.failure is not None:
            return self.failure
        code = self._process.returncode
        if code < 0:
            return Failure(f"{self.name} was killed by {signal.Signals(-code).name}")
        said = f": {self._last_line}" if self._last_line else ""
        return Failure(f"{self.name} ended with code {code}{said}")

    def _read(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            for line in lines:
                report = parse(line)
                if report is None:
                    self._last_line = line.decode(errors="replace").strip() or self._last_line
                    if self._debug:
                        sys.stderr.write(line.decode(errors="replace"))
                elif report.failure is not None:
                    self.failure = report.failure
                else:
                    self._stop.asked.set()


def supervise(order: Order, stop: Stop) -> None:
    """Run the flow until it ends, or is told to and has drained.

    The caller holds the generation's lock. Raises Broken, or Misuse where the user can
    mend it, with the reason why it gave up.
    """
    restarts = Restarts(order.restarts)
    while not stop.asked.is_set():
        failure = _attempt(order, stop)
        if failure is None:
            return
        if failure.final or stop.asked.is_set():
            raise (Misuse if failure.misuse else Broken)(failure.reason)
        delay = restarts.next_delay(time.monotonic())
        if delay is None:
            raise Broken(
                f"gave up after {order.restarts} restarts in ten minutes: {failure.reason}"
            )
        log.warning("%s; all workers start again in %g s", failure.reason, delay)
        stop.asked.wait(delay)


def _attempt(order: Order, stop: Stop) -> Failure | None:
    """Prepare the generation where that is still to be done, then run the workers.

    A lone worker prepares it itself: a process of its own would load the whole flow once more.
    """
    generation = order.generation
    if order.workers == 1:
        return _run_group(order, stop, [["--start", order.start]])
    if generation.load() is None or not generation.recovery.exists():
        failure = _run_group(order, stop, [["--prepare", "--start", order.start]])
        if failure is not None or stop.asked.is_set():
            return failure
    return _run_group(order, stop, _cluster(order.workers))


def _cluster(workers: int) -> list[list[str]]:
    """Return the arguments of each worker; their addresses are new at every start."""
    addresses = ",".join(f"127.0.0.1:{free_port()}" for _ in range(workers))
    return [["--addresses", addresses]] * workers


def _run_group(order: Order, stop: Stop, arguments: list[list[str]]) -> Failure | None:
    """Run workers until all have ended; return the cause where one failed."""
    workers = [Worker(order, stop, index, given) for index, given in enumerate(arguments)]
    log.debug("workers: %s", ", ".join(str(worker.pid) for worker in workers))
    try:
        overdue = _wait(order, stop, workers)
        # Not those that are killed now, since they have not noticed that another one died.
        dead = [worker for worker in workers if worker.code()]
    finally:
        for worker in workers:
            worker.reap()
    if overdue:
        return Failure(
            f"killed before it was drained (run.drain is {order.drain_s:g} s): what came after the "
            "last snapshot is replayed at the next start"
        )
    failed = [each.reason() for each in workers if each in dead or each.failure is not None]
    return max(failed, key=lambda failure: (failure.final, failure.rank), default=None)


def _wait(order: Order, stop: Stop, workers: list[Worker]) -> bool:
    """Wait for the end of all workers, a while at most once one has ended or must end.

    Returns whether the drain took too long.
    """
    deadline = float("inf")
    told = False
    while any(worker.code() is None for worker in workers):
        now = time.monotonic()
        codes = [worker.code() for worker in workers]
        if any(code not in (None, 0) for code in codes):
            deadline = min(deadline, now + GRACE_S)
        elif 0 in codes or stop.asked.is_set():
            deadline = min(deadline, now + order.drain_s)
        if stop.asked.is_set() and not told:
            told = True
            for worker in workers:
                worker.signal(signal.SIGTERM)
        if now > deadline or stop.impatient.is_set():
            return all(code in (None, 0) for code in codes)
        time.sleep(POLL_S)
    return False


def _command(order: Order) -> list[str]:
    # -P: a directory named state or operators where the user stands must not hide ours.
    command = [sys.executable, "-P", "-m", "flows.engine.worker", order.flow]
    command += ["--root", str(order.generation.root)]
    command += ["--generation", str(order.generation.number), "--writer", order.writer]
    command += ["--config", str(order.config)] if order.config else []
    return command + (["--debug"] if order.debug else [])


def _environment(debug: bool) -> dict[str, str]:
    """Return the environment of a worker: our packages found, Bytewax's server and traces off."""
    environment = dict(os.environ)
    ours = str(Path(__file__).resolve().parent.parent)
    paths = [ours, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    environment.pop("BYTEWAX_DATAFLOW_API_ENABLED", None)
    environment["RUST_BACKTRACE"] = "1" if debug else "0"
    return environment
