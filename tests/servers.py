"""The servers that all tests of a run share, whatever processes the tests run in.

Without pytest-xdist, the one process starts each server when a test first needs it. With it, the
controller starts them while the workers collect, hands the workers their addresses and ends them
after the last worker. A server ends with the process that started it, so none is left behind by
Ctrl-C or a crash.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from confluent_kafka.admin import AdminClient

from flows.servers import KafkaBroker, Postgres, Valkey
from flows.servers.process import Server
from state.errors import ServerFailed

Addresses = dict[str, Any]
S = TypeVar("S", bound=Server)


class Servers:
    """The controller's servers, side by side in one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._kafka = KafkaBroker(directory)
        self._valkey = Valkey(directory)
        self._postgres = Postgres(directory)

    def launch(self) -> None:
        """Start them without waiting; to be called in a thread that lives until `stop`."""
        for server in (self._kafka, self._postgres, self._valkey):
            server.launch()

    def wait(self) -> None:
        """Return when they answer; raises `ServerFailed`."""
        for server in (self._valkey, self._postgres, self._kafka):
            server.wait()

    def stop(self) -> None:
        """End them."""
        for server in (self._valkey, self._postgres, self._kafka):
            server.stop()

    @property
    def addresses(self) -> Addresses:
        """What a worker needs to reach them; plain values, which travel to it."""
        return {
            "directory": str(self._directory),
            "kafka": [self._kafka.kind, self._kafka.bootstrap],
            "valkey": self._valkey.port,
            "postgres": self._postgres.port,
        }


class HandedKafka(KafkaBroker):
    """The controller's broker as a worker sees it: to be reached, not to be stopped."""

    def __init__(self, kind: str, bootstrap: str) -> None:
        self._kind, self._bootstrap = kind, bootstrap

    @property
    def kind(self) -> str:
        return self._kind

    @property
    def bootstrap(self) -> str:
        return self._bootstrap


def kafka(handed: Addresses | None, directory: Path) -> Iterator[KafkaBroker]:
    """Yield the broker that was handed to this process, or one of its own."""
    if handed is not None:
        yield HandedKafka(*handed["kafka"])
    else:
        with KafkaBroker(directory) as broker:
            yield broker


def shared(kind: type[S], handed: Addresses | None, directory: Path) -> Iterator[S]:
    """Yield the server that was handed to this process, or one of its own."""
    if handed is not None:
        server = kind(Path(handed["directory"]))
        server.port = handed[kind.name]
        yield server
    else:
        with kind(directory) as server:
            yield server


def empty(broker: KafkaBroker) -> None:
    """Leave a broker running without topics and groups, whatever its last user did to it."""
    if not _runs(broker):
        broker.start()
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    if topics := _topics(admin):
        for deleted in admin.delete_topics(topics, operation_timeout=60).values():
            deleted.result()
    while _topics(admin):  # a broker answers before it has forgotten them
        time.sleep(0.02)
    groups = [group.group_id for group in admin.list_consumer_groups().result().valid]
    if groups:
        for forgotten in admin.delete_consumer_groups(groups).values():
            forgotten.result()


def _topics(admin: AdminClient) -> list[str]:
    return [name for name in admin.list_topics(timeout=60).topics if not name.startswith("__")]


def _runs(broker: KafkaBroker) -> bool:
    try:
        return broker.pid > 0
    except ServerFailed:
        return False


def handed_to(config: pytest.Config) -> Addresses | None:
    """Return the addresses that the controller gave to this worker; None in no worker."""
    found: Addresses | None = getattr(config, "workerinput", {}).get("servers")
    return found
