"""Bounds of one input and of a whole campaign: CPU time, memory, and how a fault is told."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

import psutil  # type: ignore[import-untyped]  # it ships no types

LIMIT_S = 10.0
"""CPU time of one input: hundreds of times what the slowest one takes."""
MEMORY = 256 << 20
"""By how many bytes the process may grow once it is warm."""


class Failure(Exception):
    """What is wrong with an input: its kind, its number, where to begin to repeat it, the fault.

    The fault names an exception and a place in our code, never bytes: they may be a patient's.
    """

    def __init__(self, kind: str, number: int, begin: int, fault: str) -> None:
        super().__init__(kind, number, begin, fault)

    def __str__(self) -> str:
        kind, number, begin, fault = self.args
        return f"{kind} {number} fails (to repeat it, begin with {begin}): {fault}"


class TooSlow(BaseException):
    """An input took more CPU time than any may. No ``except Exception`` may swallow it."""


class Guard:
    """Runs inputs of one kind; to be used in the main thread, which alone hears the timer."""

    def __init__(self, kind: str) -> None:
        self.outcomes: Counter[str] = Counter()
        """How many inputs came to what."""
        self.slowest_s = 0.0
        """CPU time of the slowest input."""
        self._kind = kind
        self._process = psutil.Process()
        self._warm_bytes = 0

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGVTALRM, _too_slow)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        signal.signal(signal.SIGVTALRM, self._before)

    def run(self, number: int, begin: int, work: Callable[[], str]) -> None:
        """Count the outcome of one input. Raises Failure where it raises, or takes too long."""
        began_s = time.process_time()
        signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT_S)
        try:
            self.outcomes[work()] += 1
        except (Exception, TooSlow) as error:  # noqa: BLE001  # any of them is the finding
            raise Failure(self._kind, number, begin, fault_of(error)) from None
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        self.slowest_s = max(self.slowest_s, time.process_time() - began_s)

    def look(self, number: int) -> None:
        """Raise Failure where the process has grown by too much since the first look."""
        now = int(self._process.memory_info().rss)
        self._warm_bytes = self._warm_bytes or now
        if now - self._warm_bytes > MEMORY:
            grown = f"the process has grown by {now - self._warm_bytes >> 20} MiB"
            raise Failure(self._kind, number, 0, grown)


def fault_of(error: BaseException) -> str:
    """Return the exception's name and the innermost line of ours, and nothing that it says.

    What a check of the campaign itself says (`Wrong`) holds no content, and is told.
    """
    if isinstance(error, Wrong):
        return str(error)
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else f" at {_place(trace)}"
    return f"{type(error).__name__}{where}"


class Wrong(Exception):
    """Something came out that must not; it says what, without content."""


def _place(trace: TracebackType) -> str:
    path = trace.tb_frame.f_code.co_filename
    return f"{'/'.join(path.split('/')[-3:])}:{trace.tb_lineno}"


def _too_slow(_: int, __: FrameType | None) -> None:
    raise TooSlow
