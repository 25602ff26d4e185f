"""Transaction bundles."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Entry = dict[str, Any]
"""fullUrl, resource and request (FHIR R4, "Bundle")."""


def transaction(entries: Iterable[Entry]) -> dict[str, Any]:
    """Return a bundle of entries, each resource in it once, as a transaction has to be.

    The last one that is put wins, and over one that is only added where it is missing.
    """
    kept: dict[str, Entry] = {}
    for entry in entries:
        known = kept.get(entry["fullUrl"])
        if known is None or entry["request"]["method"] == "PUT":
            kept[entry["fullUrl"]] = entry
    return {"resourceType": "Bundle", "type": "transaction", "entry": list(kept.values())}
