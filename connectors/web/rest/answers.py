"""Bodies of answers: JSON whose ``…_ns`` are strings, and entity tags."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from connectors.web.frames import as_json

REVALIDATED = "private, no-cache"
"""A client may keep the answer, and has to ask each time whether it still holds."""


def to_body(value: Any) -> bytes:
    """Return the JSON of an answer, its integers under names that end in ``_ns`` as strings.

    Browsers read JSON numbers as doubles, which lose integers above 2**53.

    >>> to_body({"ts_ns": 17, "weights": {"A_ns": 0.5}})
    b'{"ts_ns":"17","weights":{"A_ns":0.5}}'
    """
    return as_json(orjson.dumps(value, option=orjson.OPT_SORT_KEYS))


def json(value: Any, status: int = 200) -> Response:
    """Return an answer that nobody may keep."""
    headers = {"Cache-Control": "no-store"}
    return Response(to_body(value), status, headers, "application/json")


def unkept(body: bytes, headers: Mapping[str, str]) -> Response:
    """Return an answer that nobody may keep, with these headers."""
    return Response(body, 200, {"Cache-Control": "no-store", **headers}, "application/json")


def tagged(request: Request, body: bytes, media_type: str = "application/json") -> Response:
    """Return an answer with its entity tag, or 304 where the client has it already.

    Source: RFC 9110, 13.1.2 (the weak comparison) and 15.4.5.
    """
    tag = f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": REVALIDATED, "Vary": "Authorization"}
    asked = [each.strip() for each in request.headers.get("if-none-match", "").split(",")]
    if "*" in asked or tag in (each.removeprefix("W/") for each in asked):
        return Response(status_code=304, headers=headers)
    return Response(body, 200, headers, media_type)
