"""A Bytewax source that reads a recording as the Kafka source reads a topic.

A source partition is a shard, with the same names and the same partitions as live, and
emits ``(shard name, block)``. The partitions of a shard advance together by timestamp;
how many messages a block has, and how partitions interleave, changes no result.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from connectors.kafka.plan import BlockT
from connectors.pacing import Pacing
from replay.interleave import Speed, Stream, next_ns, take
from replay.recording import Recording
from replay.rows import to_block
from state.clock import NS
from state.records import Messages
from state.shards import shard_names

_END_OF_TIME_NS = (1 << 63) - 1


Offsets = dict[int, int]
"""The next offset to read of each partition."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a recording is read.

    At most ``batch`` messages a block, no partition far ahead of the others (``pacing``),
    and by the clock where ``speed`` is given.
    """

    batch: int
    pacing: Pacing
    speed: Speed | None = None
    advance: Callable[[int], None] = lambda count: None
    """Told how many messages were read."""


class RecordingSource(FixedPartitionedSource[tuple[str, BlockT], Offsets], Generic[BlockT]):
    """Emits one topic of a recording, block by block, then ends."""

    def __init__(
        self,
        recording: Recording,
        topic: str,
        shards: int,
        decode: Callable[[Messages], BlockT],
        pace: Pace,
    ) -> None:
        """Read ``topic``; raises Misuse where the recording does not hold it."""
        recording.only_topic(topic)
        self._recording = recording
        self._topic = topic
        self._names = shard_names(shards)
        self._decode = decode
        self._pace = pace

    def list_parts(self) -> list[str]:
        """Return the shards; all of them are in this process."""
        return list(self._names)

    def build_part(
        self, step_id: str, for_part: str, resume_state: Offsets | None
    ) -> StatefulSourcePartition[tuple[str, BlockT], Offsets]:
        """Return the reader of one shard, from the offsets of a snapshot if given."""
        count = self._recording.partitions[self._topic]
        resume = resume_state or {}
        reader = self._recording.reader()
        owned = range(self._names.index(for_part), count, len(self._names))
        streams = [
            Stream(self._recording, reader, self._topic, partition, resume.get(partition, 0))
            for partition in owned
        ]
        # A decoder keeps tables, and live each process has its own: here each shard has,
        # since shards run in threads.
        return _Shard(for_part, count, streams, copy.deepcopy(self._decode), self._pace)


class _Shard(StatefulSourcePartition[tuple[str, BlockT], Offsets], Generic[BlockT]):
    def __init__(
        self,
        name: str,
        partitions: int,
        streams: list[Stream],
        decode: Callable[[Messages], BlockT],
        pace: Pace,
    ) -> None:
        self._name = name
        self._partitions = partitions
        self._streams = streams
        self._live = streams
        self._decode = decode
        self._pace = pace
        self._awake: datetime | None = None

    def next_batch(self) -> list[tuple[str, BlockT]]:
        """Return the next block, or nothing where none is due."""
        self._awake = None
        self._retire()
        if not self._live:
            raise StopIteration
        pacing, speed = self._pace.pacing, self._pace.speed
        open_ = [stream for stream in self._live if not pacing.paused(stream.partition)]
        position = self.snapshot()
        due_ns = None if speed is None else speed.due_ns()
        taken = take(open_, self._pace.batch, due_ns) if open_ else []
        if not taken:
            if speed and open_:
                self._awake = datetime.fromtimestamp(speed.when_ns(next_ns(open_)) / NS, UTC)
            return []
        topic = taken[0][0].topic
        rows = [rows for _, rows in taken]
        block = self._decode(to_block(topic, self._partitions, rows, position))
        for partition, newest_ns in block.newest.items():
            pacing.update(partition, newest_ns, block.least.get(partition))
        self._pace.advance(sum(map(len, rows)))
        return [(self._name, block)]

    def _retire(self) -> None:
        """Forget the partitions that have ended; nobody waits for them any more."""
        for stream in self._live:
            if stream.ended:
                self._pace.pacing.update(stream.partition, _END_OF_TIME_NS)
        self._live = [stream for stream in self._live if not stream.ended]

    def next_awake(self) -> datetime | None:
        """Return when the next message is due, where that is known."""
        return self._awake

    def snapshot(self) -> Offsets:
        """Return the next offset of each partition."""
        return {stream.partition: stream.offset for stream in self._streams}
