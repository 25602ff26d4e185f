"""Which values a field of a table's key has: what there is to choose from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import redis
from starlette.responses import Response

from connectors.web.channels import SCOPES, SOURCES, Source, allowed
from connectors.web.rest import answers
from connectors.web.rest.access import admit_reader
from connectors.web.rest.blocking import run
from connectors.web.rest.latest import at_once
from connectors.web.rest.operation import Call, Operation, Parameter
from connectors.web.rest.outputs import OUTPUT, SYSTEM, source_of
from connectors.web.rest.problems import Problem

FIELD = Parameter(
    "field",
    Literal[tuple(sorted({name for source in SOURCES.values() for name in source.key}))],
    "A field of its key",
    "path",
)


async def get_values(call: Call) -> Response:
    """Answer with the values of a field, of the rows that the token may see."""
    source, field = source_of(call), call.given["field"]
    derived = SCOPES if "scope" in source.key else ()
    admit_reader(call, source.output.system, source.output.name, (*source.key, *derived))
    if field not in source.key:
        raise Problem(404, f"the key of {source.name} has no such field", "field")

    def body() -> bytes:
        rows = read_keys(call.parts.redis, source)
        found = {row[field] for row in rows if allowed(call.access.rows, source.values(row))}
        return answers.to_body({"values": sorted(found)})

    return answers.tagged(call.request, await run(body))


def read_keys(client: redis.Redis, source: Source) -> Iterator[dict[str, str]]:
    """Yield the fields of each key of a table; its records stay where they are. Blocks."""
    output = source.output
    _, (keys,) = at_once(
        client, output.system, lambda pipe, names: pipe.hkeys(names.latest(output.name))
    )
    for key in keys:
        # A symbol, which is first, may hold what the fields are joined by.
        yield dict(zip(source.key, key.decode().rsplit("|", len(source.key) - 1), strict=True))


OPERATIONS = (
    Operation(
        "GET",
        "/api/v1/values/{system}/{output}/{field}",
        get_values,
        "The values of a field of a table's key, sorted",
        "read:<system>.<output>",
        parameters=(SYSTEM, OUTPUT, FIELD),
        answer={
            "type": "object",
            "required": ["values"],
            "properties": {"values": {"type": "array", "items": {"type": "string"}}},
        },
        tagged=True,
        errors=(404,),
    ),
)
