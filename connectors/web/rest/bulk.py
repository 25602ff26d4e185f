"""Bulk exports of FHIR resources, asked for, waited for and fetched.

Source: HL7 FHIR Bulk Data Access (Flat FHIR) 2.0, "Bulk Data Export Operation Request Flow".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.utils import formatdate
from typing import Annotated, Any

import orjson
from pydantic import StringConstraints
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from connectors.fhir.lines import LinesReader
from connectors.web.bulk import DONE, RUNNING, Busy, Exports, Job, Order
from connectors.web.channels import Filters
from connectors.web.reads import Read
from connectors.web.rest.access import admit_scope
from connectors.web.rest.blocking import run
from connectors.web.rest.history import time_ns
from connectors.web.rest.operation import Call, Operation, Parameter
from connectors.web.rest.problems import Problem
from connectors.web.rest.reading import audited, who
from state.clock import iso_time

SCOPE = "system/*.read"
SMART_2 = "system/*.rs"
"""The same in the words of SMART App Launch 2."""
ACTION = "export"
JSON, NDJSON = "application/fhir+json", "application/fhir+ndjson"
FORMATS = (NDJSON, "application/ndjson", "ndjson")
UNKEPT = {"Cache-Control": "no-store"}
RETRY_S = "2"
CODES = {
    400: "invalid", 401: "login", 403: "forbidden", 404: "not-found", 408: "timeout",
    413: "too-costly", 429: "throttled", 503: "transient",
}  # fmt: skip
"""Status -> the code of an OperationOutcome; of others it is "exception"."""
KNOWN = ("_type", "_since", "_until", "_outputFormat")


def outcome(problem: Problem) -> Response:
    """Return an error as an OperationOutcome."""
    issue = {"severity": "error", "code": CODES.get(problem.status, "exception")}
    told = ": ".join(each for each in (problem.field, problem.detail) if each)
    body = {"resourceType": "OperationOutcome", "issue": [issue | {"diagnostics": told or "-"}]}
    headers = UNKEPT | problem.headers
    return Response(orjson.dumps(body), problem.status, headers, JSON)


async def get_export(call: Call) -> Response:
    """Begin an export, and answer with where it is waited for."""
    exports = await _admitted(call)
    if call.request.method == "HEAD":
        raise Problem(400, "an export is begun by GET")
    preferred = _preferred(call.request)
    if "respond-async" not in preferred:
        raise Problem(400, "an export is asked for with Prefer: respond-async")
    order = _order(call, exports, lenient="handling=lenient" in preferred)
    query = {name: frozenset(call.request.query_params.getlist(name)) for name in KNOWN}
    asked: Filters = {name: values for name, values in query.items() if values}
    if order.group:
        asked = {**asked, "group": frozenset({order.group})}
    await audited(call, Read(*who(call), ACTION, "fhir", asked))
    try:
        job = await run(exports.start, order, call.access.subject, str(call.request.url))
    except Busy as error:
        raise Problem(429, str(error), headers={"Retry-After": "60"}) from None
    except OSError:
        raise Problem(503, "feed.exports cannot be written") from None
    where = f"{_base(call.request)}/{job.name}"
    return Response(status_code=202, headers={"Content-Location": where, **UNKEPT})


async def get_status(call: Call) -> Response:
    """Answer how far an export is, or what came of it."""
    job = await _job(call)
    if job.state == RUNNING:
        headers = {"X-Progress": job.progress, "Retry-After": RETRY_S, **UNKEPT}
        return Response(status_code=202, headers=headers)
    if job.state == DONE:
        expires = formatdate(job.expires_s, usegmt=True)
        headers = {"Expires": expires, **UNKEPT}
        manifest = _manifest(job, _base(call.request), token=call.parts.tokens is not None)
        return Response(orjson.dumps(manifest), 200, headers, "application/json")
    assert job.failure is not None
    raise Problem(job.failure.status, job.failure.detail)


async def delete_export(call: Call) -> Response:
    """End an export, or delete its files."""
    exports, job = await _admitted(call), await _job(call)
    await run(exports.forget, job)
    return Response(status_code=202, headers=UNKEPT)


async def get_file(call: Call) -> Response:
    """Answer with the resources of one type, once that is audited."""
    job, kind = await _job(call), call.given["type"]
    reader = await run(job.reader, kind)
    if reader is None or job.finished is None:
        raise Problem(404, "there is no such file: it may have expired", "type")
    count = {**job.finished.files, **job.finished.notes}[kind]
    about = call.parts.reads.persons(job.finished.persons)
    try:
        await audited(call, Read(*who(call), ACTION, f"fhir.{kind}", {}, count, about))
    except Problem:
        reader.close()
        raise
    return StreamingResponse(_streamed(reader), 200, UNKEPT, NDJSON)


def _streamed(reader: LinesReader) -> Iterator[bytes]:
    with reader:
        yield from reader.chunks()


async def _admitted(call: Call) -> Exports:
    """Return the exports. Raises Problem 403 where the token may not, which is audited."""
    exports = call.parts.exports
    if exports is None:
        raise Problem(404, "nothing is exported in bulk here")
    try:
        _admit(call, exports)
    except Problem as problem:
        call.parts.reads.add(Read(*who(call), ACTION, "fhir", refused=problem.detail))
        raise
    return exports


def _admit(call: Call, exports: Exports) -> None:
    if not call.access.may(SMART_2):
        admit_scope(call, SCOPE)
    if call.access.rows:
        raise Problem(403, "the token is limited to rows, which an export does not have")
    if not exports.usable:
        raise Problem(403, "nobody may unseal here: set feed.unseal or feed.jwks, and the keys")


async def _job(call: Call) -> Job:
    """Return the export of an address. Raises Problem 404 where it is not this subject's."""
    exports = await _admitted(call)
    job = exports.job(call.given["export"], call.access.subject)
    if job is None:
        raise Problem(404, "there is no such export: it may have expired", "export")
    return job


def _order(call: Call, exports: Exports, *, lenient: bool) -> Order:
    """Return what is wanted. Raises Problem 400 for what is unknown, unless that is let pass."""
    query = call.request.query_params
    for name in dict.fromkeys(query.keys()):
        if name not in KNOWN and not lenient:
            raise Problem(400, "there is no such parameter here", name[:64])
    for name in KNOWN[1:]:
        if len(query.getlist(name)) > 1:
            raise Problem(400, "the parameter is there twice", name)
    # A plus that was not encoded is a space by now.
    told = query.get("_outputFormat", NDJSON).replace(" ", "+")
    if told not in FORMATS:
        raise Problem(400, f"there is {NDJSON} only", "_outputFormat")
    since, until = (_moment(query.get(name), name) for name in ("_since", "_until"))
    wanted = _types(query.getlist("_type"), exports, lenient=lenient)
    return Order(wanted, call.given.get("ward", ""), since, until)


def _types(told: list[str], exports: Exports, *, lenient: bool) -> tuple[str, ...]:
    names = [name.strip() for each in told for name in each.split(",")]
    unknown = [name for name in names if name not in exports.types]
    if unknown and not lenient:
        raise Problem(400, f"there are {', '.join(exports.types)}", "_type")
    return tuple(name for name in exports.types if not told or name in names)


def _moment(text: str | None, name: str) -> int | None:
    if text is None:
        return None
    try:
        return time_ns(text.replace(" ", "+") if "T" in text else "")
    except ValueError:
        said = "write an instant with its zone, such as 2026-03-05T08:00:00Z"
        raise Problem(400, said, name) from None


def _preferred(request: Request) -> set[str]:
    words = re.split(r"[,;]", ",".join(request.headers.getlist("prefer")))
    return {word.strip().lower().replace(" ", "") for word in words}


def _base(request: Request) -> str:
    return f"{str(request.base_url).rstrip('/')}/fhir/exports"


def _manifest(job: Job, base: str, *, token: bool) -> dict[str, Any]:
    assert job.finished is not None

    def listed(files: Any) -> list[dict[str, Any]]:
        return [
            {"type": kind, "url": f"{base}/{job.name}/{kind}", "count": count}
            for kind, count in files.items()
        ]

    return {
        "transactionTime": iso_time(job.finished.at_ns),
        "request": job.request,
        "requiresAccessToken": token,
        "output": listed(job.finished.files),
        "error": listed(job.finished.notes),
    }


Ward = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Text = Annotated[str, StringConstraints(max_length=1000)]
PARAMETERS = (
    Parameter("_type", Text, "Only these types, commas between them"),
    Parameter("_since", Text, "Only what changed since then, an instant"),
    Parameter("_until", Text, "Only what has not changed after then, an instant"),
    Parameter("_outputFormat", Text, f"{NDJSON}, which it is anyway"),
    Parameter("Prefer", Text, "respond-async; handling=lenient lets unknown ones pass", "header"),
)
EXPORT = Parameter(
    "export", Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")], "Its name", "path"
)
KIND = Parameter(
    "type", Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z]{1,63}$")], "Of FHIR", "path"
)
MANIFEST: dict[str, Any] = {
    "type": "object",
    "required": ["transactionTime", "request", "requiresAccessToken", "output", "error"],
}


def _begin(path: str, summary: str, *more: Parameter) -> Operation:
    return Operation(
        "GET", path, get_export, summary, SCOPE, parameters=(*more, *PARAMETERS), status=202,
        media_type=JSON, errors=(404,), reads_query=True, told=outcome, error_type=JSON,
    )  # fmt: skip


def _of(path: str, method: Any, handler: Any, summary: str, **more: Any) -> Operation:
    return Operation(
        method, path, handler, summary, SCOPE, errors=(404,), told=outcome, error_type=JSON, **more
    )


OPERATIONS = (
    _begin("/fhir/$export", "Begin an export of everything"),
    _begin("/fhir/Patient/$export", "Begin an export of all patients and what is about them"),
    _begin(
        "/fhir/Group/{ward}/$export",
        "Begin an export of the patients who are or were in a ward",
        Parameter("ward", Ward, "The ward", "path"),
    ),
    _of("/fhir/exports/{export}", "GET", get_status, "How far an export is (202), or its files",
        parameters=(EXPORT,), answer=MANIFEST),
    _of("/fhir/exports/{export}", "DELETE", delete_export, "End an export, or delete its files",
        parameters=(EXPORT,), status=202, media_type=JSON),
    _of("/fhir/exports/{export}/{type}", "GET", get_file, "The resources of one type",
        parameters=(EXPORT, KIND), media_type=NDJSON),
)  # fmt: skip
