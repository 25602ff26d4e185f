"""The records of outputs as REST tells them: their published schemas, with times as texts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from state.outputs import Output
from state.schemas import output_schema, sealed_schema

SEALED, RETRACTION, HOUR = "sealed", "retraction", "hour"
_INTEGER = {"type": "string", "pattern": "^-?[0-9]+$"}
_RETRACTION = {
    "type": "object",
    "description": "It takes the key away.",
    "required": ["id", "key", "retracted"],
    "properties": {
        "id": {"type": "string"},
        "key": {"type": "string"},
        "retracted": {"const": True},
    },
    "patternProperties": {"_ns$": _INTEGER},
}
_HOUR = {
    "type": "object",
    "description": "An hour made of the bars of 1m.",
    "required": ["symbol", "interval", "start_ns", "open", "high", "low", "close", "volume"],
    "properties": {"symbol": {"type": "string"}, "interval": {"const": "1h"}, "start_ns": _INTEGER},
}
_NUMERIC = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "type"})
_OUTSIDE = frozenset({"$schema", "$id"})
"""What names a document of its own; here a schema is part of one."""


def components(outputs: Iterable[Output]) -> dict[str, Any]:
    """Return the schemas for the description's components, by the outputs' names."""
    found = {output.topic: as_told(output_schema(output)) for output in outputs}
    return found | {SEALED: as_told(sealed_schema()), RETRACTION: _RETRACTION, HOUR: _HOUR}


def record_of(*outputs: Output, more: Iterable[str] = ()) -> dict[str, Any]:
    """Return the schema of a record of any of these outputs; a secret one may be sealed.

    ``more`` names other components that it may be.
    """
    names = [*(output.topic for output in outputs), *more]
    if any(output.secret for output in outputs):
        names.append(SEALED)
    refs = [{"$ref": f"#/components/schemas/{name}"} for name in names]
    return refs[0] if len(refs) == 1 else {"anyOf": refs}


def as_told(schema: Any) -> Any:
    """Return a schema for what `answers.to_body` makes of records.

    >>> as_told({"properties": {"ts_ns": {"type": "integer", "minimum": 0}}})
    {'properties': {'ts_ns': {'type': 'string', 'pattern': '^-?[0-9]+$'}}}
    """
    if isinstance(schema, list):
        return [as_told(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: _times(value) if name in ("properties", "patternProperties") else as_told(value)
        for name, value in schema.items()
        if name not in _OUTSIDE
    }


def _times(properties: dict[str, Any]) -> dict[str, Any]:
    return {name: _time(name, as_told(schema)) for name, schema in properties.items()}


def _time(name: str, schema: Any) -> Any:
    types = schema.get("type") if isinstance(schema, dict) else None
    if not name.removesuffix("$").endswith("_ns") or types is None or "integer" not in types:
        return schema
    kept = {word: value for word, value in schema.items() if word not in _NUMERIC}
    told = kept | _INTEGER
    return told if types == "integer" else told | {"type": ["string", "null"]}
