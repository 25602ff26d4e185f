"""The open-loop stream of orders, and the closes of a session every half second beside it."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
from confluent_kafka import Producer

from benchmarks import child
from benchmarks.everything import MOST, portfolios, sessions
from benchmarks.machine import pin
from benchmarks.market.plain_producer import plain_producer
from benchmarks.market.stored import store
from replay.message import Message
from state.clock import NS
from state.outputs import to_json

TICK_S = 0.0002
BEFORE_S = 1.0
SESSION_S = 0.5
ACCOUNTS = 10


def main(job: dict[str, Any]) -> None:
    """Send orders at their times; store when each was due, by offset."""
    pin(job["core"])
    failed: list[str] = []
    producer = plain_producer(job["bootstrap"], 0, failed)
    count, rate = job["messages"], job["rate"]
    gaps = np.random.Generator(np.random.Philox(key=job["seed"])).exponential(NS / rate, count)
    due = time.time_ns() + int(BEFORE_S * NS) + np.cumsum(gaps).astype(np.int64)
    ended = threading.Event()
    closing = threading.Thread(target=_closes, args=(producer, job["seed"], ended), daemon=True)
    closing.start()
    for number, due_ns in enumerate(due.tolist()):
        order = _order(number, due_ns, job["symbols"])
        while (moment := time.time_ns()) < due_ns:
            producer.poll(0)
            time.sleep(max(TICK_S, (due_ns - moment) / NS))
        producer.produce(job["topic"], order, b"order", partition=0)
    ended.set()
    closing.join()
    producer.flush()
    assert not failed, failed[0]
    store(job["out"], {"due": due})
    child.say({"messages": count})


def _order(number: int, ts_ns: int, symbols: int) -> bytes:
    """Return a market order of one share."""
    order = {
        "type": "order", "account": f"a{number % ACCOUNTS}", "order_id": f"o{number}",
        "symbol": f"SYM{number % symbols:04d}", "side": ("buy", "sell")[number % 2],
        "quantity": 1, "price": None, "ts_ns": ts_ns,
    }  # fmt: skip
    return to_json(order)


def _closes(producer: Producer, seed: int, ended: threading.Event) -> None:
    """Send the portfolios, then a session after the other until the orders are sent."""

    def send(message: Message) -> None:
        # Kafka's own time: a broker deletes what its producer says is years old.
        producer.produce(
            message.topic, message.value, message.key, partition=0, headers=list(message.headers)
        )

    for message in portfolios():
        send(message)
    for message in sessions(seed, MOST):
        send(message)
        if ended.wait(SESSION_S):
            return


if __name__ == "__main__":
    child.start(main)
