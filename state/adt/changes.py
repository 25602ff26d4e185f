"""Records of patient care's outputs, as who reads them from their topics gets them."""

from __future__ import annotations

from typing import Any, NamedTuple

from state.errors import BadRecord
from state.records import Coordinates, DeadLetter


class Change(NamedTuple):
    """One record of an output, or the retraction of a key (``record`` None); and its message.

    ``value`` is the message as it was read, sealed.
    """

    output: str
    key: str
    record: dict[str, Any] | None
    coordinates: Coordinates
    timestamp_ns: int
    message_key: bytes | None
    value: bytes

    def dead(self, error: BadRecord) -> DeadLetter:
        """Return its message as a dead letter, still sealed."""
        return DeadLetter.of(
            error, self.coordinates, self.timestamp_ns, self.message_key, self.value
        )
