"""The REST half of the feed as one Starlette application."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from http import HTTPStatus
from pathlib import Path

import anyio
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.web import asyncapi
from connectors.web.limits import Buckets
from connectors.web.rest import (
    answers,
    bulk,
    dead,
    history,
    latest,
    probes,
    recordings,
    values,
)
from connectors.web.rest.access import access_of
from connectors.web.rest.middleware import Guard, read_body
from connectors.web.rest.openapi import document, to_text
from connectors.web.rest.operation import Call, Operation, parse
from connectors.web.rest.outputs import Catalog
from connectors.web.rest.pages import PAGE
from connectors.web.rest.pages import routes as page_routes
from connectors.web.rest.parts import Parts
from connectors.web.rest.problems import Problem, answer, problem_of
from connectors.web.rest.reading import GLASS, audit_refusal
from connectors.web.rest.rooms import Room
from connectors.web.tokens import ANYONE, Access
from state.metrics import FEED_COMMANDS

BODY_TIMEOUT_S = 10.0
"""How long a client may take to send its body."""

REFUSALS = {401: "unauthenticated", 403: "forbidden", 429: "rate"}
"""Status -> the metric's word for it."""
ERRORS = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)


def operations(catalog: Catalog, rooms: Iterable[Room]) -> tuple[Operation, ...]:
    """Return everything that is served: of these outputs, of the systems' rooms, and of the feed.

    OpenAPI's and AsyncAPI's descriptions are among them.
    """
    described: dict[str, bytes] = {"asyncapi": to_text(asyncapi.document(catalog.sources))}

    async def get_openapi(call: Call) -> Response:
        return answers.tagged(call.request, described["openapi"])

    async def get_asyncapi(call: Call) -> Response:
        return answers.tagged(call.request, described["asyncapi"])

    found = (
        *latest.operations(catalog),
        *values.operations(catalog),
        *history.operations(catalog),
        *(operation for room in rooms for operation in room.operations),
        *dead.OPERATIONS,
        *recordings.OPERATIONS,
        *bulk.OPERATIONS,
        *probes.OPERATIONS,
        Operation("GET", "/openapi.json", get_openapi, "This description", tagged=True, open=True),
        Operation(
            "GET", "/asyncapi.json", get_asyncapi, "That of the WebSocket", tagged=True, open=True
        ),
    )
    described["openapi"] = to_text(document(found, catalog.outputs))
    return found


def make_app(parts: Parts, page: Path = PAGE, systems: Sequence[str] = ()) -> Starlette:
    """Return the application; nothing is asked of a server before a request needs it.

    ``systems`` are those whose tabs the page has, () for all.
    Its ``state.vital`` holds (method, path) of what is served where all seats are taken.
    """
    by_path: defaultdict[str, dict[str, Operation]] = defaultdict(dict)
    for operation in operations(parts.catalog, parts.rooms):
        by_path[operation.path][operation.method] = operation
    served = [
        Route(path, _endpoint(methods, parts), methods=list(methods))
        for path, methods in by_path.items()
    ]
    made = Starlette(
        routes=[*served, *page_routes(parts.catalog.outputs, page, systems)],
        middleware=[
            Middleware(
                Guard,
                audit=parts.audit,
                origins=parts.origins,
                authenticated=parts.tokens is not None,
            ),
            Middleware(
                CORSMiddleware,
                allow_origins=parts.origins,
                allow_methods=["GET", "POST"],
                allow_headers=["Authorization", "Content-Type", "If-None-Match", GLASS.name],
                expose_headers=["ETag", "Retry-After", GLASS.name],
            ),
            # The threshold of the threads: what is larger would hold up the feed's frames.
            Middleware(
                GZipMiddleware, minimum_size=1024, compresslevel=5, thread_minimum_size=1 << 14
            ),
        ],
        exception_handlers={Exception: answer, Problem: answer, **dict.fromkeys(ERRORS, answer)},
    )
    every = (operation for methods in by_path.values() for operation in methods.values())
    made.state.vital = frozenset((each.method, each.path) for each in every if each.vital)
    return made


def _endpoint(
    methods: dict[str, Operation], parts: Parts
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        return await _served(methods[method], request, parts)

    return endpoint


async def _served(operation: Operation, request: Request, parts: Parts) -> Response:
    """Answer; a command is counted with what became of it."""
    try:
        response = await _serve(operation, request, parts)
    except Exception as error:  # noqa: BLE001  # each becomes an answer; `problem_of` logs ours
        response = operation.told(problem_of(error))
    if operation.method == "POST" and operation.vital:
        command = operation.path.rpartition("/")[2]
        FEED_COMMANDS.labels(command, str(response.status_code)).inc()
    return response


async def _serve(operation: Operation, request: Request, parts: Parts) -> Response:
    """Check what holds for every operation, then let it answer; log who got it or not."""
    address = request.client.host if request.client else ""
    what = f"{request.method} {operation.path}"
    subject, call = "", None
    try:
        access = _admitted(operation, request, parts, address)
        subject = access.subject
        given = parse(operation, request)
        body = await _body(request, parts.limits.message_bytes)
        call = Call(request, parts, access, given, body)
        response = await operation.handler(call)
    except Problem as problem:
        if problem.status in REFUSALS:
            parts.audit.refused(subject, address, what, REFUSALS[problem.status], problem.detail)
        if problem.status == HTTPStatus.FORBIDDEN and call is not None:
            audit_refusal(call, operation, problem.detail)
        raise
    if not operation.open:
        parts.audit.allowed(subject, address, what)
    return response


def _admitted(operation: Operation, request: Request, parts: Parts, address: str) -> Access:
    """Return what the request may. Raises Problem 401, or 429 for too many of one client.

    A client is an address and a subject; what comes with wrong tokens counts by its address. Vital
    requests count by themselves, and those that are open to all do not count.
    """
    if operation.open:
        if not operation.vital:
            _count(parts.requests, f"{address} open")
        return ANYONE
    try:
        access = access_of(request, parts)
    except Problem:
        _count(parts.requests, address)
        raise
    _count(parts.commands if operation.vital else parts.requests, f"{address} {access.subject}")
    return access


def _count(buckets: Buckets, client: str) -> None:
    if not buckets.take(client, time.monotonic()):
        raise Problem(429, "too many requests", headers={"Retry-After": "1"})


async def _body(request: Request, limit: int) -> bytes:
    """Return the request's body. Raises Problem 408 or 413."""
    told = request.headers.get("content-length", "")
    if told.isdigit() and int(told) > limit:
        raise Problem(413, f"a body has at most {limit} bytes", headers={"Connection": "close"})
    try:
        with anyio.fail_after(BODY_TIMEOUT_S):
            return await read_body(request.receive, limit)
    except TimeoutError:
        raise Problem(408, "the body comes too slowly", headers={"Connection": "close"}) from None
