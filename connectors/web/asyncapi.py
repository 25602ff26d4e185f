"""The protocol as an AsyncAPI 3.0 document, made from the table of channels."""

from __future__ import annotations

from typing import Any

from connectors.web.channels import Source, Sources
from connectors.web.frames import PATH, SUBPROTOCOLS, VERSION
from state.schemas import SEALED, schema_path

_TEXT = {"type": "string"}
_NS = {"type": "string", "pattern": "^-?[0-9]+$"}
_POSITION = {"type": "string", "pattern": "^[0-9]+:[0-9]+-[0-9]+$"}
_SOURCE_STATE = {
    "type": "object",
    "properties": {"ok": {"type": "boolean"}, "age_ms": {"type": "integer"}},
    "required": ["ok", "age_ms"],
}
_RESETS = {"enum": ["trimmed", "generation", "redis-lost"]}
_CODES = {
    "enum": [
        "bad-message", "unknown-channel", "forbidden", "unauthenticated", "too-many", "rate",
        "expired", "clients", "utf-8", "unaudited",
    ]
}  # fmt: skip
_SENT: dict[str, dict[str, Any]] = {
    "auth": {"token": _TEXT},
    "subscribe": {"channel": _TEXT, "after?": _POSITION, "reason?": _TEXT},
    "unsubscribe": {"channel": _TEXT},
}
"""What clients send; a question mark ends the name of what may be missing."""
_RECEIVED: dict[str, dict[str, Any]] = {
    "hello": {
        "version": {"const": VERSION},
        "heartbeat_ms": {"type": "integer"},
        "requests_per_second": {"type": "integer"},
    },
    "subscribed": {
        "channel": _TEXT,
        "asked": _TEXT,
        "policy": {"enum": ["every", "latest"]},
        "resumed": {"type": "boolean"},
        "break_glass?": {"const": True},
    },
    "reset": {"channel": _TEXT, "reason": _RESETS},
    "heartbeat": {
        "ts_ns": _NS,
        "sources": {"type": "object", "additionalProperties": _SOURCE_STATE},
    },
    "error": {"channel?": _TEXT, "code": _CODES, "reason": _TEXT},
}


def document(sources: Sources) -> dict[str, Any]:
    """Return the AsyncAPI document of the WebSocket at /ws: one channel and its messages.

    What can be subscribed to is under ``x-subscriptions``.
    """
    messages = {name: _message(name, fields) for name, fields in (_SENT | _RECEIVED).items()}
    for kind in ("snapshot", "delta"):
        more = {"last": {"type": "boolean"}} if kind == "snapshot" else {}
        records = {"type": "array", "items": {"type": "object"}}
        fields = {"channel": _TEXT, "position": _POSITION, "records": records, **more}
        messages[kind] = _message(kind, fields)
    received = [name for name in messages if name not in _SENT]
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Headrace feed", "version": str(VERSION)},
        "defaultContentType": "application/json",
        "channels": {
            "feed": {
                "address": PATH,
                "messages": {n: {"$ref": f"#/components/messages/{n}"} for n in messages},
                "bindings": {"ws": {"method": "GET"}},
                "x-subprotocols": list(SUBPROTOCOLS),
                "x-subscriptions": {name: _subscription(s) for name, s in sources.items()},
            }
        },
        "operations": {
            "ask": _operation("receive", list(_SENT)),
            "tell": _operation("send", received),
        },
        "components": {"messages": messages},
    }


def _subscription(source: Source) -> dict[str, Any]:
    return {
        "key": list(source.key),
        "filters": list(source.fields),
        "policy": source.policy,
        "records": SEALED if source.output.secret else schema_path(source.output),
    }


def _message(name: str, fields: dict[str, Any]) -> dict[str, Any]:
    properties = {field.removesuffix("?"): schema for field, schema in fields.items()}
    required = ["type", *(field for field in fields if not field.endswith("?"))]
    payload = {
        "type": "object",
        "properties": {"type": {"const": name}, **properties},
        "required": required,
    }
    return {"name": name, "payload": payload}


def _operation(action: str, names: list[str]) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": "#/channels/feed"},
        "messages": [{"$ref": f"#/channels/feed/messages/{name}"} for name in names],
    }
