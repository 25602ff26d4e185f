"""What was appended to the sequence twice is taken out of it again."""

from __future__ import annotations

from typing import Any

from state.sequenced import Sequenced


class Repetitions:
    """Knows which sequenced messages came before, by the largest offset of each source partition.

    A flow that dies may also have written a record of its own twice, as two messages. Within one
    partition the records of one run and origin come in the order of their counters, so the
    largest counter tells that too.
    """

    def __init__(self) -> None:
        self._marks: dict[str, int] = {}

    def is_new(self, row: Sequenced) -> bool:
        """Return whether neither the message nor its record came before; note that it has."""
        topic, partition, offset, _ = row.source
        place = f"{topic}/{partition}"
        # Not one after the other: a repeated record is a new message, and has to be noted as one.
        fresh = self._passes(place, offset)
        return fresh and (not row.run or self._passes(f"{place}/{row.run}", row.counter))

    def _passes(self, name: str, number: int) -> bool:
        if number <= self._marks.get(name, -1):
            return False
        self._marks[name] = number
        return True

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the marks."""
        return dict(self._marks)

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's marks."""
        self._marks = dict(parts)
