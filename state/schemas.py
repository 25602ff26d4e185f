"""The JSON Schemas of outputs and dead letters, made of what declares them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from state import errors
from state.errors import BadRecord
from state.outputs import DEAD, Column, Kind, Output, sealed_columns

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TYPES = {
    Kind.KEY: "string",
    Kind.TEXT: "string",
    Kind.INT: "integer",
    Kind.FLOAT: "number",
    Kind.BOOL: "boolean",
    Kind.JSON: "object",
    Kind.DOCUMENT: "object",
}


SEALED = "schemas/sealed.v1.json"
"""Where the schema of what sinks carry of a secret output is, within docs."""


def schema_path(output: Output) -> str:
    """Return where the newest schema of an output is, within docs."""
    return f"schemas/{output.system}/{output.name}.v{output.version}.json"


def schemas(outputs: Iterable[Output]) -> dict[str, dict[str, Any]]:
    """Return path within docs -> schema: of each output, and of each system's dead letters."""
    found = {}
    for output in outputs:
        found[schema_path(output)] = output_schema(output)
        found[f"schemas/{output.system}/{DEAD}.v1.json"] = dead_schema(output.system)
    return found | {SEALED: sealed_schema()}


def output_schema(output: Output) -> dict[str, Any]:
    """Return the schema of the records of an output, in clear."""
    properties = {column.name: _property(column) for column in output.columns}
    return {
        **_head(output.system, output.name, output.version),
        **({"description": output.description} if output.description else {}),
        **_strict(properties),
        **output.rules,
    }


def dead_schema(system: str) -> dict[str, Any]:
    """Return the schema of a system's dead letters, as replay and export write them."""
    left_out = {"anyOf": [{"required": ["length"]}, {"required": ["sha256"]}]}
    whole = {"required": ["value"], "not": left_out}
    digest = {"required": ["length", "sha256"], "not": {"required": ["value"]}}
    strict = _strict(_LETTER)
    strict["required"] = [name for name in _LETTER if name not in _OPTIONAL]
    said = "Messages, or records of one, that could not be used; as replay and export write them."
    return {**_head(system, DEAD, 1), "description": said, **strict, "oneOf": [whole, digest]}


def sealed_schema() -> dict[str, Any]:
    """Return the schema of what sinks carry of a secret output."""
    columns = sealed_columns("_ns")
    properties = {column.name: _property(column) for column in columns[:-1]}
    time = _property(columns[-1])
    return {
        "$schema": _DIALECT,
        "$id": "urn:headrace:sealed:v1",
        "title": "A sealed record",
        "description": "What every sink carries of a record of a secret output.",
        "type": "object",
        "properties": {**properties, "retracted": {"const": True}},
        "patternProperties": {"_ns$": time},
        "required": list(properties),
        "additionalProperties": False,
        "minProperties": len(properties) + 1,
    }


def _head(system: str, name: str, version: int) -> dict[str, Any]:
    return {
        "$schema": _DIALECT,
        "$id": f"urn:headrace:{system}:{name}:v{version}",
        "title": f"{system}.{name}",
    }


def _strict(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _property(column: Column) -> dict[str, Any]:
    rules = dict(column.rules)
    if "const" in rules or "enum" in rules:
        if column.nullable and None not in rules.get("enum", ()):
            rules["enum"] = [*rules.get("enum", [rules.pop("const", None)]), None]
    elif "type" not in rules:
        kind = _TYPES[column.kind]
        rules = {"type": [kind, "null"] if column.nullable else kind} | rules
    return rules | ({"description": column.description} if column.description else {})


def _errors() -> list[str]:
    """Return the names of what can be wrong with a record (state/errors.py)."""
    found = (each for each in vars(errors).values() if isinstance(each, type))
    return [e.__name__ for e in found if issubclass(e, BadRecord) and e is not BadRecord]


_OPTIONAL = ("value", "length", "sha256", "sealed")
_LETTER: dict[str, Any] = {
    "topic": {"type": "string", "minLength": 1, "description": "The input topic."},
    "partition": {"type": "integer", "minimum": 0},
    "offset": {"type": "integer", "minimum": 0},
    "sequence": {
        "type": "integer",
        "minimum": 0,
        "description": "Which record of the message, from 0.",
    },
    "timestamp_ns": {"type": "integer", "description": "Kafka's timestamp, ns since 1970 UTC."},
    "key": {"type": ["string", "null"], "contentEncoding": "base64"},
    "error": {"enum": _errors()},
    "reason": {
        "type": "string",
        "minLength": 1,
        "description": "Names the field, never quotes its value.",
    },
    "value": {"type": "string", "contentEncoding": "base64", "description": "The raw bytes."},
    "length": {
        "type": "integer",
        "minimum": 1,
        "description": "Above run.max_dead_bytes: the length of what was left out, in bytes.",
    },
    "sealed": {"const": True, "description": "Key and value are sealed."},
    "sha256": {
        "type": "string",
        "pattern": "^[0-9a-f]{64}$",
        "description": "... and its SHA-256.",
    },
}
