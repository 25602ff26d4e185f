"""The generation of a system that readers are to use, for a flow that reads its topics."""

from __future__ import annotations

import logging
import threading

import redis
from pydantic import SecretStr

from connectors.redis.client import client
from connectors.redis.reader import current_generation
from state.lifecycle import Lifecycle

LOG = logging.getLogger(__name__)
NAME = "generation"
EVERY_S = 1.0


class Promoted:
    """Asks Redis once a second, from a thread of its own, so that an outage stops nothing."""

    def __init__(self, url: SecretStr, system: str, lifecycle: Lifecycle) -> None:
        """Ask for ``system``; nothing is asked before the first call.

        Raises SettingsError where the URL does not parse.
        """
        self._client = client(url)
        self._system = system
        self._lifecycle = lifecycle
        self._known: int | None = None
        self._thread: threading.Thread | None = None

    def __call__(self) -> int | None:
        """Return the last answer; None, which /ready tells, before the first one."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._ask, name="promoted", daemon=True)
            self._thread.start()
        if self._known is None:
            self._lifecycle.waiting.setdefault(
                NAME, f"Redis has not told yet which generation of {self._system} is read"
            )
        return self._known

    def _ask(self) -> None:
        while not self._lifecycle.stopping.is_set():
            try:
                self._note(current_generation(self._client, self._system))
            except (redis.RedisError, ValueError) as error:
                LOG.debug("the generation of %s: %s", self._system, type(error).__name__)
            self._lifecycle.stopping.wait(EVERY_S)

    def _note(self, generation: int) -> None:
        if generation < 1:
            raise ValueError("generations count from 1")
        if generation != self._known:
            LOG.info("generation %d of %s is read", generation, self._system)
        self._known = generation
        self._lifecycle.recovered(NAME)
