"""Which values a field of a table's key has: what there is to choose from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import orjson
import redis
from starlette.responses import Response

from connectors.web.channels import Source, text
from connectors.web.rest.access import admit_reader
from connectors.web.rest.latest import at_once, read_now
from connectors.web.rest.opening import in_clear, seen_by
from connectors.web.rest.operation import Call, Operation, Parameter
from connectors.web.rest.outputs import Catalog
from connectors.web.rest.problems import Problem
from connectors.web.rest.reading import answered


async def get_values(call: Call) -> Response:
    """Answer with the values of a field, of the rows that the token may see."""
    source, field = seen_by(call, call.parts.catalog.source(call)), call.given["field"]
    output = source.output
    admit_reader(call, output.system, output.name, source.key_fields, private=source.private)
    if field not in source.key:
        raise Problem(404, f"the key of {source.name} has no such field", "field")

    def find() -> tuple[dict[str, Any], list[dict[str, Any]]]:
        rows = [row for row in _rows(call, source) if call.access.admits(source.values(row))]
        return {"values": sorted({text(row[field]) for row in rows})}, rows

    return await answered(call, "values", source, {}, find)


def _rows(call: Call, source: Source) -> Iterator[dict[str, Any]]:
    """Yield the fields of each key, of an opened output all: the audit tells whose. Blocks."""
    if source is call.parts.catalog.sources[source.name]:
        yield from read_keys(call.parts.redis, source)
        return
    now = read_now(call.parts.redis, source.output)  # the keys themselves are hashes
    for value in in_clear(call, source, now.values):
        yield orjson.loads(value)


def read_keys(client: redis.Redis, source: Source) -> Iterator[dict[str, str]]:
    """Yield the fields of each key of a table; its records stay where they are. Blocks."""
    output = source.output
    _, (keys,) = at_once(
        client, output.system, lambda pipe, names: pipe.hkeys(names.latest(output.name))
    )
    for key in keys:
        # A symbol, which is first, may hold what the fields are joined by.
        yield dict(zip(source.key, key.decode().rsplit("|", len(source.key) - 1), strict=True))


def operations(catalog: Catalog) -> tuple[Operation, ...]:
    """Return what is served here of these outputs."""
    fields = {n for s in catalog.sources.values() for n in (*s.key, *s.output.key)}
    kind: Any = Literal[tuple(sorted(fields))]
    field = Parameter("field", kind, "A field of its key", "path")
    return (
        Operation(
            "GET",
            "/api/v1/values/{system}/{output}/{field}",
            get_values,
            "The values of a field of a table's key, sorted",
            "read:<system>.<output>",
            parameters=(*catalog.path, field),
            answer={
                "type": "object",
                "required": ["values"],
                "properties": {"values": {"type": "array", "items": {"type": "string"}}},
            },
            tagged=True,
            errors=(404,),
        ),
    )
