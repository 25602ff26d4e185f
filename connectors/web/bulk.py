"""Bulk exports: one runs at a time, in a process of its own; files are kept for a day.

The process leaves the gateway's event loop alone, can be ended at any moment, and gives its memory
back. The files are sealed with keys of this export alone, which no disk ever holds: what a crash
leaves behind opens for nobody, and the next start deletes it.
"""

from __future__ import annotations

import fcntl
import importlib
import logging
import multiprocessing
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from connectors.fhir.lines import LinesReader
from state.sealing import Keyring, Seal

LOG = logging.getLogger("headrace.feed")

KEPT_S = 24 * 3600.0
MOST_KEPT = 16
"""Exports that are known at the same time."""
RUNNING, DONE, FAILED = "running", "done", "failed"
_LOCK = "lock"


class Busy(Exception):
    """Another export runs, or as many as may be are kept."""


@dataclass(frozen=True)
class Order:
    """What is wanted: ``group`` is '' for all; times are ns since 1970 UTC, None for any."""

    types: tuple[str, ...]
    group: str = ""
    since_ns: int | None = None
    until_ns: int | None = None


@dataclass(frozen=True)
class Work:
    """What the process of an export is given; it travels through a pipe.

    ``keyring`` opens what is exported, ``own`` seals the files in ``directory``, which may have
    ``most_bytes`` together.
    """

    order: Order
    directory: Path
    redis_url: str
    keyring: str
    own: str
    most_bytes: int


@dataclass(frozen=True)
class Progress:
    """How far it is, for people."""

    text: str


@dataclass(frozen=True)
class Finished:
    """What was exported: ``files`` type -> resources, ``notes`` as ``files`` of OperationOutcomes.

    ``at_ns``: of when it is. ``persons``: patients' numbers, where they are few.
    """

    at_ns: int
    files: Mapping[str, int]
    notes: Mapping[str, int]
    persons: tuple[str, ...]
    bytes: int


@dataclass(frozen=True)
class Failure:
    """Why there is no export: the status of an answer, and one sentence."""

    status: int
    detail: str


Event = Progress | Finished | Failure
Tell = Callable[[Event], None]


@dataclass
class Job:
    """One export; ``subject`` is who asked, ``request`` the address that was asked for."""

    name: str
    subject: str
    request: str
    order: Order
    directory: Path
    keyring: Keyring
    state: str = RUNNING
    progress: str = "begun"
    finished: Finished | None = None
    failure: Failure | None = None
    expires_s: float = 0.0
    """Unix time."""
    process: BaseProcess | None = None

    def reader(self, kind: str) -> LinesReader | None:
        """Open the file of a type; None where there is none."""
        if self.finished is None or kind not in {*self.finished.files, *self.finished.notes}:
            return None
        try:
            return LinesReader(self.directory / kind, Seal(self.keyring))
        except FileNotFoundError:
            return None  # deleted just now


class Exports:
    """Starts, knows and forgets exports. Threads may share it."""

    def __init__(
        self,
        module: str,
        types: tuple[str, ...],
        directory: Path,
        redis_url: str,
        keyring: Keyring | None,
        most_bytes: int,
        kept_s: float = KEPT_S,
    ) -> None:
        """``module`` has ``export(work, tell)``; nothing is touched on the disk yet."""
        self.types = types
        self._module, self._redis_url, self._keyring = module, redis_url, keyring
        self._most_bytes, self._kept_s = most_bytes, kept_s
        self._above = directory
        self._own: Path | None = None
        self._lock: int | None = None
        self._jobs: dict[str, Job] = {}
        self._timers: dict[str, threading.Timer] = {}
        self._turn = threading.RLock()

    @property
    def usable(self) -> bool:
        """Return whether there are keys that open what is to be exported."""
        return self._keyring is not None

    def open(self) -> None:
        """Make the directory, and delete what earlier runs left. Raises OSError."""
        with self._turn:
            if self._own is not None:
                return
            self._above.mkdir(parents=True, exist_ok=True, mode=0o700)
            for left in self._above.iterdir():
                if _is_left(left):
                    shutil.rmtree(left, ignore_errors=True)
            own = self._above / secrets.token_hex(8)
            own.mkdir(mode=0o700)
            self._lock = os.open(own / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            self._own = own

    def start(self, order: Order, subject: str, request: str) -> Job:
        """Begin an export; blocks for a moment. Raises Busy and OSError."""
        with self._turn:
            if any(job.state == RUNNING for job in self._jobs.values()):
                raise Busy("another export runs")
            if len(self._jobs) >= MOST_KEPT:
                raise Busy("too many exports are kept: delete one")
            self.open()
            assert self._own is not None
            assert self._keyring is not None
            name = secrets.token_hex(16)
            job = Job(name, subject, request, order, self._own / name, Keyring.generate())
            job.directory.mkdir(mode=0o700)
            held = sum(each.finished.bytes for each in self._jobs.values() if each.finished)
            work = Work(
                order, job.directory, self._redis_url, self._keyring.text(), job.keyring.text(),
                max(self._most_bytes - held, 0),
            )  # fmt: skip
            self._jobs[name] = job
            self._run(job, work)
            return job

    def job(self, name: str, subject: str) -> Job | None:
        """Return an export that this subject asked for; None for any other."""
        with self._turn:
            job = self._jobs.get(name)
        return job if job is not None and job.subject == subject else None

    def forget(self, job: Job) -> None:
        """End an export and delete its files; blocks until its process is gone."""
        with self._turn:
            if self._jobs.pop(job.name, None) is None:
                return
            timer = self._timers.pop(job.name, None)
        if timer is not None:
            timer.cancel()
        process = job.process
        if process is not None and job.state == RUNNING:
            process.kill()
            process.join()
        shutil.rmtree(job.directory, ignore_errors=True)

    def close(self) -> None:
        """End and delete all."""
        for job in list(self._jobs.values()):
            self.forget(job)
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        self._own = None

    def _run(self, job: Job, work: Work) -> None:
        spawning = multiprocessing.get_context("spawn")
        receiver, sender = spawning.Pipe(duplex=False)
        process = spawning.Process(target=_child, args=(self._module, work, sender), daemon=True)
        process.start()
        sender.close()
        job.process = process
        thread = threading.Thread(target=self._follow, args=(job, process, receiver), daemon=True)
        thread.start()

    def _follow(self, job: Job, process: BaseProcess, events: Connection) -> None:
        """Take what the process tells until it ends."""
        started_s = time.monotonic()
        last: Event = Failure(500, "the export ended before it was done")
        with suppress(EOFError, OSError):
            while True:
                event: Event = events.recv()
                if isinstance(event, Progress):
                    job.progress = event.text
                else:
                    last = event
        process.join()
        self._settle(job, last, time.monotonic() - started_s)

    def _settle(self, job: Job, last: Event, took_s: float) -> None:
        with self._turn:
            if job.name not in self._jobs:
                return  # it was taken back
            if isinstance(last, Finished):
                job.finished, state = last, DONE
                count = sum(last.files.values())
                LOG.info("export: %d resources in %.1f s, %d bytes", count, took_s, last.bytes)
            else:
                assert isinstance(last, Failure)
                job.failure, state = last, FAILED
                LOG.warning("export: %s", last.detail)
                shutil.rmtree(job.directory, ignore_errors=True)
            job.expires_s = time.time() + self._kept_s
            timer = threading.Timer(self._kept_s, self.forget, (job,))
            timer.daemon = True
            self._timers[job.name] = timer
            timer.start()
            job.state = state


def _child(module: str, work: Work, events: Connection) -> None:
    """Export in a process of its own; what is told to a gateway that is gone ends it."""
    try:
        importlib.import_module(module).export(work, events.send)
    except BrokenPipeError:
        return
    except Exception as error:  # noqa: BLE001  # a text of it might tell of a patient
        events.send(Failure(500, f"the export failed ({type(error).__name__})"))


def _is_left(directory: Path) -> bool:
    """Return whether a directory is of a gateway that runs no more."""
    try:
        lock = os.open(directory / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return directory.is_dir() and _is_old(directory)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(lock)


def _is_old(directory: Path) -> bool:
    """Return whether a directory without a lock is older than it takes to make one."""
    with suppress(OSError):
        return time.time() - directory.stat().st_mtime > 60
    return False
