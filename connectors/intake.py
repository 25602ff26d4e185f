"""Stores each content once, for a listener that answers only what Kafka has.

It knows no protocol: a listener of another one than MLLP needs the same.
"""

from __future__ import annotations

from functools import partial

from connectors.kafka.delivery import Outgoing
from connectors.kafka.durable import DurableWriter, Outcome
from connectors.repeats import Repeats


class Intake:
    """Hands messages to a writer, and knows those that are stored or on their way by a digest."""

    def __init__(self, writer: DurableWriter, repeats: Repeats) -> None:
        self._writer = writer
        self._repeats = repeats
        self._on_their_way: dict[bytes, Outcome] = {}

    def take(self, message: Outgoing, digest: bytes, now_ns: int) -> tuple[Outcome | None, bool]:
        """Return what ends once Kafka has told, None where it holds the message; and if it is new.

        What comes again while the first is on its way has the first one's outcome.
        """
        if self._repeats.has(digest, now_ns):
            return None, False
        outcome = self._on_their_way.get(digest)
        if outcome is not None:
            return outcome, False
        outcome = self._writer.store(message, now_ns)
        self._on_their_way[digest] = outcome
        outcome.add_done_callback(partial(self._told, digest, now_ns))
        return outcome, True

    def _told(self, digest: bytes, now_ns: int, outcome: Outcome) -> None:
        del self._on_their_way[digest]
        if outcome.result() is None:
            self._repeats.add(digest, now_ns)
