"""JSON messages, read within bounds."""

from __future__ import annotations

from typing import Any

import orjson

from state.errors import Malformed

MAX_JSON = 65_536
"""The most bytes of a JSON message."""


def parse_json(value: bytes, most: int = MAX_JSON) -> dict[str, Any]:
    """Return the fields of a JSON message of at most ``most`` bytes.

    Raises Malformed where the bytes are no JSON object or too many. RFC 8259; of fields
    with the same name the last one counts.
    """
    if len(value) > most:
        raise Malformed(f"a message of {len(value)} bytes; JSON has at most {most}")
    try:
        fields = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"no JSON, from character {error.pos} on") from None
    if type(fields) is not dict:
        raise Malformed("the JSON is not an object")
    return fields
