"""Where a message belongs: what is asked before it is understood."""

from __future__ import annotations

from connectors.hl7.header import Header
from connectors.hl7.message import NULL

TOPIC = "adt.raw"
UNKNOWN = b"unknown"
"""The domain of messages that name no sender, and of bytes that are no message."""


def domain(header: Header | None) -> bytes:
    """Return the merge domain, the key of ``adt.raw``, as it was sent.

    It is the first component of MSH-4 (facility), else of MSH-3 (application), else `UNKNOWN`, as
    where there is no header (None).
    """
    names = (header.part(field) for field in (4, 3)) if header is not None else ()
    return next((name for name in names if name not in (b"", NULL.encode())), UNKNOWN)
