"""The open-loop load: every tick has its time of sending before the first is sent.

What falls behind is sent as soon as it can be, and carries the time at which it should
have been sent, so that a stall of anything shows in full.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from benchmarks import child
from benchmarks.machine import pin
from benchmarks.market.feed import Feed
from benchmarks.market.stored import store
from benchmarks.market.topics import keys, payloads
from connectors.kafka.client import Cluster
from state.clock import NS

TICK_S = 0.0002
"""The shortest sleep: the load shares its core with the servers, so it must not spin."""

OPTIONS = {"linger.ms": "0.5"}
PREPARING_S = 3.0
PREPARED_PER_S = 100_000


def main(job: dict[str, Any]) -> None:
    """Send; store when each tick was due and when it was handed to the client."""
    pin(job["core"])
    feed = Feed(job["seed"], job["symbols"], job["rate"], job["spikes"])
    count, partitions = job["messages"], job["partitions"]
    gaps = np.random.Generator(np.random.Philox(key=job["seed"] + 1)).exponential(
        NS / job["rate"], count
    )
    start_ns = time.time_ns() + int((PREPARING_S + count / PREPARED_PER_S) * NS)
    ticks = feed.ticks(start_ns + np.cumsum(gaps).astype(np.int64))
    names = keys(feed)
    symbols = ticks.symbol.tolist()
    values, due = payloads(ticks), ticks.ts_ns.tolist()
    failed: list[str] = []
    producer = Cluster(job["bootstrap"], options=OPTIONS).producer(
        lambda error, _: failed.append(str(error)), lambda error: failed.append(str(error))
    )
    producer.list_topics(job["topic"], timeout=10)
    assert time.time_ns() < start_ns, "the ticks were not prepared in time"
    sent = [0] * count
    topic, produce, now = job["topic"], producer.produce, time.time_ns
    for at in range(count):
        while (moment := now()) < due[at]:
            producer.poll(0)
            time.sleep(max(TICK_S, (due[at] - moment) / NS))
        symbol = symbols[at]
        sent[at] = moment
        produce(topic, values[at], names[symbol], partition=symbol % partitions)
    producer.flush()
    assert not failed, failed[0]
    columns = {
        "due": ticks.ts_ns,
        "sent": np.array(sent, np.int64),
        "partition": (ticks.symbol % partitions).astype(np.int64),
    }
    store(job["out"], columns)
    child.say({"messages": count, "start_ns": start_ns})


if __name__ == "__main__":
    child.start(main)
