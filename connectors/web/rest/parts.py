"""What the REST half is given: servers to ask, and what only higher layers know."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import redis

from connectors.web.audit import Audit
from connectors.web.bulk import Exports
from connectors.web.limits import Buckets, Limits
from connectors.web.reads import Reads
from connectors.web.rest.connections import Connections
from connectors.web.rest.health import Workers
from connectors.web.rest.outputs import Catalog
from connectors.web.rest.producing import Producing
from connectors.web.rest.rooms import Room
from connectors.web.tokens import Tokens
from state.sealing import Seal


class Listed(NamedTuple):
    """The facts of dead letters, oldest first; not ``complete`` where the oldest are left out."""

    letters: list[dict[str, Any]]
    complete: bool


class DeadLetters(Protocol):
    """The newest dead letters of the systems. All blocks, and raises Misuse or Broken."""

    def listed(self, system: str) -> Listed | None:
        """Return the facts of letters; None where there is no such topic."""

    def shown(
        self, system: str, coordinates: str, *, unseal: bool = False
    ) -> dict[str, Any] | None:
        """Return the facts, key and value of a letter; None where there is none.

        A sealed one has no key and no value unless ``unseal``. Raises CannotUnseal.
        """

    def retry(self, system: str, coordinates: str) -> bool | None:
        """Send a letter again; False where its value was left out, None where there is none.

        Raises CannotUnseal where it is sealed and cannot be opened here.
        """

    def close(self) -> None:
        """Close what was opened."""


@dataclass(frozen=True)
class Parts:
    """All that handlers use."""

    catalog: Catalog
    """The outputs that are served."""
    rooms: Sequence[Room]
    redis: redis.Redis
    history: Connections
    producing: Producing
    dead: DeadLetters
    recordings: Callable[[], Sequence[dict[str, Any]]]
    """Blocks. ``name`` and ``bytes`` of each, and its ``topics`` or the ``error``."""
    exports: Exports | None
    """None: no system has any."""
    workers: Workers
    tokens: Tokens | None
    """None: no authentication."""
    seal: Seal | None
    """Opens sealed records for those who may unseal; None: nobody may."""
    origins: tuple[str, ...]
    """Origins of other pages that may read and write."""
    limits: Limits
    audit: Audit
    reads: Reads
    requests: Buckets
    """Requests, by address and subject ..."""
    commands: Buckets
    """... and those that are vital."""
    now_ns: Callable[[], int]

    def close(self) -> None:
        """Close what was opened; messages under way are waited for."""
        if self.exports is not None:
            self.exports.close()
        self.reads.close()
        self.producing.close()
        for room in self.rooms:
            room.close()
        self.dead.close()
        self.history.close()
        self.redis.close()
