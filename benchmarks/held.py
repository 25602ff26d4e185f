"""What the sinks hold, as comparable lines: tables, hashes, streams by origin, exported files."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

import psycopg
from psycopg import sql

from benchmarks.everything import INPUTS
from benchmarks.rig import Rig
from connectors.kafka.sink import COUNTER_HEADER
from connectors.postgres.tables import tables_of
from connectors.redis.reader import RedisReader
from flows.engine.systems import output_topic
from replay.topics import held_messages
from state.market.outputs import MARKET, OUTPUTS
from state.records import ORIGIN_HEADER

Held = dict[str, list[str]]
"""The name of a part -> its lines in order."""

EXPORTED = "export "
"""What the names of exported files begin with."""


def held(rig: Rig, directory: Path) -> Held:
    """Return all that market and history have written; ``directory`` gets the export."""
    rig.headrace("export", "market", "--out", str(directory))
    return {**_tables(rig), **_redis(rig), **files(directory)}


def files(directory: Path) -> Held:
    """Return the canonical files that export or replay wrote."""
    return {
        f"{EXPORTED}{path.relative_to(directory)}": path.read_text().splitlines()
        for path in sorted(directory.rglob("*.jsonl"))
    }


def differences(expected: Held, found: Held) -> list[str]:
    """Return a sentence for each part that differs, telling the first difference."""
    told = []
    for part in sorted(expected.keys() | found.keys()):
        pairs = zip_longest(expected.get(part, []), found.get(part, []))
        for number, (wanted, got) in enumerate(pairs, start=1):
            if wanted != got:
                sizes = f"{len(expected.get(part, []))} and {len(found.get(part, []))} lines"
                told.append(f"{part} ({sizes}), line {number}: expected {wanted}, found {got}")
                break
    return told


def repeats(rig: Rig) -> dict[str, int]:
    """Return how many messages of each output topic repeat a counter: what was replayed."""
    found = {}
    for output in MARKET:
        counters = [
            dict(message.headers)[COUNTER_HEADER]
            for messages in held_messages(output_topic("market", output.name), rig.cluster)
            for message in messages
        ]
        found[output.name] = len(counters) - len(set(counters))
    return found


@dataclass(frozen=True)
class Arrival:
    """How the input came to lie in its topics, against the recording it was published from."""

    messages: int
    repeated: int
    """Messages that a producer wrote again, as it may when its broker is killed."""
    moved: int
    """Messages behind one that the recording has after them."""

    def is_faithful(self, published: int) -> bool:
        """Say whether the topics hold the recording, in its order, and nothing else."""
        return (self.messages, self.repeated, self.moved) == (published, 0, 0)


def arrival(rig: Rig) -> Arrival:
    """Return how the input lies in its topics.

    Where it is not faithful, the run had another input than the run in peace, and only a
    replay of those very topics can tell what should have come of it.
    """
    messages = repeated = moved = 0
    newest: dict[bytes, int] = {}
    seen: set[bytes] = set()
    for topic in INPUTS:
        for message in chain.from_iterable(held_messages(topic, rig.cluster)):
            origin = dict(message.headers)[ORIGIN_HEADER]
            partition, _, digits = origin.rpartition(b"/")
            offset = int(digits)
            messages += 1
            repeated += origin in seen
            moved += origin not in seen and offset < newest.get(partition, -1)
            seen.add(origin)
            newest[partition] = max(offset, newest.get(partition, -1))
    return Arrival(messages, repeated, moved)


def _tables(rig: Rig) -> Held:
    """Return every row of every table of history, all columns, in the order of its identity."""
    found: Held = {}
    with psycopg.connect(rig.postgres.dsn) as connection, connection.cursor() as cursor:
        for table in tables_of(OUTPUTS).values():
            # COPY gives each value as text that reads back as the same value.
            query = sql.SQL(
                "COPY (SELECT * FROM {} ORDER BY generation, time, id) TO STDOUT"
            ).format(sql.Identifier(table.name))
            with cursor.copy(query) as copy:
                found[f"table {table.name}"] = [bytes(row).decode().rstrip() for row in copy]
    return found


def _redis(rig: Rig) -> Held:
    """Return the latest values, the marks, and each stream by origin without its ids."""
    reader = RedisReader(rig.settings.redis.url, "market")
    found: Held = {"marks": [f"{field} {mark}" for field, mark in reader.marks().items()]}
    for output in MARKET:
        latest = reader.latest(output.name)
        found[f"latest {output.name}"] = [f"{k} {v.decode()}" for k, v in latest.items()]
        for entry in reader.entries(output.name):
            part = found.setdefault(f"stream {output.name} of {entry.origin}", [])
            part.append(f"{entry.counter} {entry.id} {entry.value.decode()}")
    reader.close()
    return found
