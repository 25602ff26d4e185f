"""The producer of the orders and of the bare hops: one that never takes a core for itself."""

from __future__ import annotations

from typing import Any

from confluent_kafka import KafkaError, Producer


def plain_producer(bootstrap: str, linger_ms: float, failed: list[str]) -> Producer:
    """Return a producer that adds to ``failed`` what went wrong with a message.

    Not idempotent: librdkafka 2.16 then sends nothing more to a partition of which 5 messages are
    under way, and its thread spins for as long as others wait longer than the linger (perf: poll
    without a wait; PR 4989 there). The load shares its core with the broker, which that starved:
    every stall grew to seconds. Nothing is sent twice here, so the order holds without it. For a
    hundred messages a second; twenty thousand ticks need the batches that the limit makes.
    """

    def delivered(error: KafkaError | None, _: Any) -> None:
        if error is not None:
            failed.append(str(error))

    return Producer(
        {
            "bootstrap.servers": bootstrap,
            "linger.ms": linger_ms,
            "acks": "all",
            "retries": 0,
            "socket.nagle.disable": True,
            "on_delivery": delivered,
        }
    )
