"""What a stateful step of a flow does: one class for each, without Bytewax, Kafka or a clock.

The engine runs a logic inside a Bytewax step (flows/engine/step.py), which counts its records,
seals what is secret, and writes and reads its snapshots. A logic sees the items of one shard in
order and may depend on nothing else: not on how they were cut into batches, nor on the time of
day.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

from operators.outputs import Outbox
from state.snapshots import Plain


class Logic(ABC):
    """One stateful step. Derive from it, and keep all state where `snapshot` sees it."""

    @abstractmethod
    def process(self, item: Any, outbox: Outbox) -> Iterable[Any]:
        """Work on one item: change the state, emit records.

        Return what later steps of the flow get besides the records: an empty tuple for nothing.
        A DeadLetter among it goes to the flow's dead letters.
        """

    def finish(self, outbox: Outbox) -> Iterable[Any]:
        """Emit what is left at the end of a recording; a live flow never ends."""
        return ()

    def describe(self, key: str) -> dict[str, Any]:
        """Return what the state says of one key, as plain values for people; {} for nothing."""
        return {}

    def measure(self, now_ns: int) -> None:  # noqa: B027  # a logic may have no such metric
        """Set the metrics that depend on the wall clock; called about once a second."""

    @abstractmethod
    def snapshot(self) -> dict[str, Plain]:
        """Return a copy of the state as plain values (state/snapshots.py)."""

    @abstractmethod
    def restore(self, parts: dict[str, Plain]) -> None:
        """Take over the state of a snapshot."""
