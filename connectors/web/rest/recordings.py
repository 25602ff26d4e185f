"""The recordings in the directory of feed.recordings."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from connectors.web.rest import answers
from connectors.web.rest.access import admit
from connectors.web.rest.blocking import run
from connectors.web.rest.operation import Call, Operation

RECORDING: dict[str, Any] = {
    "type": "object",
    "required": ["name", "bytes"],
    "properties": {
        "name": {"type": "string"},
        "bytes": {"type": "integer", "minimum": 0},
        "messages": {"type": "integer", "minimum": 0},
        "first_ns": {"type": "string", "pattern": "^-?[0-9]+$"},
        "topics": {
            "type": "object",
            "description": "Topic -> how many partitions and messages.",
            "additionalProperties": {
                "type": "object",
                "required": ["partitions", "messages"],
                "properties": {
                    "partitions": {"type": "integer", "minimum": 1},
                    "messages": {"type": "integer", "minimum": 0},
                },
            },
        },
        "error": {"type": "string", "description": "In place of the rest: it is no recording."},
    },
}


async def get_recordings(call: Call) -> Response:
    """Answer with what the directory holds."""
    admit(call, "recordings")
    found = list(await run(call.parts.recordings))
    return answers.tagged(call.request, answers.to_body({"records": found}))


OPERATIONS = (
    Operation(
        "GET",
        "/api/v1/recordings",
        get_recordings,
        "Recordings, their topics and how many messages they hold",
        "recordings",
        answer={
            "type": "object",
            "required": ["records"],
            "properties": {"records": {"type": "array", "items": RECORDING}},
        },
        tagged=True,
    ),
)
