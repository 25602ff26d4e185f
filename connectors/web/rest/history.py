"""Pages of history, from PostgreSQL."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, Field, StringConstraints
from starlette.responses import Response

from connectors.postgres.history import MAX_LIMIT, Page, Position, hours, page
from connectors.postgres.tables import TABLES, Table
from connectors.web.channels import SCOPES
from connectors.web.rest import answers
from connectors.web.rest.access import admit_reader
from connectors.web.rest.blocking import run
from connectors.web.rest.connections import Busy
from connectors.web.rest.operation import Call, Operation, Parameter
from connectors.web.rest.outputs import OUTPUT, SYSTEM, source_of
from connectors.web.rest.problems import Problem
from connectors.web.tokens import Access
from state.clock import NS
from state.errors import Misuse, SettingsError

LIMIT = 1000
END_NS = 1 << 62
"""What ``to`` is where it is missing: after everything."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def time_ns(text: str) -> int:
    """Return ns since 1970 UTC of whole ns or an ISO 8601 time. Raises ValueError."""
    if text.isascii() and text.isdigit():
        moment_ns = int(text) if len(text) < 20 else END_NS + 1
    else:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError("an ISO 8601 time needs its zone, such as Z")
        passed = moment - _EPOCH
        moment_ns = (passed.days * 86_400 + passed.seconds) * NS + passed.microseconds * 1000
    if not 0 <= moment_ns <= END_NS:
        raise ValueError("the time is before 1970 or after 2116")
    return moment_ns


def _checked_time(text: str) -> str:
    try:
        time_ns(text)
    except ValueError:
        raise ValueError(
            "write ns since 1970 UTC or an ISO 8601 time with its zone, of 1970 to 2116"
        ) from None
    return text


Time = Annotated[str, StringConstraints(max_length=40), AfterValidator(_checked_time)]


async def get_history(call: Call) -> Response:
    """Answer with one page of the records of an output."""
    source = source_of(call)
    output = source.output
    admit_reader(call, output.system, output.name, source.fields)
    table = TABLES[output.topic]
    filters = filters_of(call, table)
    cursor = call.given.get("cursor")
    after = position_of(cursor) if cursor is not None else None
    try:
        found = await run(_read, call, table, filters, after)
    except SettingsError:
        raise Problem(503, "PostgreSQL refuses the login of the feed") from None
    except Misuse as error:
        raise Problem(400, str(error)) from None
    except Busy:
        raise Problem(503, "history is busy", headers={"Retry-After": "5"}) from None
    return answers.tagged(call.request, await run(answers.to_body, _told(found)))


def filters_of(call: Call, table: Table) -> dict[str, str]:
    """Return the values that a record has, of the query and of the token's rows.

    Raises Problem 400 for a field that the output does not have, or that is to be named because
    the token has several values of it, and 403 for a value that it does not have.
    """
    names = sorted({name for each in TABLES.values() for name in each.filters})
    filters = {name: call.given[name] for name in names if name in call.given}
    for name in filters:
        if name not in table.filters:
            raise Problem(400, f"filters are {', '.join(table.filters)}", name)
    for name, allowed in _rows(call.access, table).items():
        if name not in filters and len(allowed) != 1:
            raise Problem(400, "the token has several rows: name one of them", name)
        if filters.setdefault(name, min(allowed, default="")) not in allowed:
            raise Problem(403, "the token's rows do not include this one", name)
    return filters


def _rows(access: Access, table: Table) -> dict[str, frozenset[str]]:
    """Return column -> values that the token's rows leave. Raises Problem 403 for none."""
    rows = {name: access.rows[name] for name in table.filters if name in access.rows}
    derived = [name for name in SCOPES if name in access.rows]
    if "scope" in table.filters and derived:
        scopes = frozenset(f"{name}:{value}" for name in derived for value in access.rows[name])
        rows["scope"] = rows["scope"] & scopes if "scope" in rows else scopes
    if access.rows and not rows:
        raise Problem(403, "the token is limited to rows, which this does not have")
    return rows


def _read(call: Call, table: Table, filters: Mapping[str, str], after: Position | None) -> Page:
    from_ns = time_ns(call.given.get("from", "0"))
    to_ns = time_ns(call.given.get("to", str(END_NS)))
    limit = call.given.get("limit", LIMIT)
    with call.parts.history.taken() as connection:
        if "bucket" not in call.given:
            return page(connection, table.output.topic, filters, from_ns, to_ns, limit, after)
        if table.name != "market_bars" or set(filters) != {"symbol"}:
            raise Problem(400, "hours are made of the bars of one symbol", "bucket")
        first_ns = max(from_ns, after.time_ns) if after is not None else from_ns
        return hours(connection, filters["symbol"], first_ns, to_ns, limit)


def _told(found: Page) -> dict[str, Any]:
    return {
        "records": found.records,
        "next": cursor_of(found.next) if found.next is not None else None,
    }


def cursor_of(position: Position) -> str:
    """Return a position as text that means nothing to the client."""
    return base64.urlsafe_b64encode(orjson.dumps(list(position))).decode().rstrip("=")


def position_of(cursor: str) -> Position:
    """Return the position of a cursor. Raises Problem 400."""
    try:
        found = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        found = None
    match found:
        case [int(at_ns), str(identity)] if 0 <= at_ns <= END_NS:
            return Position(at_ns, identity)
    raise Problem(400, "this is no cursor of an answer", "cursor")


_FIELDS = sorted({name for table in TABLES.values() for name in table.filters})
PARAMETERS = (
    SYSTEM,
    OUTPUT,
    Parameter("from", Time, "From this event time on: ns since 1970 UTC, or ISO 8601 (1970)"),
    Parameter("to", Time, "Before this event time (the end)"),
    Parameter("limit", Annotated[int, Field(ge=1, le=MAX_LIMIT)], f"At most so many ({LIMIT})"),
    Parameter(
        "cursor",
        Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,4096}$")],
        "`next` of the page before; everything else as it was then",
    ),
    Parameter("bucket", Literal["1h"], "Hours made of the bars of 1m, of one symbol"),
    *(
        Parameter(name, Annotated[str, StringConstraints(min_length=1, max_length=1000)], "Only it")
        for name in _FIELDS
    ),
)
OPERATIONS = (
    Operation(
        "GET",
        "/api/v1/history/{system}/{output}",
        get_history,
        "A page of the records of the current generation, by event time",
        "read:<system>.<output>",
        parameters=PARAMETERS,
        answer={
            "type": "object",
            "required": ["records", "next"],
            "properties": {
                "records": {"type": "array", "items": {"type": "object"}},
                "next": {
                    "type": ["string", "null"],
                    "description": "The cursor of the next page; null where no more are there now.",
                },
            },
        },
        tagged=True,
        errors=(404,),
    ),
)
