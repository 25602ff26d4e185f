"""Reads of secret outputs as people want them told, from an audit file of the gateway."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from connectors.web.reads import MAX_NAMED, PURPOSE, hashed
from state.errors import CannotUnseal, Misuse
from state.sealing import Seal, closing_key

if TYPE_CHECKING:
    from flows.engine.resealing import Count  # it takes Redis and PostgreSQL


def told(event: dict[str, Any], seal: Seal | None) -> str:
    """Return one line: when, who, what, how many records, and why where it says so.

    ``event`` is an AuditEvent of `connectors.web.reads`; ``seal`` opens reasons.
    """
    asked, *about = event["entity"]
    agent = event["agent"][0]
    words = [
        event["recorded"],
        agent["who"]["identifier"]["value"] or "nobody",
        agent["network"]["address"],
        event["subtype"][0]["code"],
        asked["what"]["identifier"]["value"],
    ]
    if "detail" in asked:
        words.append(f"{_records(asked)} records")
    if about:
        words.append(f"of {len(about)}")
    if "outcomeDesc" in event:
        words.append(f"refused: {event['outcomeDesc']}")
    words += [f"break-glass: {reason}" for reason in _reasons(event, seal)]
    return " ".join(words)


def concerns(event: dict[str, Any], seal: Seal, person: str) -> bool:
    """Return whether a read was, or may have been, about a person.

    It was where the person is named or asked for. It may have been where it names nobody, for it
    was of more than `MAX_NAMED`.
    """
    sought = hashed(seal, person)
    asked, *about = event["entity"]
    query = base64.b64decode(asked.get("query", "")).decode()
    named = any(each["what"]["identifier"]["value"] == sought for each in about)
    return named or sought in query or (not about and _records(asked) > MAX_NAMED)


def is_audit(line: bytes) -> bool:
    """Return whether a line of a file is an entry of the audit of reads."""
    try:
        what = orjson.loads(line)["what"]
        return bool(what["resourceType"] == "AuditEvent")
    except (orjson.JSONDecodeError, TypeError, KeyError):
        return False


def count_reasons(path: Path, count: Count, active: str) -> None:
    """Count the sealed reasons of an audit file, which nobody can change: it is chained.

    The gateway may write it: an entry that is not whole yet is left out. Raises Misuse where a
    line is none, and OSError.
    """
    with path.open("rb") as lines:
        for line in lines:
            if not line.endswith(b"\n"):
                return
            if not is_audit(line):
                raise Misuse(f"{path} holds a line that is no entry of an audit of reads")
            for purpose in orjson.loads(line)["what"].get("purposeOfEvent", ()):
                count.add(active, closing_key(base64.b64decode(purpose["text"])))


def _records(asked: dict[str, Any]) -> int:
    return int(asked["detail"][0]["valueString"]) if "detail" in asked else 0


def _reasons(event: dict[str, Any], seal: Seal | None) -> Iterator[str]:
    for purpose in event.get("purposeOfEvent", ()):
        try:
            sealed = base64.b64decode(purpose["text"])
            yield seal.open(sealed, PURPOSE).decode() if seal else "(sealed)"
        except CannotUnseal as error:
            yield f"({error})"
