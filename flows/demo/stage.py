"""A demo's servers, and the commands that run on them; all are children of this process."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import orjson

from connectors.kafka.client import Cluster
from flows.demo.child import DRAIN_S, Child
from flows.engine.ports import free_port, is_free
from flows.servers import KafkaBroker, Postgres, Valkey

QUICK_JAVA = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""For some minutes at a demo's rate, the second compiler costs more than it saves."""
PAGE_PORT = 9700
"""Where the page is, unless somebody else is there."""


class Servers(NamedTuple):
    """The three of them."""

    kafka: KafkaBroker
    valkey: Valkey
    postgres: Postgres


@dataclass
class Stage:
    """The servers of a demo, and how to start commands on them.

    ``settings`` are the commands' own, by the variables' names without HEADRACE_.
    """

    directory: Path
    servers: Servers
    settings: Mapping[str, str]

    def wait_for_servers(self) -> None:
        """Return when all servers answer; raises ServerFailed."""
        for server in (self.servers.valkey, self.servers.postgres, self.servers.kafka):
            server.wait()

    def child(self, *words: str, more: Mapping[str, str] | None = None) -> Child:
        """Return a command that is to run on these servers; the context manager starts it.

        ``more`` are settings of this one, under names as in `settings`.
        """
        port = free_port(in_a_row=4)  # one for each worker
        log = self.directory / f"{'-'.join(Path(word).stem for word in words[:2])}.log"
        name = " ".join(words[:2])
        return Child(name, list(words), self._environment(port, more or {}), log, port)

    def gateway(self, flows: Iterable[Child], more: Mapping[str, str] | None = None) -> Child:
        """Return the gateway of the page, which shows the health of these flows.

        ``more`` are variables of the environment, such as keys for tokens.
        """
        port = PAGE_PORT if is_free(PAGE_PORT) else free_port()
        workers = [f"http://127.0.0.1:{flow.http_port}" for flow in flows]
        told = {"FEED__PORT": str(port), "FEED__WORKERS": orjson.dumps(workers).decode()}
        environment = self._environment(port, told) | dict(more or {})
        return Child("feed", ["feed"], environment, self.directory / f"feed-{port}.log", port)

    def cluster(self) -> Cluster:
        """Return how to reach Kafka."""
        return Cluster(self.servers.kafka.bootstrap)

    def __str__(self) -> str:
        return f"{self.servers.kafka.kind}, Valkey, PostgreSQL"

    def _environment(self, http_port: int, more: Mapping[str, str]) -> dict[str, str]:
        settings = {
            "KAFKA__BOOTSTRAP": self.servers.kafka.bootstrap,
            "REDIS__URL": self.servers.valkey.url,
            "POSTGRES__DSN": self.servers.postgres.dsn,
            "RUN__STATE_DIR": str(self.directory / "state"),
            "RUN__HTTP_PORT": str(http_port),
            "RUN__DRAIN": f"{DRAIN_S}s",
            **self.settings,
            **more,
        }
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("HEADRACE_")}
        ours = str(Path(__file__).resolve().parents[2])
        return inherited | {"PYTHONPATH": ours} | {f"HEADRACE_{k}": v for k, v in settings.items()}


@contextmanager
def servers(directory: Path) -> Iterator[Servers]:
    """Launch the servers in an empty ``directory``, not waiting until they answer.

    They end with the context, the broker last.
    """
    for old in directory.iterdir():
        if old.is_dir():
            shutil.rmtree(old)
    made = Servers(KafkaBroker(directory, QUICK_JAVA), Valkey(directory), Postgres(directory))
    try:
        for server in made:  # the slowest first
            server.launch()
        yield made
    finally:
        for server in reversed(made):
            server.stop()
