"""A file of chained entries that only grows: an entry is on the disk before anybody goes on.

One thread writes. What waits for it is written together, so many reads share one fsync.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from state.disk import to_disk
from state.errors import Misuse, Unaudited
from state.outputs import to_json

LOG = logging.getLogger("headrace.feed")
MAX_LINE = 1 << 20
"""Bytes that an entry may have: so much is read to find the last one."""


_Waiting = tuple[int, dict[str, Any], "Future[None]"]


class Head(Protocol):
    """The last entry of a chain."""

    @property
    def number(self) -> int:
        """Its number, from 1; 0 where there is none."""

    @property
    def hash(self) -> str:
        """Its hash."""


class Chain(Protocol):
    """Makes the entries; `operators.audit.AuditChain` is one."""

    @property
    def head(self) -> Head:
        """Return the last entry's number and hash."""

    def append(self, ts_ns: int, what: dict[str, Any]) -> dict[str, Any]:
        """Return the next entry."""

    def resume(self, line: bytes) -> None:
        """Go on behind the entry of a line, b"" for none. Raises ValueError."""


class Trail:
    """The file and its chain. Threads may share it; one process at a time has the file."""

    def __init__(self, path: Path, chain: Chain) -> None:
        """Open nothing yet."""
        self.head = chain.head
        """The last entry on the disk that this process knows of."""
        self._path = path
        self._chain = chain
        self._file: int | None = None
        self._waiting: deque[_Waiting] = deque()
        self._writer = ThreadPoolExecutor(1, "audit")
        self._failing = False

    def add(self, ts_ns: int, what: dict[str, Any]) -> Future[None]:
        """Append an entry; the future is done once it is on the disk, or fails with Unaudited."""
        done: Future[None] = Future()
        done.set_running_or_notify_cancel()  # who waits no more does not take the entry back
        self._waiting.append((ts_ns, what, done))
        try:
            self._writer.submit(self._drain)
        except RuntimeError:  # closed meanwhile
            done.set_exception(Unaudited("the gateway stops"))
        return done

    def open(self) -> None:
        """Open the file, and go on behind its last entry; blocks.

        An entry of which a crash left only the beginning is cut off: nobody was answered on it.
        Raises Misuse where another process has the file or it does not end with an entry, OSError.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._take_over(file)
        except BaseException:
            os.close(file)
            raise
        self._file = file

    def close(self) -> None:
        """Write what waits, and give the file back."""
        self._writer.shutdown()
        self._forget()

    def _drain(self) -> None:
        taken = []
        while self._waiting:
            taken.append(self._waiting.popleft())
        if not taken:
            return
        try:
            self._write([(ts_ns, what) for ts_ns, what, _ in taken])
        except (OSError, Misuse) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            self._fail(taken, Unaudited(reason))
        except BaseException as error:
            # A fault of ours is no full disk, and whoever waits must not wait for good.
            self._fail(taken, error)
            raise
        else:
            self._failing = False
            self.head = self._chain.head
            for _, _, done in taken:
                done.set_result(None)

    def _fail(self, taken: list[_Waiting], failure: BaseException) -> None:
        if not self._failing:  # once, not for each of thousands
            LOG.error("%s", failure, exc_info=None if isinstance(failure, Unaudited) else failure)
        self._failing = True
        for _, _, done in taken:
            done.set_exception(failure)

    def _write(self, entries: list[tuple[int, dict[str, Any]]]) -> None:
        if self._file is None:
            self.open()
        assert self._file is not None
        self._check_place(self._file)
        try:
            lines = [to_json(self._chain.append(*entry)) + b"\n" for entry in entries]
            left = memoryview(b"".join(lines))
            while left:
                left = left[os.write(self._file, left) :]
            os.fsync(self._file)
        except BaseException:
            self._forget()  # the next entry finds out what of these is there
            raise

    def _take_over(self, file: int) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Misuse(
                f"another process writes {self._path}: give each gateway a feed.audit of its own"
            ) from None
        size = os.fstat(file).st_size
        tail = os.pread(file, MAX_LINE, max(size - MAX_LINE, 0))
        whole = tail.rfind(b"\n") + 1
        if torn := len(tail) - whole:
            LOG.warning("%s: cut off %d bytes of an entry that was never whole", self._path, torn)
            os.ftruncate(file, size - torn)
        line = tail[tail.rfind(b"\n", 0, max(whole - 1, 0)) + 1 : whole]
        try:
            self._chain.resume(line)
        except ValueError as error:
            raise Misuse(
                f"{self._path} does not end with a good entry ({error}): keep it, see "
                "`headrace audit verify`, and name another file in feed.audit"
            ) from None
        self.head = self._chain.head
        os.fsync(file)
        to_disk(self._path.parent)

    def _check_place(self, file: int) -> None:
        """Raise Misuse where the name leads elsewhere: entries would go where nobody looks."""
        try:
            there = os.path.samestat(self._path.stat(), os.fstat(file))
        except FileNotFoundError:
            there = False
        if not there:
            raise Misuse(f"{self._path} was moved or deleted: start the gateway anew")

    def _forget(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
