"""(d) What each sink takes by itself: bars, in batches as a busy flow hands them over.

Run as a program it is the measured process; `run` reports.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Any

from bytewax.outputs import StatefulSinkPartition

from benchmarks import child
from benchmarks.machine import pin
from benchmarks.market.feed import START_NS
from benchmarks.market.rig import PARTITIONS, SHARDS, Run
from benchmarks.market.topics import make_topic
from connectors.kafka.delivery import Delivery
from connectors.kafka.sink import KafkaSink
from connectors.postgres.decode import Row, RowsBlock
from connectors.postgres.keeping import Keeping
from connectors.postgres.sink import PostgresSink
from connectors.postgres.tables import tables_of
from connectors.redis.keys import Keys
from connectors.redis.sink import RedisSink
from flows import config
from flows.engine.cluster import cluster_of
from flows.engine.systems import output_topic
from flows.settings.settings import Settings
from state.clock import NS
from state.lifecycle import Lifecycle
from state.market.outputs import OUTPUTS
from state.outputs import to_json
from state.records import OutputBatch
from state.shards import shard_names

BATCH = 500
BATCHES_PER_WRITE = 4
WRITES_PER_SNAPSHOT = 25
OUTPUT = "bars"
NAMES = {"redis": "Redis", "kafka": "Kafka", "postgres": "PostgreSQL"}

Batches = Iterator[list[OutputBatch]]


def run(run: Run) -> None:
    """Measure each sink in turn, as often as there are repeats."""
    rig, report = run.rig, run.report
    make_topic(rig.kafka.bootstrap, output_topic("market", OUTPUT), PARTITIONS)
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in NAMES}
    for _ in range(run.options.repeats):
        env = rig.settings("none", HEADRACE_POSTGRES__DSN=rig.postgres.dsn)
        for name in NAMES:
            job = {"sink": name, "records": run.options.records}
            found[name].append(rig.measure("sinks", env, **job))
    write = BATCH * BATCHES_PER_WRITE
    report.part(
        "d",
        "sinks by themselves",
        f"{run.options.records:,} bars of about {found['redis'][0]['bytes']:.0f} bytes, {write:,} "
        f"a write in batches of {BATCH}, a snapshot every {WRITES_PER_SNAPSHOT} writes (Kafka "
        "flushes there); one connection; clock until all is confirmed",
    )
    for name, title in NAMES.items():
        rates = [result["records"] / result["wall"] for result in found[name]]
        report.figure("d", f"{title}, wall", "records/s", rates)
        rates = [result["records"] / result["cpu"] for result in found[name]]
        report.figure("d", f"{title}, CPU of the sink's process", "records/CPU-s", rates)


def main(job: dict[str, Any]) -> None:
    """Write the records to one sink; say what it took."""
    pin(job["core"])
    settings = config.load_settings(None)
    count = job["records"]
    items: list[Any]
    if job["sink"] == "postgres":
        items = list(_blocks(count, settings.run.generation))
    else:
        items = list(_batches(count))
    partition = {"redis": _redis, "kafka": _kafka, "postgres": _postgres}[job["sink"]](settings)
    wall, cpu = time.perf_counter(), time.process_time()
    for number, values in enumerate(items, start=1):
        partition.write_batch(values)
        if number % WRITES_PER_SNAPSHOT == 0:
            partition.snapshot()
    partition.snapshot()
    result = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    partition.close()
    size = len(to_json(_bar(0)))
    child.say({**result, "records": count, "bytes": size})


def _redis(settings: Settings) -> StatefulSinkPartition[Any, Any]:
    shards = shard_names(SHARDS)
    sink = RedisSink(
        settings.redis.url,
        Keys("market", settings.run.generation),
        "bench",
        settings.redis.stream_length,
        shards,
        shards,
        Lifecycle(),
        "bench",
    )
    return sink.build_part("redis", shards[0], None)


def _kafka(settings: Settings) -> StatefulSinkPartition[Any, Any]:
    shards = shard_names(SHARDS)
    topics = {OUTPUT: output_topic("market", OUTPUT)}
    delivery = Delivery(cluster_of(settings.kafka), Lifecycle())
    sink = KafkaSink(delivery, topics, shards, shards, settings.run.generation, "bench")
    return sink.build_part("topics", shards[0], None)


def _postgres(settings: Settings) -> StatefulSinkPartition[Any, Any]:
    shards = shard_names(SHARDS)
    keeping = Keeping(settings.postgres.retention, settings.postgres.compress_after)
    sink = PostgresSink(settings.postgres.dsn, OUTPUTS, keeping, shards, shards, Lifecycle())
    partition = sink.build_part("postgres", shards[0], None)
    # The first write migrates the database and makes the partition of the day.
    partition.write_batch(next(_blocks(1, settings.run.generation + 1_000_000)))
    return partition


def _bar(number: int) -> dict[str, Any]:
    symbol, start_ns = f"SYM{number % 100:04d}", START_NS + number // 100 * NS
    price = 100 + number % 977 / 100
    return {
        "id": f"{symbol}|1s|{start_ns}", "symbol": symbol, "interval": "1s", "start_ns": start_ns,
        "open": price, "high": price + 0.02, "low": price - 0.01, "close": price + 0.01,
        "volume": 1200.0 + number % 13, "vwap": price + 0.00123, "trades": 7 + number % 5,
    }  # fmt: skip


def _batches(count: int) -> Batches:
    """Yield writes of a few batches each, counted as an origin's are."""
    for first in range(0, count, BATCH * BATCHES_PER_WRITE):
        last = min(first + BATCH * BATCHES_PER_WRITE, count)
        yield [_batch(at, min(at + BATCH, last)) for at in range(first, last, BATCH)]


def _batch(first: int, last: int) -> OutputBatch:
    bars = [_bar(number) for number in range(first, last)]
    return OutputBatch(
        OUTPUT,
        "0",
        first + 1,
        [bar["start_ns"] for bar in bars],
        [bar["id"] for bar in bars],
        [f"{bar['symbol']}|1s" for bar in bars],
        [to_json(bar) for bar in bars],
    )


def _blocks(count: int, generation: int) -> Iterator[list[RowsBlock]]:
    """Yield writes of rows, as the history flow decodes them from the topic."""
    table = tables_of(OUTPUTS)[output_topic("market", OUTPUT)]
    names = [column.name for column in table.columns]

    def row(number: int) -> Row:
        bar = _bar(number)
        return (generation, *(bar[name] for name in names), number + 1)

    rows = map(row, range(count))
    while taken := list(itertools.islice(rows, BATCH * BATCHES_PER_WRITE)):
        yield [RowsBlock(table, taken)]


if __name__ == "__main__":
    child.start(main)
