"""Pages of history, from PostgreSQL."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, Literal

import orjson
from psycopg.errors import UndefinedTable
from pydantic import AfterValidator, Field, StringConstraints
from starlette.responses import Response

from connectors.postgres.history import MAX_LIMIT, Page, Position, hours, page
from connectors.postgres.tables import Table
from connectors.postgres.timescale import HOURS_OF
from connectors.web.channels import Filters, Source
from connectors.web.rest.access import admit_reader
from connectors.web.rest.connections import Busy
from connectors.web.rest.operation import Call, Operation, Parameter
from connectors.web.rest.outputs import Catalog, filters, filters_of
from connectors.web.rest.problems import Problem
from connectors.web.rest.reading import answered
from connectors.web.rest.records import HOUR, RETRACTION, record_of
from state.clock import iso_time_ns
from state.errors import Misuse, SettingsError

LIMIT = 1000
END_NS = 1 << 62
"""What ``to`` is where it is missing: after everything."""


def time_ns(text: str) -> int:
    """Return ns since 1970 UTC of whole ns or an ISO 8601 time. Raises ValueError."""
    if text.isascii() and text.isdigit():
        moment_ns = int(text) if len(text) < 20 else END_NS + 1
    else:
        moment_ns = iso_time_ns(text, zoned=True)
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
    catalog = call.parts.catalog
    source = catalog.source(call)
    output = source.output
    admit_reader(call, output.system, output.name, source.fields, private=source.private)
    table = catalog.tables[output.topic]
    chosen = _narrowed(call, table, source)
    cursor = call.given.get("cursor")
    after = position_of(cursor) if cursor is not None else None

    def find() -> tuple[dict[str, Any], list[dict[str, Any]]]:
        found = _read(call, table, chosen, after)
        return _told(found), found.records

    try:
        return await answered(call, "history", source, chosen, find)
    except SettingsError:
        raise Problem(503, "PostgreSQL refuses the login of the feed") from None
    except Misuse as error:
        raise Problem(400, str(error)) from None
    except Busy:
        raise Problem(503, "history is busy", headers={"Retry-After": "5"}) from None
    except UndefinedTable:
        raise Problem(
            404, f"history has no table of {output.topic} yet: `headrace run history` makes it"
        ) from None


def _narrowed(call: Call, table: Table, source: Source) -> Filters:
    """Return the columns' values that are asked for and may be seen.

    Raises Problem 400 for a field that the output does not have, and 403 where nothing that is
    asked for may be seen.
    """
    names = _filters(call.parts.catalog)
    asked = filters_of(call, names, source, _fields(table, source))
    found = call.access.narrow(asked, source)
    for name, values in source.narrowed(asked).items():
        if values and not found[name]:
            raise Problem(403, "the token's rows do not include this one", name)
    return found


def _fields(table: Table, source: Source) -> tuple[str, ...]:
    """Return what a page of history may be filtered by: columns of text, and parts of them."""
    parts = (part for name, found in source.parts if name in table.filters for part in found)
    return (*table.filters, *parts)


def _read(call: Call, table: Table, filters: Filters, after: Position | None) -> Page:
    from_ns = time_ns(call.given.get("from", "0"))
    to_ns = time_ns(call.given.get("to", str(END_NS)))
    limit = call.given.get("limit", LIMIT)
    with call.parts.history.taken() as connection:
        if "bucket" not in call.given:
            return page(
                connection,
                table,
                filters,
                from_ns,
                to_ns,
                limit,
                after,
                retractions=call.given.get("retractions", False),
            )
        symbols = filters.get("symbol", frozenset())
        if table.name != HOURS_OF or set(filters) != {"symbol"} or len(symbols) != 1:
            raise Problem(400, "hours are made of the bars of one symbol", "bucket")
        first_ns = max(from_ns, after.time_ns) if after is not None else from_ns
        return hours(connection, min(symbols), first_ns, to_ns, limit)


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
        case [int(at_ns), str(identity), bool(retracted)] if 0 <= at_ns <= END_NS:
            return Position(at_ns, identity, retracted)
    raise Problem(400, "this is no cursor of an answer", "cursor")


PARAMETERS = (
    Parameter("from", Time, "From this event time on: ns since 1970 UTC, or ISO 8601 (1970)"),
    Parameter("to", Time, "Before this event time (the end)"),
    Parameter("limit", Annotated[int, Field(ge=1, le=MAX_LIMIT)], f"At most so many ({LIMIT})"),
    Parameter(
        "cursor",
        Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,4096}$")],
        "`next` of the page before; everything else as it was then",
    ),
    Parameter("bucket", Literal["1h"], "Hours made of the bars of 1m, of one symbol"),
    Parameter("retractions", bool, "Also the records that take a key away (false)"),
)


def _filters(catalog: Catalog) -> tuple[Parameter, ...]:
    return filters(
        name
        for topic, table in catalog.tables.items()
        for name in _fields(table, catalog.sources[topic])
    )


def operations(catalog: Catalog) -> tuple[Operation, ...]:
    """Return what is served here of these outputs."""
    return (
        Operation(
            "GET",
            "/api/v1/history/{system}/{output}",
            get_history,
            "A page of the records of the current generation, by event time",
            "read:<system>.<output>",
            parameters=(*catalog.path, *PARAMETERS, *_filters(catalog)),
            answer={
                "type": "object",
                "required": ["records", "next"],
                "properties": {
                    "records": {
                        "type": "array",
                        "items": record_of(*catalog.outputs, more=(RETRACTION, HOUR)),
                    },
                    "next": {
                        "type": ["string", "null"],
                        "description": (
                            "The cursor of the next page; null where no more are there now."
                        ),
                    },
                },
            },
            tagged=True,
            errors=(404,),
        ),
    )
