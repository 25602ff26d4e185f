"""What the REST half of the feed is given: servers and recordings."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from connectors.kafka.topics import partition_count
from connectors.postgres.client import Database
from connectors.redis.client import client
from connectors.web.audit import Audit
from connectors.web.bulk import Exports
from connectors.web.limits import Buckets, Limits
from connectors.web.reads import CHAIN, Reads
from connectors.web.rest.connections import Connections
from connectors.web.rest.health import Workers
from connectors.web.rest.outputs import Catalog
from connectors.web.rest.parts import Parts
from connectors.web.rest.producing import Producing
from connectors.web.rest.rooms import Given, rooms
from connectors.web.tokens import Tokens
from connectors.web.trail import Trail
from flows.engine.marks import marked_cluster
from flows.engine.systems import declared_outputs, systems
from flows.feed.letters import Letters
from flows.settings.part import Timed
from flows.settings.settings import Settings
from operators.audit import AuditChain
from state.clock import now_ns
from state.errors import Misuse
from state.sealing import Seal

KAFKA_TIMEOUT_S = 2.0
PROBE = "headrace.probe"
"""A topic that need not exist: asking for it shows whether the cluster answers."""


def rest_parts(
    settings: Settings, tokens: Tokens | None, limits: Limits, seal: Seal | None = None
) -> Parts:
    """Return the parts; no server is asked anything yet. Raises SettingsError.

    ``seal`` opens sealed records for those who may.
    """
    keyring, rate = settings.sealing.keyring(), limits.requests_per_second
    keys = Seal(keyring) if keyring else None
    feed, cluster = settings.feed, marked_cluster(settings)
    redis = client(settings.redis.url)
    history = Connections(Database(settings.postgres.dsn))
    checks: dict[str, Callable[[], object]] = {
        "redis": redis.ping,
        "postgres": history.ping,
        "kafka": lambda: partition_count(cluster, PROBE, KAFKA_TIMEOUT_S),
    }
    return Parts(
        catalog=Catalog.of(declared_outputs()),
        rooms=rooms(Given(cluster, _max_ahead_ns(settings))),
        redis=redis,
        history=history,
        producing=Producing(cluster),
        dead=Letters(cluster, keys),
        recordings=Recordings(feed.recordings).listed,
        exports=_exports(settings),
        workers=Workers(feed.workers, checks),
        tokens=tokens,
        seal=seal,
        origins=feed.origins,
        limits=limits,
        audit=Audit(),
        reads=Reads(Trail(feed.audit, AuditChain(CHAIN)), keys),
        requests=Buckets(rate, rate),
        commands=Buckets(rate, rate),
        now_ns=now_ns,
    )


def _exports(settings: Settings) -> Exports | None:
    """Return what exports in bulk, by the system that can.

    Who may not unseal here may not export either, so without ``feed.jwks`` or ``feed.unseal``
    there are no keys for it.
    """
    module = next((system.bulk for system in systems() if system.bulk), "")
    if not module:
        return None
    feed = settings.feed
    keyring = settings.sealing.keyring() if feed.jwks or feed.unseal else None
    url = settings.redis.url.get_secret_value()
    types = importlib.import_module(module).TYPES
    return Exports(module, types, feed.exports, url, keyring, feed.exports_bytes)


def _max_ahead_ns(settings: Settings) -> dict[str, int]:
    """Return table of the settings -> by how much an event's time may be ahead."""
    parts = (pair for system in systems() for pair in system.settings.items())
    tables = ((name, settings.of(part)) for name, part in parts)
    return {name: table.max_ahead for name, table in tables if isinstance(table, Timed)}


class Recordings:
    """The recordings in a directory: what each holds is read once, and again when it changes."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._known: dict[Path, tuple[tuple[int, int], dict[str, Any]]] = {}

    def listed(self) -> list[dict[str, Any]]:
        """Return name, size and topics of each Parquet file by name; links are passed over."""
        found: dict[Path, tuple[tuple[int, int], dict[str, Any]]] = {}
        for path in sorted(self._directory.glob("*.parquet")):
            if path.is_symlink() or not path.is_file():
                continue
            facts = path.stat()
            stamp = (facts.st_mtime_ns, facts.st_size)
            known = self._known.get(path)
            if known is None or known[0] != stamp:
                known = (stamp, {"name": path.name, "bytes": facts.st_size} | _described(path))
            found[path] = known
        self._known = found
        return [described for _, described in found.values()]


def _described(path: Path) -> dict[str, Any]:
    try:
        recording = importlib.import_module("replay.recording").Recording([path])
    except Misuse:
        return {"error": "it is no recording"}
    counts = dict.fromkeys(recording.partitions, 0)
    for (topic, _), groups in recording.groups.items():
        counts[topic] += sum(group.rows for group in groups)
    return {
        "messages": len(recording),
        "first_ns": recording.first_ns,
        "topics": {
            topic: {"partitions": partitions, "messages": counts[topic]}
            for topic, partitions in sorted(recording.partitions.items())
        },
    }
