"""What two hops over the broker cost: a bare consumer that appends each order to another topic.

A decision needs both: orders are brought into one order with all else (market.sequenced), and
read from there. One thread consumes and appends, another consumes what was appended.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
from confluent_kafka import Consumer, TopicPartition
from numpy.typing import NDArray

from benchmarks import child
from benchmarks.machine import pin
from benchmarks.market.plain_producer import plain_producer
from benchmarks.market.stored import store
from connectors.kafka.client import Cluster

WAIT_S = 0.1
BATCH = 4096


class Hop(threading.Thread):
    """Notes when each message of a topic of one partition is consumed, and hands it on."""

    def __init__(self, bootstrap: str, topic: str, count: int, into: str | None = None) -> None:
        super().__init__(name=topic, daemon=True)
        self.consumed: NDArray[np.int64] = np.zeros(count, np.int64)
        self.failed: list[str] = []
        self._into = into
        self._consumer: Consumer = Cluster(bootstrap).consumer("bench.relay")
        self._consumer.assign([TopicPartition(topic, 0, 0)])
        self._producer = plain_producer(bootstrap, 0, self.failed)

    def run(self) -> None:
        """Consume until all messages have come."""
        done = 0
        while done < len(self.consumed) and not self.failed:
            self._producer.poll(0)
            first = self._consumer.poll(WAIT_S)
            if first is None:
                continue
            for message in [first, *self._consumer.consume(BATCH, 0)]:
                self.consumed[done] = time.time_ns()
                done += 1
                if self._into is not None:
                    self._producer.produce(self._into, message.value(), message.key(), partition=0)
        self._producer.flush()
        self._consumer.close()


def main(job: dict[str, Any]) -> None:
    """Relay all orders; store when each was consumed, by offset, at both places."""
    pin(job["core"])
    hops = [
        Hop(job["bootstrap"], job["topic"], job["messages"], job["into"]),
        Hop(job["bootstrap"], job["into"], job["messages"]),
    ]
    for hop in hops:
        hop.start()
    child.say({"ready": True})
    for hop in hops:
        hop.join()
        assert not hop.failed, hop.failed[0]
    store(job["out"], {"one": hops[0].consumed, "two": hops[1].consumed})
    child.say({"messages": job["messages"]})


if __name__ == "__main__":
    child.start(main)
