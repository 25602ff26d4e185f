"""What the sinks hold, as comparable lines: tables, hashes, streams, topics, exported files."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

import psycopg
from psycopg import sql

from benchmarks.rig import Rig
from benchmarks.subject import Subject
from connectors.kafka.client import Cluster
from connectors.kafka.sink import COUNTER_HEADER
from connectors.postgres.tables import tables_of
from connectors.redis.reader import RedisReader
from flows.engine.systems import declared_outputs
from replay.topics import held_messages
from state.records import ORIGIN_HEADER

Held = dict[str, list[str]]
"""The name of a part -> its lines in order."""

EXPORTED = "export "
"""What the names of exported files begin with."""
_SKIPPED = re.compile(r"(\d+) records are in their topics already")


def held(rig: Rig, subject: Subject, directory: Path) -> Held:
    """Return all that a system and history have written; ``directory`` gets the export."""
    rig.headrace("export", subject.system, "--out", str(directory))
    topics = _topics(rig.cluster, subject)
    return {**_tables(rig), **_redis(rig, subject), **topics, **files(directory)}


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


def _topics(cluster: Cluster, subject: Subject) -> Held:
    """Return what a plain consumer finds in the output topics from the beginning.

    It drops nothing, so a repetition is a line more and a gap one less. The records of an origin
    come in the order of their counters; one behind a later one of its partition says so.
    """
    found: Held = {}
    for output in subject.outputs:
        lines = defaultdict[str, list[tuple[int, str]]](list)
        newest: dict[tuple[str, int], int] = {}
        for message in chain.from_iterable(held_messages(output.topic, cluster)):
            where = dict(message.headers)[COUNTER_HEADER].decode()
            origin, _, digits = where.rpartition("/")
            at, counter = (origin, message.partition), int(digits)
            order = "" if counter > newest.get(at, 0) else " behind a later one"
            newest[at] = max(counter, newest.get(at, 0))
            text = f"{counter} {message.key!r} {(message.value or b'').decode()}{order}"
            lines[origin].append((counter, text))
        for origin, each in lines.items():
            found[f"topic {output.topic} of {origin}"] = [text for _, text in sorted(each)]
    if not subject.answered:
        return found
    # An answer's counter is its request's place, which is not the same in each run.
    answers = chain.from_iterable(held_messages(subject.answered, cluster))
    return found | {
        f"topic {subject.answered}": sorted((each.value or b"").decode() for each in answers)
    }


def skipped(log: Path) -> int:
    """Return how many records a flow did not write again, by its log: restarts found them."""
    return sum(int(count) for count in _SKIPPED.findall(log.read_text(errors="replace")))


@dataclass(frozen=True)
class Arrival:
    """How the input came to lie in its topics, against the recording it was published from."""

    messages: int
    repeated: int
    """Messages that a producer wrote again, as it may when its broker is killed."""
    moved: int
    """Messages behind one that the recording has after them."""
    lost: int = 0
    """Messages that were acknowledged and are nowhere."""

    def is_faithful(self, published: int) -> bool:
        """Say whether the topics hold the recording, in its order, and nothing else."""
        return (self.messages, self.repeated, self.moved, self.lost) == (published, 0, 0, 0)


def arrival(rig: Rig, topics: Iterable[str]) -> Arrival:
    """Return how input that was published lies in its topics.

    Where it is not faithful, the run had another input than the run in peace, and only a
    replay of those very topics can tell what should have come of it.
    """
    messages = repeated = moved = 0
    newest: dict[bytes, int] = {}
    seen: set[bytes] = set()
    for topic in topics:
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
        for table in tables_of(declared_outputs()).values():
            # COPY gives each value as text that reads back as the same value.
            query = sql.SQL(
                "COPY (SELECT * FROM {} ORDER BY generation, time, id) TO STDOUT"
            ).format(sql.Identifier(table.name))
            with cursor.copy(query) as copy:
                found[f"table {table.name}"] = [bytes(row).decode().rstrip() for row in copy]
    return found


def _redis(rig: Rig, subject: Subject) -> Held:
    """Return the latest values, the marks, and each stream by origin without its ids."""
    reader = RedisReader(rig.settings.redis.url, subject.system)
    found: Held = {"marks": [f"{field} {mark}" for field, mark in reader.marks().items()]}
    for output in subject.outputs:
        latest = reader.latest(output.name)
        found[f"latest {output.name}"] = [f"{k} {v.decode()}" for k, v in latest.items()]
        for entry in reader.entries(output.name):
            part = found.setdefault(f"stream {output.name} of {entry.origin}", [])
            part.append(f"{entry.counter} {entry.id} {entry.value.decode()}")
    reader.close()
    return found
