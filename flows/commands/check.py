"""``headrace check``: what is wrong with settings, servers, topics and migrations."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import orjson
import psycopg
import redis

from connectors.kafka.client import Cluster
from connectors.kafka.topics import partition_count
from connectors.postgres.client import Database
from connectors.postgres.migrate import layout, pending
from connectors.redis.client import client
from connectors.redis.eviction import evicting
from flows.config import add_config_argument, load_settings
from flows.engine.cluster import cluster_of
from flows.engine.context import Flow
from flows.engine.flows import find_flow
from flows.engine.generation import Generation, find_generation
from flows.engine.preparing import check_start
from flows.engine.systems import declared_outputs, flow_modules, output_topic
from flows.settings.settings import Settings
from state.errors import HeadraceError, SettingsError
from state.outputs import DEAD

TIMEOUT_S = 5.0
PROBE = "headrace.probe"
"""A topic that need not exist: asking for it shows whether the cluster answers."""


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    what: str
    ok: bool
    said: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --config and --json."""
    parser.add_argument("--json", action="store_true", help="a list of {what, ok, said}")
    add_config_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Print one line for each thing looked at; 1 where something is wrong."""
    findings = list(_findings(args.config))
    if args.json:
        print(orjson.dumps([asdict(finding) for finding in findings]).decode())
    else:
        for finding in findings:
            print(f"{'ok   ' if finding.ok else 'WRONG'} {finding.what}: {finding.said}")
    return 0 if all(finding.ok for finding in findings) else 1


def _findings(config: Path | None) -> Iterator[Finding]:
    try:
        settings = load_settings(config)
    except SettingsError as error:
        yield Finding("settings", ok=False, said=str(error))
        return
    yield Finding("settings", ok=True, said=str(config or "defaults and environment"))
    yield _look("state directory", lambda: _state_directory(settings))
    yield from _kafka(settings)
    yield _look("redis", lambda: _redis(settings))
    yield _look("postgres", lambda: _postgres(settings))


def _look(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, ok=True, said=look())
    except (HeadraceError, OSError) as error:
        return Finding(what, ok=False, said=" ".join(str(error).split()))


def _state_directory(settings: Settings) -> str:
    directory = settings.run.state_dir.resolve()
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        raise HeadraceError(f"{directory} cannot be written: set run.state_dir")
    return str(directory)


def _kafka(settings: Settings) -> Iterator[Finding]:
    try:
        cluster = cluster_of(settings.kafka)
        partition_count(cluster, PROBE, TIMEOUT_S)
    except HeadraceError as error:
        yield Finding("kafka", ok=False, said=str(error))
        return
    yield Finding("kafka", ok=True, said=settings.kafka.bootstrap)
    flows = [find_flow(name) for name in flow_modules()]
    used = [flow for flow in flows if _in_use(flow, settings, cluster)]
    if not used:
        fed = [t for flow in flows for t in _fed(flow, settings)]
        yield Finding("topics", ok=False, said=f"nothing feeds a flow: create {' or '.join(fed)}")
    topics = dict.fromkeys(topic for flow in used for topic in _topics(flow, settings))
    for topic in topics:
        yield _look(f"topic {topic}", partial(_topic, cluster, topic))
    for flow in used:
        yield _look(flow.name, partial(_generation, flow, settings, cluster))


def _in_use(flow: Flow, settings: Settings, cluster: Cluster) -> bool:
    """Return whether a flow has run here, or somebody feeds it."""
    if _newest(flow, settings).load() is not None:
        return True
    return any(partition_count(cluster, topic, TIMEOUT_S) for topic in _fed(flow, settings))


def _fed(flow: Flow, settings: Settings) -> list[str]:
    """Return the inputs of a flow that none of ours writes."""
    ours = {output.topic for output in declared_outputs()}
    read = [each for each in flow.inputs(settings) if each.role != "made"]
    return [each.topic for each in read if not each.partitions and each.topic not in ours]


def _topics(flow: Flow, settings: Settings) -> list[str]:
    """Return the topics that there should be for a flow."""
    needed = [each.topic for each in flow.inputs(settings) if not each.group]
    return [*needed, *(output.topic for output in flow.outputs), output_topic(flow.name, DEAD)]


def _topic(cluster: Cluster, topic: str) -> str:
    count = partition_count(cluster, topic, TIMEOUT_S)
    if not count:
        raise HeadraceError("missing: create it (the first run of a flow creates its outputs)")
    return f"{count} partitions"


def _newest(flow: Flow, settings: Settings) -> Generation:
    root = settings.run.state_dir.resolve() / flow.name
    return find_generation(root, None, settings.run.generation)


def _generation(flow: Flow, settings: Settings, cluster: Cluster) -> str:
    """Say what the newest generation of a flow reads; a later topic needs a new generation."""
    generation = _newest(flow, settings)
    start = generation.load()
    if start is None:
        return "not started yet"
    check_start(start, flow, settings)
    grouped = [each.topic for each in flow.inputs(settings) if each.group]
    later = [topic for topic in grouped if topic not in start.offsets]
    missed = [topic for topic in later if partition_count(cluster, topic, TIMEOUT_S)]
    if missed:
        raise HeadraceError(
            f"generation {generation.number} does not read {', '.join(missed)}, which came after "
            f"its first start: headrace run {flow.name} --generation {generation.number + 1}"
        )
    return f"generation {generation.number} reads {len(start.offsets)} topics"


def _redis(settings: Settings) -> str:
    try:
        with client(settings.redis.url) as connection:
            server = cast("dict[str, Any]", connection.info())
    except redis.RedisError as error:
        raise HeadraceError(
            f"{type(error).__name__}: {error}; start it, or set redis.url"
        ) from None
    if policy := evicting(server):
        raise HeadraceError(
            f"maxmemory-policy is {policy}: it would drop what flows wrote; set noeviction"
        )
    name = "Valkey" if "valkey_version" in server else "Redis"
    return f"{name} {server.get('valkey_version', server.get('redis_version'))}"


def _postgres(settings: Settings) -> str:
    database = Database(settings.postgres.dsn)
    try:
        with database.connect() as connection:
            waiting = pending(connection, declared_outputs())
            stored = layout(connection)
    except psycopg.Error as error:
        raise HeadraceError(f"{database.masked(error)}; start it, or set postgres.dsn") from None
    if waiting:
        return f"{stored}; headrace run history will apply {', '.join(waiting)}"
    return stored
