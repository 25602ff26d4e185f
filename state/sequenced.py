"""A message of the sequenced topic, where several topics have been brought into one order."""

from __future__ import annotations

from typing import Any, NamedTuple

from state.errors import BadRecord
from state.records import Coordinates, DeadLetter


class Sequenced(NamedTuple):
    """One message that was sequenced.

    ``coordinates`` are its own, ``source`` those of the message that was appended, ``ts_ns`` its
    Kafka timestamp. Where a flow of ours wrote that message, ``run`` is the ``generation/origin``
    of its records and ``counter`` the record's number among them; else they are '' and 0. ``body``
    is what ``value`` says.
    """

    coordinates: Coordinates
    source: Coordinates
    ts_ns: int
    run: str
    counter: int
    key: bytes | None
    value: bytes
    body: dict[str, Any]

    @property
    def generation(self) -> int:
        """Return the generation of the flow that wrote the message; 0 where none of ours did."""
        number = self.run.partition("/")[0]
        # More digits than an int64 has would take time to read.
        return int(number) if number.isascii() and number.isdigit() and len(number) < 19 else 0

    def dead(self, error: BadRecord) -> DeadLetter:
        """Return the message as a dead letter, with the coordinates of what was appended."""
        return DeadLetter.of(error, self.source, self.ts_ns, self.key, self.value)
