"""Producers of tests."""

from __future__ import annotations

from typing import Any

from confluent_kafka import Producer


def producer(bootstrap: str, **settings: Any) -> Producer:
    """Return a producer whose messages keep their order; underscores stand for dots in settings.

    Without idempotence a batch that is sent again, as to a topic that was just made, comes behind
    later ones.
    """
    given = {name.replace("_", "."): value for name, value in settings.items()}
    return Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, **given})
