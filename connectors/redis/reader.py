"""Reading what the sink wrote: for export, the feed and tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import redis
from pydantic import SecretStr

from connectors.redis.client import client
from connectors.redis.keys import Keys, generation_key

PAGE = 1000
FIRST_GENERATION = 1
"""What readers read until a generation has been promoted."""


class StreamEntry(NamedTuple):
    """One entry of a stream; ``value`` is canonical JSON."""

    stream_id: str
    origin: str
    counter: int
    id: str
    value: bytes
    retracted: bool = False


def current_generation(connection: redis.Redis, system: str) -> int:
    """Return the generation that readers of ``system`` are to use."""
    return int(cast("bytes | None", connection.get(generation_key(system))) or FIRST_GENERATION)


def promote(connection: redis.Redis, system: str, generation: int) -> None:
    """Make ``generation`` the one that readers use, at once."""
    connection.set(generation_key(system), generation)


class RedisReader:
    """Reads one generation of one system. Redis's own errors pass through."""

    def __init__(self, url: SecretStr, system: str, generation: int | None = None) -> None:
        """Read ``generation``, or the current one where none is given."""
        self.client = client(url)
        self.keys = Keys(system, generation or current_generation(self.client, system))

    def entries(self, output: str, after: str = "") -> Iterator[StreamEntry]:
        """Return the entries of an output's stream, oldest first, that follow the id ``after``."""
        stream = self.keys.stream(output)
        while True:
            start = f"({after}" if after else "-"
            page = cast("list[Any]", self.client.xrange(stream, start, "+", PAGE))
            for stream_id, fields in page:
                after = stream_id.decode()
                yield StreamEntry(
                    after,
                    fields[b"origin"].decode(),
                    int(fields[b"counter"]),
                    fields[b"id"].decode(),
                    fields[b"v"],
                    b"retracted" in fields,
                )
            if len(page) < PAGE:
                return

    def latest(self, output: str) -> dict[str, bytes]:
        """Return the last JSON of each key of a keyed output, sorted by key."""
        found = cast("dict[bytes, bytes]", self.client.hgetall(self.keys.latest(output)))
        return {key.decode(): found[key] for key in sorted(found)}

    def marks(self) -> dict[tuple[str, str], int]:
        """Return the counter of the last record held, for each (output, origin)."""
        found = cast("dict[bytes, bytes]", self.client.hgetall(self.keys.marks))
        marks = {}
        for field, counter in sorted(found.items()):
            output, _, origin = field.decode().rpartition("/")
            marks[output, origin] = int(counter)
        return marks

    def lineage(self) -> str | None:
        """Return the lineage of the run that wrote this generation, None where none did."""
        found = cast("bytes | None", self.client.get(self.keys.lineage))
        return found.decode() if found is not None else None

    def close(self) -> None:
        """Close the connections."""
        self.client.close()
