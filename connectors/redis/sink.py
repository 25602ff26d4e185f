"""Outputs into Redis streams and latest-value hashes, idempotent by contract 2."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import TypeVar

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from pydantic import SecretStr
from redis import exceptions
from redis.connection import ConnectionPool

from connectors.redis.client import Wire, command, connect, pool
from connectors.redis.eviction import EvictionWatch
from connectors.redis.keys import Keys
from connectors.redis.script import APPEND, Call, calls
from connectors.waiting import Outage
from state.clock import NS, now_ns
from state.errors import ForeignMarks, KeyTaken, LostWrites, SettingsError, Undelivered
from state.lifecycle import Lifecycle
from state.metrics import LATENCY
from state.records import OutputBatch

NAME = "redis"
Snapshot = tuple[str, int, str, dict[str, int]]
"""("redis", version, lineage, mark field -> counter of the last record confirmed)."""
Answer = TypeVar("Answer")

_DOWN = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.OutOfMemoryError,
    exceptions.ReadOnlyError,
    exceptions.NoScriptError,
    exceptions.ClusterDownError,
    exceptions.TryAgainError,
)
_DOWN_CODES = ("BUSY ", "MISCONF ", "NOREPLICAS ", "UNKILLABLE ")
_REFUSED_LOGIN = (
    exceptions.AuthenticationError,
    exceptions.AuthorizationError,
    exceptions.AuthenticationWrongNumberOfArgsError,
)


class RedisSink(FixedPartitionedSink[OutputBatch, Snapshot]):
    """Takes ``(shard name, OutputBatch)``.

    Each partition sends in ``write_batch`` and reads the answers before its next write
    or snapshot, so that the worker does not idle for the round trip; no snapshot is made
    of what Redis has not confirmed. A server that is down is waited for.

    Raises, from any partition, LostWrites where Redis holds less than was confirmed,
    ForeignMarks where another run wrote this generation, KeyTaken where another program holds one
    of its keys, SettingsError where the login is
    refused, Undelivered where Redis refuses a write for good, and Stopped where the
    process is told to stop while it waits.
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
    ) -> None:
        """Write under ``keys`` as the run ``lineage``: a hash of its settings and start.

        ``shards`` are the names of all shards, ``local`` those of this process. A stream
        keeps about ``stream_length`` entries.
        """
        self._pool = pool(url)
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
        partition = RedisPartition(
            self._pool, self._keys, self._lineage, self._stream_length, self._lifecycle
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
    ) -> None:
        self._pool = connections
        self._keys = keys
        self._lineage = lineage
        self._stream_length = stream_length
        self._outage = Outage(NAME, lifecycle)
        self._wire: Wire | None = None
        self._unconfirmed: deque[Call] = deque()
        self._sent = 0
        self._marks: dict[str, int] = {}
        self._latency = LATENCY.labels(NAME)

    def write_batch(self, values: list[OutputBatch]) -> None:
        """Send the batches, after the answers to the last ones have come."""
        self._confirm()
        for batch in values:
            self._unconfirmed.extend(calls(batch, self._keys, self._lineage, self._stream_length))
        self._patiently(self._send)
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
        self._hang_up()

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

        for field, found in zip(fields, self._patiently(ask), strict=True):
            if int(found or 0) < marks[field]:
                output, _, origin = field.rpartition("/")
                raise LostWrites(NAME, output, origin, int(found or 0), marks[field])

    def _confirm(self) -> None:
        """Read the answer to every call that was sent, sending again as often as it takes."""
        if self._unconfirmed:
            self._patiently(self._read_answers)

    def _patiently(self, action: Callable[[Wire], Answer]) -> Answer:
        """Return what ``action`` returns once the server does its part."""
        while True:
            try:
                with self._outage.lifecycle.calling(NAME):
                    if self._wire is None:
                        self._wire = connect(self._pool, APPEND)
                    answer = action(self._wire)
            except _REFUSED_LOGIN:
                raise SettingsError(
                    "Redis refuses the login: set the user and password in HEADRACE_REDIS__URL"
                ) from None
            except _DOWN as error:
                self._hang_up()
                self._outage.wait(f"{type(error).__name__}: {error}")
            except exceptions.ResponseError as error:
                self._hang_up()
                if not str(error).startswith(_DOWN_CODES):
                    raise Undelivered(self._keys.prefix, _code(error)) from None
                self._outage.wait(str(error))
            else:
                self._outage.over()
                return answer

    def _hang_up(self) -> None:
        """Drop the connection, and with it the answers that are on their way.

        The calls that were carried out are recognised by their marks when sent again.
        """
        self._sent = 0
        if self._wire is not None:
            self._wire.disconnect()
            self._wire = None

    def _send(self, wire: Wire) -> None:
        """Send the calls that this connection has not sent."""
        if self._sent < len(self._unconfirmed):
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

    def _judge(self, call: Call, answer: list[bytes]) -> None:
        """Raise what the script found wrong."""
        if answer[0] == b"taken":
            raise KeyTaken(*(part.decode(errors="replace") for part in answer[1:]))
        if answer[0] == b"lost":
            raise LostWrites(NAME, call.output, call.origin, int(answer[1]), call.first - 1)
        if answer[0] == b"foreign":
            raise ForeignMarks(NAME, call.output, call.origin, answer[1].decode(), self._lineage)


def _code(error: exceptions.ResponseError) -> str:
    """Return the class and code of an error; the rest may repeat a record's content."""
    return f"{type(error).__name__} {str(error).partition(' ')[0]}"
