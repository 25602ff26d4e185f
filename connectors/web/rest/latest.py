"""The last records of an output, from Redis."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson
import redis
from redis.client import Pipeline
from starlette.responses import Response

from connectors.redis.keys import Keys, generation_key
from connectors.redis.reader import FIRST_GENERATION
from connectors.web.channels import Channel
from connectors.web.rest.access import admit_reader
from connectors.web.rest.opening import in_clear, seen_by
from connectors.web.rest.operation import Call, Operation, Parameter
from connectors.web.rest.outputs import Catalog, filters, filters_of
from connectors.web.rest.reading import GLASS, answered, beyond
from connectors.web.rest.records import record_of
from state.outputs import Output

NEWEST = 100
"""How many records are told of an output that is no table."""
_EMPTY_ID = "0-0"

POSITION = {
    "type": "string",
    "pattern": "^[0-9]+:[0-9]+-[0-9]+$",
    "description": "From where a subscription goes on without a gap.",
}


class Now(NamedTuple):
    """The records of an output at one moment, as canonical JSON, and the place in its stream."""

    position: str
    values: list[bytes]


def read_now(client: redis.Redis, output: Output) -> Now:
    """Return the last record of each key by key, or the newest records, oldest first.

    Blocks.
    """

    def ask(pipe: Pipeline, keys: Keys) -> None:
        pipe.xrevrange(keys.stream(output.name), count=1 if output.keyed else NEWEST)
        if output.keyed:
            pipe.hgetall(keys.latest(output.name))

    generation, found = at_once(client, output.system, ask)
    entries: list[tuple[bytes, dict[bytes, bytes]]] = found[0]
    position = f"{generation}:{entries[0][0].decode() if entries else _EMPTY_ID}"
    if output.keyed:
        table: Mapping[bytes, bytes] = found[1]
        return Now(position, [table[key] for key in sorted(table)])
    return Now(position, [fields[b"v"] for _, fields in reversed(entries)])


def at_once(
    client: redis.Redis, system: str, ask: Callable[[Pipeline, Keys], object]
) -> tuple[int, list[Any]]:
    """Return the generation of a system and the answers to what ``ask`` asks of it.

    One transaction, so that they are of the same moment. Blocks.
    """
    while True:
        generation = _generation(client.get(generation_key(system)))
        pipe = client.pipeline(transaction=True)
        pipe.get(generation_key(system))
        ask(pipe, Keys(system, generation))
        now, *found = pipe.execute()
        if _generation(now) == generation:  # else readers were just switched
            return generation, found


def _generation(found: Any) -> int:
    return int(found or FIRST_GENERATION)


async def get_latest(call: Call) -> Response:
    """Answer with the records that the filters and the token's rows let through."""
    catalog = call.parts.catalog
    source = seen_by(call, catalog.source(call))
    output = source.output
    asked = filters_of(call, _filters(catalog), source, source.fields)
    call = beyond(call, source, asked)
    admit_reader(call, output.system, output.name, source.fields, private=source.private)
    channel = Channel(source, tuple(asked.items()))

    def find() -> tuple[dict[str, Any], list[Any]]:
        now = read_now(call.parts.redis, output)
        records = []
        for value in in_clear(call, source, now.values):
            record = orjson.loads(value)
            values = source.values(record)
            if channel.takes(values) and call.access.admits(values):
                records.append(record)
        return {"position": now.position, "records": records}, records

    return await answered(call, "latest", source, asked, find)


def _filters(catalog: Catalog) -> tuple[Parameter, ...]:
    plain = [source.opened() for source in catalog.sources.values() if source.private]
    seen = [*catalog.sources.values(), *plain]
    return filters(name for source in seen for name in source.fields)


def operations(catalog: Catalog) -> tuple[Operation, ...]:
    """Return what is served here of these outputs."""
    return (
        Operation(
            "GET",
            "/api/v1/latest/{system}/{output}",
            get_latest,
            "The last record of each key of a table; of other outputs, the newest 100",
            "read:<system>.<output>",
            parameters=(*catalog.path, *_filters(catalog), GLASS),
            answer={
                "type": "object",
                "required": ["position", "records"],
                "properties": {
                    "position": POSITION,
                    "records": {"type": "array", "items": record_of(*catalog.outputs)},
                },
            },
            tagged=True,
            errors=(404,),
        ),
    )
