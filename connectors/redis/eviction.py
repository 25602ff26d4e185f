"""Whether Redis may drop what flows wrote: its policy where memory runs out."""

from __future__ import annotations

import logging
import threading
from typing import Any

import redis

from state.lifecycle import Lifecycle
from state.metrics import REDIS_EVICTS

LOG = logging.getLogger(__name__)

EVERY_S = 10.0


def evicting(info: dict[str, Any]) -> str:
    """Return the policy of a server's INFO where it drops keys without an end; else ''.

    Ours have none. Without a limit of memory such a policy drops nothing yet, but it waits for one.
    """
    policy = str(info.get("maxmemory_policy", ""))
    return policy if policy.startswith("allkeys-") else ""


class EvictionWatch:
    """Asks for the policy now and then, from a thread of its own, and says where it is wrong.

    A mark that is dropped stops the flow, which finds it missing; an entry or a latest value that
    is dropped would be missed by readers alone.
    """

    def __init__(self, pool: redis.ConnectionPool, lifecycle: Lifecycle) -> None:
        self._client = redis.Redis(connection_pool=pool)
        self._lifecycle = lifecycle
        self._policy = ""
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to ask, once; it ends when the process is told to stop."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="eviction", daemon=True)
            self._thread.start()

    def _watch(self) -> None:
        while not self._lifecycle.stopping.is_set():
            try:
                self.look()
            except redis.RedisError as error:  # the sink says so where it is down
                LOG.debug("Redis does not tell its policy: %s", type(error).__name__)
            self._lifecycle.stopping.wait(EVERY_S)

    def look(self) -> None:
        """Ask once; note what has changed."""
        policy = evicting(self._client.info("memory"))
        REDIS_EVICTS.set(bool(policy))
        if policy and policy != self._policy:
            LOG.error("maxmemory-policy %s of Redis drops what flows wrote: set noeviction", policy)
        self._policy = policy
