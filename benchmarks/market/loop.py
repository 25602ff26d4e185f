"""The bare loop: consume and decode the same messages, and nothing else.

Consumers, settings, `Messages` and decoder are those of the flow's source; there is no
Bytewax, no operator, no sink and no state. The clock includes opening and closing them.
"""

from __future__ import annotations

import time
from typing import Any

from confluent_kafka import TopicPartition

from benchmarks import child
from benchmarks.machine import pin, settle
from connectors.kafka.messages import to_messages
from connectors.kafka.topics import partition_count
from connectors.market.decode import TickDecoder
from flows import config
from flows.engine.cluster import cluster_of
from flows.market.settings import Market

IDLE_S = 0.001
"""As Bytewax waits where a source had nothing."""


def main(job: dict[str, Any]) -> None:
    """Consume and decode ``messages`` messages; say what it took."""
    pin(job["core"])
    settings = config.load_settings(None)
    topic, shards = settings.of(Market).topic, settings.kafka.shards
    cluster = cluster_of(settings.kafka)
    partitions = partition_count(cluster, topic)
    decoder = TickDecoder(settings.of(Market).max_ahead)
    messages = records = blocks = 0
    settle()
    wall, cpu, thread = time.perf_counter(), time.process_time(), time.thread_time()
    consumers = []
    for shard in range(shards):
        consumer = cluster.consumer("bench.loop", consumers=shards)
        position = dict.fromkeys(range(shard, partitions, shards), 0)
        consumer.assign([TopicPartition(topic, p, 0) for p in position])
        consumers.append((consumer, position))
    while messages < job["messages"]:
        before = messages
        for consumer, position in consumers:
            found = consumer.consume(settings.kafka.batch, 0)
            if found:
                made = to_messages(found, topic, partitions, position)
                position |= {p: following for p, (_, following) in made.ranges.items()}
                messages += len(made)
                records += len(decoder.decode(made))
                blocks += 1
                # Freed here, as when a source's next_batch returns, not while the next is made.
                del found, made
        if messages == before:
            time.sleep(IDLE_S)
    for consumer, _ in consumers:
        consumer.close()
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


if __name__ == "__main__":
    child.start(main)
