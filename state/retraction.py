"""Retractions: the record that takes a key away, in the form that every sink carries."""

from __future__ import annotations

from typing import Any

from state.outputs import Output

RETRACTED = "retracted"
"""The field that is true in a retraction's value; no other record has a field of this name."""


def retraction(output: Output, time_ns: int, identity: str, key: str) -> dict[str, Any]:
    """Return the record that retracts table key ``key`` of ``output`` at event time ``time_ns``."""
    return {"id": identity, "key": key, RETRACTED: True, output.time: time_ns}
