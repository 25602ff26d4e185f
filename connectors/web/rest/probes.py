"""/live, /ready, /metrics and the health tab's figures."""

from __future__ import annotations

from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from connectors.web.rest import answers
from connectors.web.rest.access import admit
from connectors.web.rest.operation import Call, Operation
from connectors.web.rest.problems import Problem

SOURCES: dict[str, Any] = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "required": ["ok"],
        "properties": {"ok": {"type": "boolean"}, "ms": {"type": "number", "minimum": 0}},
    },
}
WORKER: dict[str, Any] = {
    "type": "object",
    "required": ["address", "live", "ready"],
    "properties": {
        "address": {"type": "string"},
        "live": {"type": "boolean"},
        "ready": {"type": "boolean"},
        "flow": {"type": "string"},
        "index": {"type": "string"},
        "error": {"type": "string", "description": "It does not answer; then nothing follows."},
        **{
            name: {"type": "array", "items": {"type": "object"}}
            for name in (
                "lag",
                "watermark_delay",
                "stalled",
                "latency",
                "throughput",
                "late",
                "dead",
            )
        },
        "waiting": {"type": "array", "items": {"type": "string"}},
    },
}


async def get_health(call: Call) -> Response:
    """Answer with the figures of every worker, and whether the servers answer."""
    admit(call, "health")
    return answers.json(await call.parts.workers.health())


async def get_live(_: Call) -> Response:
    """Answer: the event loop turns."""
    return answers.json({"live": True})


async def get_ready(call: Call) -> Response:
    """Answer whether Redis can be read, without which nothing is live."""
    if not await call.parts.workers.answers("redis"):
        raise Problem(503, "Redis cannot be used now", headers={"Retry-After": "1"})
    return answers.json({"ready": True})


async def get_metrics(call: Call) -> Response:
    """Answer with this process's metrics."""
    admit(call, "health")
    headers = {"Cache-Control": "no-store"}
    return Response(generate_latest(), 200, headers, CONTENT_TYPE_LATEST)


OPERATIONS = (
    Operation(
        "GET",
        "/api/v1/health",
        get_health,
        "Lag, watermark delay, latency, throughput and dead letters of each worker",
        "health",
        answer={
            "type": "object",
            "required": ["sources", "workers"],
            "properties": {"sources": SOURCES, "workers": {"type": "array", "items": WORKER}},
        },
    ),
    Operation("GET", "/live", get_live, "Whether the process turns", open=True, vital=True),
    Operation("GET", "/ready", get_ready, "Whether live data can be read", open=True),
    Operation(
        "GET",
        "/metrics",
        get_metrics,
        "Prometheus metrics of the feed itself",
        "health",
        media_type="text/plain",
        answer={"type": "string"},
    ),
)
