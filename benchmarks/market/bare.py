"""The bare consumer: when a message reaches a process that does nothing else with it.

One consumer of all partitions with the settings of the flow's, woken by librdkafka as
soon as there is a message.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from confluent_kafka import TopicPartition

from benchmarks import child
from benchmarks.machine import pin
from benchmarks.market.stored import store
from connectors.kafka.client import Cluster
from connectors.kafka.messages import to_messages
from connectors.market.decode import TickDecoder
from state.clock import NS

WAIT_S = 0.1
BATCH = 4096


def main(job: dict[str, Any]) -> None:
    """Consume all messages; store where each was, when it was due, appended and consumed."""
    pin(job["core"])
    topic, partitions = job["topic"], job["partitions"]
    stop = child.stopped()
    decoder = TickDecoder(60 * NS)
    consumer = Cluster(job["bootstrap"]).consumer("bench.bare")
    position = dict.fromkeys(range(partitions), 0)
    consumer.assign([TopicPartition(topic, p, 0) for p in position])
    found: list[tuple[Any, ...]] = []
    count = 0
    child.say({"ready": True})
    while count < job["messages"] and not stop.is_set():
        first = consumer.poll(WAIT_S)
        if first is None:
            continue
        batch = [first, *consumer.consume(BATCH, 0)]
        moment = time.time_ns()
        made = to_messages(batch, topic, partitions, position)
        position |= {p: following for p, (_, following) in made.ranges.items()}
        block = decoder.decode(made)
        consumed = np.full(len(block), moment)
        found.append((block.partition, block.offset, block.recv_ns, block.timestamp_ns, consumed))
        count += len(made)
    consumer.close()
    names = ("partition", "offset", "due", "appended", "consumed")
    columns = [np.concatenate(column).astype(np.int64) for column in zip(*found, strict=True)]
    store(job["out"], dict(zip(names, columns, strict=True)))
    child.say({"messages": count})


if __name__ == "__main__":
    child.start(main)
