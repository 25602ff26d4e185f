"""After a rotation of keys: seal anew what rests, and count what still names a former key."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pyarrow as pa
import redis

from connectors.kafka.client import Cluster
from connectors.kafka.topics import partition_count
from connectors.postgres.client import Database, refusal
from connectors.redis.client import client
from flows.engine import resealing
from flows.engine.cluster import cluster_of
from flows.engine.context import Flow
from flows.engine.flows import find_flow
from flows.engine.generation import Generation
from flows.engine.resealing import Count
from flows.engine.systems import output_topic
from flows.settings.settings import Settings
from replay.reads import count_reasons
from replay.resealing import reseal_file
from replay.rewrap import names_former_key, rewrap
from replay.topics import held_messages
from state.errors import HeadraceError
from state.key_file import key_file
from state.outputs import DEAD
from state.sealed_files import is_closed, reclose_file
from state.sealed_values import key_of, keys_of_letter
from state.sealing import Seal, closing_key, letter_purpose

_FAULTS = (HeadraceError, OSError, sqlite3.Error, redis.RedisError, psycopg.Error, pa.ArrowInvalid)
"""What may be wrong with one place; all else is a fault of ours."""


class Rotation:
    """Counts what names a former key, place by place; where it ``reseals``, it changes that first.

    A place that cannot be used is told in one line, and does not hold up the others.
    """

    def __init__(self, seal: Seal, *, reseals: bool) -> None:
        self._seal = seal
        self._reseals = reseals
        self._failed = False
        self._counts: list[Count] = []

    def recordings(self, paths: Sequence[Path]) -> None:
        """Take recordings, of which the data keys alone are sealed anew."""
        count = Count("recordings", 0, len(paths))
        for path in paths:
            count.former += not self._rewrapped(path)
        if paths:
            self._counts.append(count)

    def files(self, topics: Mapping[Path, str]) -> None:
        """Take files of a replay or an export, each with the topic of what it holds."""
        for path, topic in topics.items():
            with self._counting(f"lines of {path}") as count:
                reseal_file(path, topic, count, self._seal, reseals=self._reseals)

    def tables(self, purposes: Mapping[Path, str]) -> None:
        """Take files that are sealed whole, each with what it was sealed for."""
        for path, purpose in purposes.items():
            with self._counting(f"tables in {path}") as count:
                if self._reseals and closing_key(path.read_bytes()) != self._seal.key_id:
                    reclose_file(path, self._seal, purpose)
                count.add(self._seal.key_id, closing_key(path.read_bytes()))

    def audits(self, paths: Iterable[Path]) -> None:
        """Take audits of reads, of which the reasons are sealed: nobody can change these."""
        for path in paths:
            with self._counting(f"reasons in {path}") as count:
                count_reasons(path, count, self._seal.key_id)

    def system(self, name: str, settings: Settings) -> None:
        """Take what a flow keeps: snapshots, Redis, PostgreSQL, and its topics, which age out.

        So are files beside the key file that have its name, and the gateway's audit of reads.
        """
        flow = find_flow(name)
        self.tables({path: path.name for path in sorted(key_file().parent.glob(f"{name}.*"))
                     if is_closed(path)})  # fmt: skip
        self.audits(filter(Path.exists, [settings.feed.audit]))
        self._snapshots(settings.run.state_dir.resolve() / flow.name)
        self._redis(flow, settings)
        self._postgres(flow, settings)
        self._topics(flow, settings)

    def said(self) -> int:
        """Print the counts; return the exit code: 0 only where all was counted, and is 0."""
        for each in self._counts:
            print(f"{each.former} of {each.sealed} {each.what} name a key from before "
                  f"{self._seal.key_id}")  # fmt: skip
        return 1 if self._failed or any(each.former for each in self._counts) else 0

    @contextmanager
    def _counting(self, what: str) -> Iterator[Count]:
        """Count one place; an error is told, and what was counted before it stands."""
        count = Count(what)
        try:
            yield count
        except _FAULTS as error:
            self._failed = True
            print(f"headrace: keys: {what}: {fault(error)}", file=sys.stderr)
        self._counts.append(count)

    def _rewrapped(self, path: Path) -> bool:
        """Seal the data keys of a recording with the active key; return whether they name it."""
        try:
            if self._reseals and names_former_key(path, self._seal):
                rewrap(path, self._seal)
            return not names_former_key(path, self._seal)
        except _FAULTS as error:
            print(f"headrace: keys: {path}: {fault(error)}", file=sys.stderr)
            return False

    def _snapshots(self, root: Path) -> None:
        for path in sorted(root.glob("[0-9]*/recovery")):
            generation = Generation(root, int(path.parent.name))
            with self._counting(f"snapshots of {root.name}, generation {generation.number}") as n:
                if self._reseals:
                    with generation.locked():
                        resealing.snapshots(path, n, self._seal, reseals=True)
                else:
                    resealing.snapshots(path, n, self._seal, reseals=False)

    def _redis(self, flow: Flow, settings: Settings) -> None:
        connection, seal = client(settings.redis.url), self._seal
        secret = [output for output in flow.outputs if output.secret]
        with connection, self._counting("latest values in Redis") as count:
            for keys in resealing.generations(connection, flow.name):
                for output in secret:
                    resealing.latest(connection, keys, output, count, seal, reseals=self._reseals)
        with connection, self._counting("entries of streams in Redis") as count:
            for keys in resealing.generations(connection, flow.name):
                for output in secret:
                    resealing.stream(connection, keys, output, count, seal.key_id)

    def _postgres(self, flow: Flow, settings: Settings) -> None:
        database, seal = Database(settings.postgres.dsn), self._seal
        with self._counting("rows in PostgreSQL") as count, database.connect() as connection:
            for output in flow.outputs:
                if output.secret:
                    resealing.table(connection, output, count, seal, reseals=self._reseals)

    def _topics(self, flow: Flow, settings: Settings) -> None:
        cluster = cluster_of(settings.kafka)
        named = [each.topic for each in flow.inputs(settings)]
        named += [each.topic for each in flow.outputs if each.secret]
        for topic in named:
            self._topic(topic, cluster, lambda value: {key_of(value)})
        purpose = letter_purpose(flow.name)
        self._topic(
            output_topic(flow.name, DEAD),
            cluster,
            lambda value: keys_of_letter(value, self._seal, purpose),
        )

    def _topic(self, topic: str, cluster: Cluster, named: Callable[[bytes], set[str]]) -> None:
        with self._counting(f"messages of {topic}") as count:
            if not partition_count(cluster, topic):
                return
            for messages in held_messages(topic, cluster):
                for message in messages:
                    count.add(self._seal.key_id, *named(message.value or b""))


def fault(error: Exception) -> str:
    """Return what went wrong on one line, without the data that a database may repeat."""
    if isinstance(error, psycopg.Error) and error.sqlstate is not None:
        # What is wrong with a statement names tables and columns, what with a row its content.
        stated = error.sqlstate.startswith("42") and error.diag.message_primary
        return f"PostgreSQL refuses it: {stated or refusal(error)}"
    return " ".join(str(error).split()) or type(error).__name__
