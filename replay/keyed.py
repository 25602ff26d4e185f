"""Messages by their key into the partitions of one topic of a recording."""

from __future__ import annotations

from replay.heartbeats import end_partitions
from replay.message import Message
from replay.partitioner import partition_of
from replay.writer import RecordingWriter, rows_content

_ROWS, _BYTES = 4096, 4 << 20
"""A partition's messages go to the writer once they are so many, or that large."""


class KeyedWriter:
    """Gives each message its partition, by its key as Kafka's Java client does, and its offset."""

    def __init__(self, writer: RecordingWriter, topic: str, partitions: int) -> None:
        self._writer = writer
        self._topic = topic
        self._offsets = [0] * partitions
        self._newest = [0] * partitions
        self._bytes = [0] * partitions
        self._waiting: list[list[Message]] = [[] for _ in range(partitions)]
        self._last_ns = 0

    @property
    def count(self) -> int:
        """The number of messages, without heartbeats."""
        return sum(self._offsets)

    def add(self, key: bytes, timestamp_ns: int | None, value: bytes) -> None:
        """Take in the next message.

        Without a time of its own it has that of the message before it in its partition, else 0.
        """
        partition = partition_of(key, len(self._offsets))
        if timestamp_ns is None:
            timestamp_ns = self._newest[partition]
        self._newest[partition] = timestamp_ns
        self._last_ns = max(self._last_ns, timestamp_ns)
        offset = self._offsets[partition]
        waiting = self._waiting[partition]
        waiting.append(Message(self._topic, partition, offset, timestamp_ns, key, value))
        self._offsets[partition] += 1
        self._bytes[partition] += len(value)
        if len(waiting) == _ROWS or self._bytes[partition] > _BYTES:
            self._flush(partition)

    def end(self) -> None:
        """Write what waits, and end each partition with a heartbeat."""
        for partition in range(len(self._waiting)):
            self._flush(partition)
        end_partitions(self._writer, self._topic, self._offsets, self._last_ns)

    def _flush(self, partition: int) -> None:
        self._writer.write(self._topic, partition, rows_content(self._waiting[partition]))
        self._waiting[partition] = []
        self._bytes[partition] = 0
