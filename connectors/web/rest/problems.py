"""Every error of the REST half as RFC 9457 problem details."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
import psycopg
import redis
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from state.errors import Broken, Misuse

LOG = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "description": "about:blank: the status says it all."},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "One sentence; it never quotes a value."},
        "field": {"type": "string", "description": "The parameter or field that is at fault."},
    },
}


class Problem(Exception):
    """A request that is not served: its status, one sentence, and the field that is at fault."""

    def __init__(
        self,
        status: int,
        detail: str = "",
        field: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, field)
        self.status = status
        self.detail = detail
        self.field = field
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """Return the answer."""
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
        }
        body |= {k: v for k, v in (("detail", self.detail), ("field", self.field)) if v}
        headers = {"Cache-Control": "no-store"} | self.headers
        return Response(orjson.dumps(body), self.status, headers, MEDIA_TYPE)


def problem_of(error: Exception) -> Problem:
    """Return what the client is told of an error; the log has the rest where it is ours."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException):
        return Problem(error.status_code, headers=error.headers)
    down = _down(error)
    if down:
        LOG.warning("%s: %s", down, type(error).__name__)
        return Problem(503, f"{down} cannot be used now", headers={"Retry-After": "1"})
    LOG.error("a request failed", exc_info=error)
    return Problem(500, "the fault is ours")


async def answer(_: Request, error: Exception) -> Response:
    """Return the answer to an error, as Starlette asks its handlers for."""
    return problem_of(error).response()


def _down(error: Exception) -> str:
    """Return the server that an error is about; '' where it is about none."""
    if isinstance(error, redis.RedisError):
        return "Redis"
    if isinstance(error, psycopg.Error):
        return "PostgreSQL"
    # What asks Kafka says so by these: connectors.kafka and flows.dead.
    return "Kafka" if isinstance(error, Misuse | Broken) else ""
