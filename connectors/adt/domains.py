"""The merge domain of a message: what may ever be merged, moved or swapped shares it."""

from __future__ import annotations

from connectors.hl7.header import Header

UNKNOWN = b"unknown"
"""The domain of what says neither its facility nor its application."""


def merge_domain(header: Header | None) -> bytes:
    """Return the key that a message has in Kafka, so that a domain keeps its order.

    The sending facility (MSH-4), else the sending application (MSH-3), of each the first
    component, as it was sent; ``header`` is None where a message has none.
    """
    if header is None:
        return UNKNOWN
    said = (header.part(number) for number in (4, 3))
    return next((name for name in said if name.strip(b'"')), UNKNOWN)
