"""Blocking calls off the event loop, so many at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

import anyio
import anyio.to_thread

from connectors.web.rest.problems import Problem

TIMEOUT_S = 30.0
"""The longest that any request waits for a server; each server has a shorter limit of its own."""

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


async def run(call: Callable[[*Ts], T], *arguments: *Ts) -> T:
    """Return what ``call`` returns, from a thread; its errors pass through.

    Raises Problem 503 where it takes too long; the thread then ends by itself.
    """
    try:
        with anyio.fail_after(TIMEOUT_S):
            return await anyio.to_thread.run_sync(call, *arguments, abandon_on_cancel=True)
    except TimeoutError:
        raise Problem(503, "it takes too long now", headers={"Retry-After": "5"}) from None
