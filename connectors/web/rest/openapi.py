"""The OpenAPI description, made of the routes' own tables."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import orjson
from pydantic import TypeAdapter

from connectors.web.rest.operation import Operation, Parameter
from connectors.web.rest.problems import MEDIA_TYPE, SCHEMA
from connectors.web.rest.records import components
from state.outputs import Output

VERSION = "1"
ALWAYS = (400, 403, 408, 413, 429, 431, 500, 503)
"""What any operation may answer.

A request that is none or names an unknown parameter; no scope or no loopback; too slow, too
large or too many; a fault of ours, or too many connections.
"""
_REF = {"$ref": "#/components/schemas/Problem"}


def document(operations: Iterable[Operation], outputs: Iterable[Output]) -> dict[str, Any]:
    """Return the description of the operations, and of the records of the outputs.

    Source: OpenAPI Specification 3.1.
    """
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        described = paths.setdefault(operation.path, {})
        described[operation.method.lower()] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Headrace feed",
            "version": VERSION,
            "description": "Integers whose name ends in _ns are strings; see docs/rest.md.",
        },
        "paths": paths,
        "components": {
            "schemas": {"Problem": SCHEMA, **components(outputs)},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
    }


def to_text(described: dict[str, Any]) -> bytes:
    """Return the document as it is served and stored."""
    return orjson.dumps(described, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _described(operation: Operation) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": _identity(operation),
        "summary": operation.summary,
        "parameters": [_parameter(each) for each in operation.parameters],
        "responses": _responses(operation),
    }
    if operation.scope:
        made["description"] = f"Scope: `{operation.scope}`."
    if not operation.open:
        made["security"] = [{"bearer": []}]
    if operation.body is not None:
        content = {"application/json": {"schema": operation.body}}
        made["requestBody"] = {"required": True, "content": content}
    return made


def _identity(operation: Operation) -> str:
    words = re.findall(r"[a-z.]+", operation.path.removeprefix("/api/v1"))
    return "-".join([operation.method.lower(), *words])


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.where,
        "description": parameter.description,
        "required": parameter.where == "path",
        "schema": TypeAdapter(parameter.kind).json_schema(),
    }


def _responses(operation: Operation) -> dict[str, Any]:
    good: dict[str, Any] = {"description": HTTPStatus(operation.status).phrase}
    good["content"] = {operation.media_type: {"schema": operation.answer}}
    found: dict[int, Any] = {operation.status: good}
    if operation.tagged:
        good["headers"] = {"ETag": {"schema": {"type": "string"}}}
        found[304] = {"description": "The answer is the one that If-None-Match names."}
    codes = {*operation.errors, *ALWAYS} | (set() if operation.open else {401})
    for code in codes:
        # What is no request of this operation yet, such as one with too long a header, is told so.
        content = {
            operation.error_type: {"schema": {"type": "object"}},
            MEDIA_TYPE: {"schema": _REF},
        }
        found[code] = {"description": HTTPStatus(code).phrase, "content": content}
    return {str(code): found[code] for code in sorted(found)}
