"""The reader of an output topic: a plain consumer, as a user's would be.

The records' identities are the coordinates of what they are of, as those of breaches are.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import orjson
from confluent_kafka import Consumer, TopicPartition

from benchmarks import child
from benchmarks.machine import pin
from benchmarks.market.stored import store
from connectors.kafka.client import Cluster

WAIT_S, LAST_S = 0.1, 1.0
ANSWER_S = 10.0
BATCH = 1000


def main(job: dict[str, Any]) -> None:
    """Read what comes from now on until told to stop; store what each record is of, and when."""
    pin(job["core"])
    stop = child.stopped()
    consumer = Cluster(job["bootstrap"]).consumer("bench.topic")
    consumer.assign(_ends(consumer, job["topic"]))
    found: list[tuple[int, int]] = []
    child.say({"ready": True})
    while True:
        stopping = stop.is_set()  # before the read: what is there by then is read
        first = consumer.poll(LAST_S if stopping else WAIT_S)
        if first is None and stopping:
            break
        batch = [] if first is None else [first, *consumer.consume(BATCH, 0)]
        moment = time.time_ns()
        values = [each.value() for each in batch if each.error() is None]
        found += [(orjson.loads(value)["ts_ns"], moment) for value in values if value]
    consumer.close()
    columns = np.array(found, np.int64).reshape(-1, 2).T
    store(job["out"], dict(zip(("due", "seen"), columns, strict=True)))
    child.say({"records": len(found)})


def _ends(consumer: Consumer, topic: str) -> list[TopicPartition]:
    partitions = consumer.list_topics(topic, ANSWER_S).topics[topic].partitions
    ends = []
    for partition in sorted(partitions):
        _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), ANSWER_S)
        ends.append(TopicPartition(topic, partition, end))
    return ends


if __name__ == "__main__":
    child.start(main)
