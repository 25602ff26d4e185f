"""The bare loop: consume and decode the same messages, and nothing else.

Consumers, settings, `Messages`, the way in which they are read and the decoder are those of the
flow's source; there is no Bytewax, no operator, no sink and no state. The clock includes opening
and closing them.
"""

from __future__ import annotations

import time
from typing import Any

from confluent_kafka import KafkaError

from benchmarks import child
from benchmarks.machine import pin, settle
from connectors.kafka.messages import Fault
from connectors.kafka.reading import Reader, Reading, open_reader, warm_up
from connectors.kafka.topics import partition_count
from connectors.market.decode import TickDecoder
from flows import config
from flows.engine.cluster import cluster_of
from flows.market.settings import Market
from state.errors import Broken

IDLE_S = 0.001
"""As Bytewax waits where a source had nothing."""


def main(job: dict[str, Any]) -> None:
    """Consume and decode ``messages`` messages; say what it took."""
    pin(job["core"])
    settings = config.load_settings(None)
    kafka, topic = settings.kafka, settings.of(Market).topic
    shards = kafka.shards
    cluster = cluster_of(kafka)
    warm_up(kafka.reading)
    partitions = partition_count(cluster, topic)
    decoder = TickDecoder(settings.of(Market).max_ahead)
    messages = records = blocks = 0
    settle()
    wall, cpu, thread = time.perf_counter(), time.process_time(), time.thread_time()
    readers: list[tuple[Reader, dict[int, int]]] = []
    for shard in range(shards):
        position = dict.fromkeys(range(shard, partitions, shards), 0)
        reading = Reading(topic, partitions, position, kafka.batch, "bench.loop", shards)
        readers.append((open_reader(kafka.reading, cluster, reading, _judge, _fail), position))
    while messages < job["messages"]:
        before = messages
        for reader, position in readers:
            made = reader.read(kafka.batch, position)
            if made is not None:
                position |= {p: following for p, (_, following) in made.ranges.items()}
                messages += len(made)
                records += len(decoder.decode(made))
                blocks += 1
                # Freed here, as when a source's next_batch returns, not while the next is made.
                del made
        if messages == before:
            time.sleep(IDLE_S)
    for reader, _ in readers:
        reader.close()
    child.say(
        {
            "wall": time.perf_counter() - wall,
            "cpu": time.process_time() - cpu,
            "thread_cpu": time.thread_time() - thread,
            "messages": messages,
            "records": records,
            "blocks": blocks,
        }
    )


def _judge(fault: Fault) -> None:
    _fail(fault.error)


def _fail(error: KafkaError) -> None:
    raise Broken(error.str())


if __name__ == "__main__":
    child.start(main)
