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
from flows.config import add_config_argument, load_settings
from flows.generation import find_generation
from flows.history import OF_TRADING
from flows.live import cluster_of
from flows.settings import Settings
from flows.systems import output_topic
from state.errors import HeadraceError, SettingsError
from state.outputs import DEAD, OUTPUTS

TIMEOUT_S = 5.0


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
        partition_count(cluster, settings.market.topic, TIMEOUT_S)
    except HeadraceError as error:
        yield Finding("kafka", ok=False, said=str(error))
        return
    yield Finding("kafka", ok=True, said=settings.kafka.bootstrap)
    orders = partition_count(cluster, "market.orders", TIMEOUT_S) > 0
    for topic in _topics(settings, orders=orders):
        yield _look(f"topic {topic}", partial(_topic, cluster, topic))
    yield _look("history", partial(_history, cluster, settings))


def _topics(settings: Settings, *, orders: bool) -> list[str]:
    """Return the topics that there should be; ``orders``: whether there are any to be checked."""
    names = [settings.market.topic]
    for system, outputs in OUTPUTS.items():
        if system == "trading" and not orders:
            continue  # nobody trades here
        names += [output_topic(system, output.name) for output in outputs]
        names.append(output_topic(system, DEAD))
    return [*names, output_topic("history", DEAD)]


def _topic(cluster: Cluster, topic: str) -> str:
    count = partition_count(cluster, topic, TIMEOUT_S)
    if not count:
        raise HeadraceError("missing: create it (the first run of a flow creates its outputs)")
    return f"{count} partitions"


def _history(cluster: Cluster, settings: Settings) -> str:
    root = settings.run.state_dir.resolve() / "history"
    generation = find_generation(root, None, settings.run.generation)
    start = generation.load()
    if start is None:
        return "not started yet"
    later = [topic for topic in OF_TRADING if topic not in start.offsets]
    missed = [topic for topic in later if partition_count(cluster, topic, TIMEOUT_S)]
    if missed:
        raise HeadraceError(
            f"generation {generation.number} does not read {', '.join(missed)}, which came after "
            f"its first start: headrace run history --generation {generation.number + 1}"
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
    if server.get("maxmemory") and server.get("maxmemory_policy") != "noeviction":
        raise HeadraceError(
            f"maxmemory-policy is {server['maxmemory_policy']}: it would drop what flows wrote; "
            "set noeviction"
        )
    name = "Valkey" if "valkey_version" in server else "Redis"
    return f"{name} {server.get('valkey_version', server.get('redis_version'))}"


def _postgres(settings: Settings) -> str:
    database = Database(settings.postgres.dsn)
    try:
        with database.connect() as connection:
            waiting = pending(connection)
            stored = layout(connection)
    except psycopg.Error as error:
        raise HeadraceError(f"{database.masked(error)}; start it, or set postgres.dsn") from None
    if waiting:
        return f"{stored}; headrace run history will apply {', '.join(waiting)}"
    return stored
