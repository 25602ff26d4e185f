"""A system's place in a Redis, sinks that write to it, and batches for them."""

from __future__ import annotations

import uuid

import redis
from pydantic import SecretStr

from connectors.redis.keys import Keys
from connectors.redis.reader import RedisReader
from connectors.redis.sink import RedisPartition, RedisSink
from state.lifecycle import Lifecycle
from state.records import OutputBatch
from state.shards import shard_name, shard_names

SHARD = shard_name(0)


def batch(first: int, count: int, output: str = "bars", origin: str = "0") -> OutputBatch:
    counters = range(first, first + count)
    return OutputBatch(
        output=output,
        origin=origin,
        first=first,
        times_ns=[10**18 + c for c in counters],
        ids=[f"{output}/{origin}/{c}" for c in counters],
        keys=[f"K{c % 7}" for c in counters] if output == "bars" else [""] * count,
        values=[b'{"c":%d}' % c for c in counters],
    )


class Redis:
    """One system's place in a server, and sinks that write to it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.system = f"t{uuid.uuid4().hex}"
        self.client = redis.Redis.from_url(url)

    def sink(
        self,
        lineage: str = "ours",
        lifecycle: Lifecycle | None = None,
        stream_length: int = 100_000,
        url: str | None = None,
        writer: str = "one",
    ) -> RedisSink:
        names = shard_names(2)
        return RedisSink(
            SecretStr(url or self.url),
            Keys(self.system, 1),
            lineage,
            stream_length,
            names,
            names,
            lifecycle or Lifecycle(),
            writer,
        )

    def partition(
        self, lineage: str = "ours", lifecycle: Lifecycle | None = None
    ) -> RedisPartition:
        return self.sink(lineage, lifecycle).build_part("redis", SHARD, None)

    def reader(self) -> RedisReader:
        return RedisReader(SecretStr(self.url), self.system, 1)

    def counters(self, output: str = "bars", origin: str = "0") -> list[int]:
        reader = self.reader()
        found = [e.counter for e in reader.entries(output) if e.origin == origin]
        reader.close()
        return found

    def dump(self) -> object:
        """Everything of the generation, streams without their ids."""
        reader = self.reader()
        outputs = {output for output, _ in reader.marks()}
        streams = {o: [entry[1:] for entry in reader.entries(o)] for o in sorted(outputs)}
        tables = {o: reader.latest(o) for o in sorted(outputs)}
        found = (streams, tables, reader.marks(), reader.lineage())
        reader.close()
        return found


def write(partition: RedisPartition, *batches: OutputBatch) -> None:
    partition.write_batch(list(batches))
    partition.snapshot()
