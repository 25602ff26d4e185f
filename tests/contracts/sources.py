"""The contract of every source: each message once and in order, through any restart.

A source joins by being listed in test_sources.py.
"""

from __future__ import annotations

import ast
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from hypothesis import strategies as st

from replay.message import Message
from replay.partitioner import partition_of
from state.records import HEARTBEAT_HEADER, Header, Messages
from tests.waiting import PATIENCE_S

PARTITIONS, SHARDS, BATCH = 5, 2, 16
COUNT = 600

Restart = tuple[int, int]
"""After so many blocks there is a snapshot, and so many blocks later the source is killed."""
restarts = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 6)), max_size=4)


@dataclass
class Seen:
    """A block with everything that a source says of its messages."""

    messages: Messages
    rows: list[Message]
    ranges: dict[int, tuple[int, int]]
    newest: dict[int, int] = field(default_factory=dict)
    least: dict[int, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)


def decode(messages: Messages) -> Seen:
    """Return the messages as they were taken; a heartbeat moves the partition's time."""
    partitions, offsets = messages.partition.tolist(), messages.offset.tolist()
    times_ns = messages.timestamp_ns.tolist()
    rows = [
        Message(
            messages.topic,
            partitions[row],
            offsets[row],
            times_ns[row],
            messages.keys[row],
            messages.value(row),
            tuple(messages.headers.get(row, ())),
        )
        for row in range(len(messages))
    ]
    assert messages.keyed.tolist() == [row.key is not None for row in rows]
    seen = Seen(messages, rows, messages.ranges)
    for row in rows:
        beat = dict(row.headers).get(HEARTBEAT_HEADER)
        if beat is not None:
            at_ns = int.from_bytes(beat, "big")
            seen.newest[row.partition] = max(at_ns, seen.newest.get(row.partition, at_ns))
    return seen


def messages(topic: str, seed: int) -> list[Message]:
    """Return messages of all shapes: keys, none, headers, heartbeats, empty and large values."""
    rng = random.Random(seed)
    ends = [0] * PARTITIONS
    made = []
    for n in range(COUNT):
        key = rng.choice((b"k%d" % rng.randrange(9), None, b""))
        p = rng.randrange(PARTITIONS) if key is None else partition_of(key, PARTITIONS)
        value = rng.choice((b"%d" % n, b"", bytes(rng.randrange(20_000))))
        headers: list[Header] = []
        if rng.random() < 0.2:
            headers = [("a", b"%d" % n), ("empty", b""), ("a", b"again")]
        elif rng.random() < 0.1:
            value, headers = b"", [(HEARTBEAT_HEADER, (n * 10**9).to_bytes(8, "big"))]
        at_ns = (1_700_000_000_000 + n) * 1_000_000
        made.append(Message(topic, p, ends[p], at_ns, key, value, tuple(headers)))
        ends[p] += 1
    return made


def check(
    make: Callable[[], FixedPartitionedSource[Any, Any]], given: list[Message], plan: list[Restart]
) -> None:
    """Check that every shard tells its messages once, whatever befalls it on the way."""
    names = make().list_parts()
    assert len(names) == SHARDS
    for index, name in enumerate(names):
        wanted = [message for message in given if message.partition % SHARDS == index]
        found = _Reading(make, name, len(wanted)).through(plan)
        for p in range(index, PARTITIONS, SHARDS):
            told = [row for row in found if row.partition == p]
            assert told == [message for message in wanted if message.partition == p]
        assert len(found) == len(wanted)


class _Reading:
    """Reads one shard to its end."""

    def __init__(
        self, make: Callable[[], FixedPartitionedSource[Any, Any]], name: str, count: int
    ) -> None:
        self._make = make
        self._name = name
        self._count = count
        self._kept: list[Message] = []
        """What is behind the state."""
        self._state: Any = None

    def through(self, plan: list[Restart]) -> list[Message]:
        for before, more in plan:
            part = self._open()
            fresh = self._blocks(part, before)
            self._state = part.snapshot()
            self._kept += fresh
            assert ast.literal_eval(repr(self._state)) == self._state, "no plain values"
            as_it_was = repr(self._state)
            self._blocks(part, more)  # lost in the crash
            assert repr(self._state) == as_it_was, "a snapshot moves with its source"
            part.close()
        part = self._open()
        self._kept += self._blocks(part, COUNT)
        part.close()
        return self._kept

    def _open(self) -> StatefulSourcePartition[Any, Any]:
        return self._make().build_part("in", self._name, self._state)

    def _blocks(self, part: StatefulSourcePartition[Any, Any], most: int) -> list[Message]:
        """Return the messages of so many blocks; fewer where all have come."""
        found: list[Message] = []
        ends: dict[int, int] = {}
        deadline = time.monotonic() + PATIENCE_S
        while most and len(self._kept) + len(found) < self._count:
            assert time.monotonic() < deadline, f"{len(found)} of {self._count} messages came"
            try:
                told = part.next_batch()
            except StopIteration:
                break
            if not told:
                time.sleep(0.001)
            for name, block in told:
                most -= 1
                assert name == self._name
                assert 0 < len(block) <= BATCH
                found += block.rows
                self._check_ranges(block, ends)
        return found

    def _check_ranges(self, block: Seen, ends: dict[int, int]) -> None:
        """A range says which offsets a block covers; each begins where the one before ended."""
        for p, (first, following) in block.ranges.items():
            assert ends.get(p, first) == first
            ends[p] = following
            offsets = [row.offset for row in block.rows if row.partition == p]
            assert offsets == list(range(first, following))
        assert {row.partition for row in block.rows} == set(block.ranges)
