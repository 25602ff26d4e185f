"""Blocking calls off the event loop, so many at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar, TypeVarTuple

import anyio
import anyio.to_thread
from anyio import CapacityLimiter
from anyio.lowlevel import RunVar

from connectors.web.rest.problems import Problem

TIMEOUT_S = 30.0
"""The longest that any request waits for a server; each server has a shorter limit of its own."""
COMMANDS = 8
"""Threads for commands: reads that wait for a server may hold all others."""
_COMMANDS = RunVar[CapacityLimiter]("commands")

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Blocking(Protocol):
    """`run` or `command`."""

    async def __call__(self, call: Callable[[*Ts], T], *arguments: *Ts) -> T:
        """Return what ``call`` returns."""


async def run(call: Callable[[*Ts], T], *arguments: *Ts) -> T:
    """Return what ``call`` returns, from a thread; its errors pass through.

    Raises Problem 503 where it takes too long; the thread then ends by itself.
    """
    return await _run(None, call, *arguments)


async def command(call: Callable[[*Ts], T], *arguments: *Ts) -> T:
    """Return what ``call`` returns, as `run`; reads never keep it waiting."""
    try:
        limiter = _COMMANDS.get()
    except LookupError:
        limiter = CapacityLimiter(COMMANDS)
        _COMMANDS.set(limiter)
    return await _run(limiter, call, *arguments)


async def _run(limiter: CapacityLimiter | None, call: Callable[[*Ts], T], *arguments: *Ts) -> T:
    try:
        with anyio.fail_after(TIMEOUT_S):
            return await anyio.to_thread.run_sync(
                call, *arguments, abandon_on_cancel=True, limiter=limiter
            )
    except TimeoutError:
        raise Problem(503, "it takes too long now", headers={"Retry-After": "5"}) from None
