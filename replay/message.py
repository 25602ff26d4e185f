"""A message outside Kafka: read from a topic, or to be written into a recording."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from state.records import Header


class Message(NamedTuple):
    """One message, as Kafka would hand it out."""

    topic: str
    partition: int
    offset: int
    timestamp_ns: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header] = ()
