"""Where a message belongs: what is asked before it is understood."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from connectors.hl7.header import Header
from connectors.hl7.message import NULL

TOPIC = "adt.raw"
UNKNOWN = b"unknown"
"""The domain of messages that name no sender, and of bytes that are no message."""
Domains = Mapping[str, str]
"""The name of a sender -> the domain that it shares with others (the setting ``adt.domains``)."""
ALONE: Domains = MappingProxyType({})
"""Nobody shares a domain."""


def domain(header: Header | None, domains: Domains = ALONE) -> bytes:
    """Return the merge domain, the key of ``adt.raw``: what the sender shares, else its name.

    The name is the first part of MSH-4 (facility), else of MSH-3 (application), as it was
    sent; else `UNKNOWN`, as where there is no header (None).
    """
    if header is None:
        return UNKNOWN
    return shared(header, domains).encode() or _name(header)


def shared(header: Header, domains: Domains) -> str:
    """Return the domain that the sender of a message shares with others, "" for none."""
    return domains.get(_text(_name(header)), "") if domains else ""


def _name(header: Header) -> bytes:
    below = header.delimiters.subcomponent.encode("latin_1")
    names = (header.part(field).split(below, 1)[0].strip() for field in (4, 3))
    return next((name for name in names if name not in (b"", NULL.encode())), UNKNOWN)


def _text(name: bytes) -> str:
    """Return a name as the settings have it, whichever of the two sets its letters are of."""
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name.decode("cp1252", "replace")
