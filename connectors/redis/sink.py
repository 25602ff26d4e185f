"""Outputs into Redis streams and latest-value hashes, idempotent by contract 2."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from pydantic import SecretStr
from redis.connection import ConnectionPool

from connectors.redis.client import Wire, command, pool
from connectors.redis.eviction import EvictionWatch
from connectors.redis.keys import Keys
from connectors.redis.lease import Lease, moment
from connectors.redis.link import NAME, Link
from connectors.redis.script import Call, calls
from state.clock import NS, now_ns
from state.errors import Fenced, ForeignMarks, KeyTaken, LostWrites
from state.lifecycle import Lifecycle
from state.metrics import LATENCY
from state.records import OutputBatch

Snapshot = tuple[str, int, str, dict[str, int]]
"""("redis", version, lineage, mark field -> counter of the last record confirmed)."""


class RedisSink(FixedPartitionedSink[OutputBatch, Snapshot]):
    """Takes ``(shard name, OutputBatch)``.

    Each partition sends in ``write_batch`` and reads the answers before its next write
    or snapshot, so that the worker does not idle for the round trip; no snapshot is made
    of what Redis has not confirmed. A server that is down is waited for.

    Raises, from any partition, LostWrites where Redis holds less than was confirmed,
    ForeignMarks where another run wrote this generation, KeyTaken where another program holds one
    of its keys, Fenced where another run began since to write it, SettingsError where the login is
    refused, Undelivered where Redis refuses a write for good, and Stopped where the process is told
    to stop while it waits.
    """

    def __init__(
        self,
        url: SecretStr,
        keys: Keys,
        lineage: str,
        stream_length: int,
        shards: Sequence[str],
        local: Sequence[str],
        lifecycle: Lifecycle,
        writer: str,
    ) -> None:
        """Write under ``keys`` the outputs of ``lineage``: a hash of their settings and start.

        ``shards`` are the names of all shards, ``local`` those of this process. A stream
        keeps about ``stream_length`` entries. ``writer`` names the run (lease.py).
        """
        self._pool = pool(url)
        self.lease = Lease(self._pool, keys, writer, lifecycle)
        self._keys = keys
        self._lineage = lineage
        self._stream_length = stream_length
        self._order = {name: index for index, name in enumerate(sorted(shards))}
        self._local = list(local)
        self._lifecycle = lifecycle
        self._eviction = EvictionWatch(self._pool, lifecycle)

    def list_parts(self) -> list[str]:
        """Return the shards of this process."""
        return self._local

    def part_fn(self, item_key: str) -> int:
        """Return where the shard stands in Bytewax's sorted list of all partitions."""
        return self._order[item_key]

    def build_part(
        self, step_id: str, for_part: str, resume_state: Snapshot | None
    ) -> RedisPartition:
        """Return a writer; one that resumes first checks that Redis still has it all."""
        self._eviction.start()
        self.lease.take()
        partition = RedisPartition(
            self._pool, self._keys, self._lineage, self._stream_length, self._lifecycle, self.lease
        )
        if resume_state is not None:
            partition.resume(resume_state)
        return partition


class RedisPartition(StatefulSinkPartition[OutputBatch, Snapshot]):
    """The writer of one shard: one connection, and the calls not yet confirmed."""

    def __init__(
        self,
        connections: ConnectionPool,
        keys: Keys,
        lineage: str,
        stream_length: int,
        lifecycle: Lifecycle,
        lease: Lease,
    ) -> None:
        self._keys = keys
        self._lineage = lineage
        self._stream_length = stream_length
        self._lease = lease
        self._link = Link(connections, keys.prefix, lifecycle)
        self._unconfirmed: deque[Call] = deque()
        self._sent = 0
        self._sent_on: Wire | None = None
        self._sent_at = 0.0
        self._marks: dict[str, int] = {}
        self._latency = LATENCY.labels(NAME)

    def write_batch(self, values: list[OutputBatch]) -> None:
        """Send the batches, after the answers to the last ones have come."""
        self._confirm()
        for batch in values:
            self._unconfirmed.extend(
                calls(batch, self._keys, self._lineage, self._stream_length, self._lease.writer)
            )
        self._link.patiently(self._send)
        sent_ns = now_ns()
        for batch in values:
            if batch.timestamp_ns:
                self._latency.observe((sent_ns - batch.timestamp_ns) / NS)

    def snapshot(self) -> Snapshot:
        """Return the confirmed marks; waits for the answers that are still to come."""
        self._confirm()
        return (NAME, 1, self._lineage, self._marks.copy())

    def close(self) -> None:
        """Hang up; what is not confirmed is in no snapshot either, so it will be sent again.

        Nothing may wait or raise here: after another part has failed, an exception while
        Bytewax closes what is open would abort the process.
        """
        self._link.hang_up()

    def resume(self, state: Snapshot) -> None:
        """Take over a snapshot's marks. Raises LostWrites where Redis is behind them."""
        _, _, lineage, marks = state
        if lineage != self._lineage or not marks:
            return
        self._marks = marks.copy()
        fields = list(marks)

        def ask(wire: Wire) -> list[bytes | None]:
            wire.send_packed_command([command("HMGET", self._keys.marks, *fields)])
            held: list[bytes | None] = wire.read_response()
            return held

        for field, found in zip(fields, self._link.patiently(ask), strict=True):
            if int(found or 0) < marks[field]:
                output, _, origin = field.rpartition("/")
                raise LostWrites(NAME, output, origin, int(found or 0), marks[field])

    def _confirm(self) -> None:
        """Read the answer to every call that was sent, sending again as often as it takes."""
        if self._unconfirmed:
            self._link.patiently(self._read_answers)

    def _send(self, wire: Wire) -> None:
        """Send the calls that this connection has not sent.

        Those that were carried out are recognised by their marks when they are sent again.
        """
        if wire is not self._sent_on:
            self._sent, self._sent_on = 0, wire
        if self._sent < len(self._unconfirmed):
            self._sent_at = moment()
            unsent = islice(self._unconfirmed, self._sent, None)
            wire.send_packed_command([call.payload for call in unsent])
            self._sent = len(self._unconfirmed)

    def _read_answers(self, wire: Wire) -> None:
        self._send(wire)
        # In order, up to the first that failed: a later call of the same origin then fails too,
        # with a gap that is not Redis's fault, and both are sent again.
        while self._unconfirmed:
            answer: list[bytes] = wire.read_response()
            call = self._unconfirmed[0]
            self._judge(call, answer)
            self._marks[f"{call.output}/{call.origin}"] = call.last
            self._unconfirmed.popleft()
            self._sent -= 1
            self._lease.confirmed(self._sent_at)

    def _judge(self, call: Call, answer: list[bytes]) -> None:
        """Raise what the script found wrong."""
        if answer[0] == b"taken":
            raise KeyTaken(*(part.decode(errors="replace") for part in answer[1:]))
        if answer[0] == b"lost":
            raise LostWrites(NAME, call.output, call.origin, int(answer[1]), call.first - 1)
        if answer[0] == b"foreign":
            raise ForeignMarks(NAME, call.output, call.origin, answer[1].decode(), self._lineage)
        if answer[0] == b"fenced":
            raise Fenced(self._keys.system, self._keys.generation, answer[1].decode())
