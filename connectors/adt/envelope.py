"""Where a message belongs and when it was recorded: what is asked before it is understood."""

from __future__ import annotations

from datetime import UTC, tzinfo

from connectors.hl7.header import Header
from connectors.hl7.message import NULL, Message
from connectors.hl7.times import instant, zone_of
from state.errors import OutOfRange

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


def recorded_ns(message: Message, zone: tzinfo = UTC) -> int | None:
    """Return when a message was recorded, ns since 1970 UTC: by EVN-2, else by MSH-7.

    None where neither is a time. A time without a zone has that of MSH-7, else ``zone``.
    """
    sent = message.text("MSH", 7)
    zone = zone_of(sent) or zone
    for text in (message.text("EVN", 2), sent):
        if (time_ns := _time_ns(text, zone)) is not None:
            return time_ns
    return None


def _time_ns(text: str, zone: tzinfo) -> int | None:
    try:
        return instant(text, zone).ns
    except OutOfRange:
        return None
