"""Messages of the ticks' topic into a block: JSON, frames, Avro and heartbeats, in any mix."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from connectors.market import kernels
from connectors.market.avro_ticks import MAGIC, AvroReader
from connectors.market.columns import Columns
from connectors.market.frames import Frame, encode_frame, open_frame
from connectors.market.heartbeat import heartbeat_ns
from connectors.market.interning import Interner
from connectors.market.json_ticks import parse_json, ticks_json
from connectors.market.schemas import NoSchemas, Schemas
from connectors.market.tick_columns import TickColumns
from connectors.market.ticks import tick_of
from state.errors import BadRecord, Malformed, NoKey
from state.records import (
    RETRY_HEADER,
    SEQUENCE_HEADER,
    DeadLetter,
    Messages,
)
from state.ticks import TRADE, TickBlock

DEAD = 255
"""Status of a row that has become a dead letter, beside those of the kernels."""


class TickDecoder:
    """Decodes the batches of one shard; keeps only caches between them, of strings and schemas.

    ``max_ahead_ns``: by how much an event time may exceed its message's Kafka timestamp.
    ``schemas``: where those of Avro messages are.
    """

    def __init__(self, max_ahead_ns: int, schemas: Schemas | None = None) -> None:
        self._max_ahead_ns = max_ahead_ns
        self._strings = Interner()
        self._avro = AvroReader(schemas or NoSchemas())

    def decode(self, messages: Messages) -> TickBlock:
        """Return the messages' ticks and heartbeats in order, and their dead letters.

        The block shares no memory with ``messages``. Waits while a schema that is needed cannot be
        asked for (`connectors.market.schemas`).
        """
        self._strings.start_batch()
        self._avro.start_batch()
        return _Batch(messages, self._max_ahead_ns, self._strings, self._avro).decode()


class _Batch:
    """The decoding of one batch: a row a message, then the frames' rows put between."""

    def __init__(
        self, messages: Messages, max_ahead_ns: int, strings: Interner, avro: AvroReader
    ) -> None:
        self._messages = messages
        self._max_ahead_ns = max_ahead_ns
        self._strings = strings
        self._avro = avro
        self._columns = Columns.empty(len(messages))
        self._message_of: NDArray[np.int64] | None = None
        """The message of each row; None while row i is of message i."""
        self._frames: dict[int, Frame] = {}
        self._retried: dict[int, int] = {}
        """Retried messages, with the sequence that their record had."""
        self._dead: list[DeadLetter] = []

    def decode(self) -> TickBlock:
        self._decode_json()
        self._note_retried()
        for message in np.flatnonzero(self._columns.status).tolist():
            self._finish(message)
        _ints, _floats, codes, small = self._columns.arrays
        for message, sequence in self._retried.items():
            codes[kernels.SEQUENCE, message] = sequence
            small[kernels.RETRIED, message] = 1
        if self._frames:
            self._insert_frames()
        if self._dead:
            self._drop_dead()
        return self._block()

    def _decode_json(self) -> None:
        messages = self._messages
        done = 0
        while True:
            done = kernels.decode_json(
                messages.data, messages.starts, messages.keyed, messages.timestamp_ns,
                self._max_ahead_ns, done, self._strings.table, self._columns.arrays,
                self._columns.status,
            )  # fmt: skip
            if done == len(messages):
                return
            self._strings.reserve(self._strings.capacity)

    def _note_retried(self) -> None:
        for message, headers in self._messages.headers.items():
            if any(name == RETRY_HEADER for name, _ in headers):
                try:
                    self._retried[message] = _sequence(dict(headers).get(SEQUENCE_HEADER, b"0"))
                except BadRecord as error:
                    self._bury_message(message, error)

    def _finish(self, message: int) -> None:
        """Do what the kernel has left: heartbeats, frames, Avro and all that it was not sure of."""
        columns, messages = self._columns, self._messages
        status = columns.status[message]
        try:
            if status == kernels.EMPTY:
                ts_ns = heartbeat_ns(messages, message, self._latest_ns(message))
                columns.put_heartbeat(message, ts_ns)
            elif not messages.keyed[message]:
                raise NoKey("the message has no key")
            elif status == kernels.FRAME:
                data = messages.data[messages.starts[message] : messages.starts[message + 1]]
                self._frames[message] = open_frame(data)
            elif status == kernels.ASK:
                fields = self._fields(messages.value(message))
                columns.put_tick(message, tick_of(fields, self._latest_ns(message)), self._strings)
        except BadRecord as error:
            self._bury_message(message, error)

    def _fields(self, value: bytes) -> dict[str, Any]:
        return self._avro.fields(value) if value.startswith(MAGIC) else parse_json(value)

    def _latest_ns(self, message: int) -> int:
        return int(self._messages.timestamp_ns[message]) + self._max_ahead_ns

    def _insert_frames(self) -> None:
        """Put each frame's rows in its message's place."""
        counts = np.ones(len(self._messages), np.int64)
        for message, frame in self._frames.items():
            counts[message] = frame.ticks
        firsts = np.cumsum(counts) - counts
        narrow, self._columns = self._columns, Columns.empty(int(counts.sum()))
        self._message_of = np.repeat(np.arange(len(counts)), counts)
        behind = 0
        for message, frame in sorted(self._frames.items()):
            self._columns.put_rows(int(firsts[behind]), narrow, slice(behind, message))
            self._insert_frame(message, frame, int(firsts[message]))
            behind = message + 1
        if behind < len(counts):
            self._columns.put_rows(int(firsts[behind]), narrow, slice(behind, len(counts)))

    def _insert_frame(self, message: int, frame: Frame, first: int) -> None:
        columns, latest_ns = self._columns, self._latest_ns(message)
        try:
            unsure = frame.fill(columns, first, self._strings, latest_ns)
        except BadRecord as error:
            columns.status[first : first + frame.ticks] = DEAD
            self._bury(message, 0, self._messages.value(message), error)
            return
        for sequence, fields in unsure.items():
            row = first + sequence
            try:
                columns.put_tick(row, tick_of(fields, latest_ns), self._strings)
                columns.arrays[2][kernels.SEQUENCE, row] = sequence
            except BadRecord as error:
                columns.status[row] = DEAD
                # NaN becomes null, which JSON can say.
                self._bury(message, sequence, orjson.dumps(fields), error)
        if message in self._retried:
            columns.arrays[3][kernels.RETRIED, first : first + frame.ticks] = 1

    def _drop_dead(self) -> None:
        kept = np.flatnonzero(self._columns.status == kernels.DONE)
        self._message_of = kept if self._message_of is None else self._message_of[kept]
        self._columns = self._columns.take(kept)
        self._dead.sort(key=lambda letter: letter.coordinates)

    def _bury_message(self, message: int, error: BadRecord) -> None:
        self._columns.status[message] = DEAD
        sequence = self._retried.get(message, 0)
        self._bury(message, sequence, self._messages.value(message), error)

    def _bury(self, message: int, sequence: int, value: bytes, error: BadRecord) -> None:
        messages = self._messages
        self._dead.append(
            DeadLetter(
                messages.coordinates(message)._replace(sequence=sequence),
                int(messages.timestamp_ns[message]),
                messages.keys[message],
                value,
                type(error).__name__,
                str(error),
            )
        )

    def _block(self) -> TickBlock:
        messages, strings = self._messages, self._strings
        ints, floats, codes, small = self._columns.arrays
        rows = slice(None) if self._message_of is None else self._message_of
        partition = messages.partition[rows].copy()
        ts_ns = ints[kernels.TS]
        newest = np.zeros(messages.partitions, np.int64)
        kernels.newest_by_partition(partition, ts_ns, newest)
        return TickBlock(
            topic=messages.topic,
            partitions=messages.partitions,
            partition=partition,
            offset=messages.offset[rows].copy(),
            sequence=codes[kernels.SEQUENCE],
            timestamp_ns=messages.timestamp_ns[rows].copy(),
            kind=small[kernels.KIND],
            symbol=codes[kernels.SYMBOL],
            venue=codes[kernels.VENUE],
            condition=codes[kernels.CONDITION],
            side=small[kernels.SIDE],
            ts_ns=ts_ns,
            recv_ns=ints[kernels.RECV],
            price=floats[kernels.PRICE],
            size=floats[kernels.SIZE],
            ask=floats[kernels.ASK_PRICE],
            ask_size=floats[kernels.ASK_SIZE],
            seq=ints[kernels.SEQ],
            retried=small[kernels.RETRIED].view(np.bool_),
            symbols=strings.texts(kernels.SYMBOL),
            venues=strings.texts(kernels.VENUE),
            conditions=strings.texts(kernels.CONDITION),
            dead=self._dead,
            ranges=dict(messages.ranges),
            newest={p: ts for p, ts in enumerate(newest.tolist()) if ts > 0},
        )


def _sequence(text: bytes) -> int:
    """Return the sequence that a retried record's header holds; raises Malformed."""
    if not (text.isdigit() and len(text) <= 9):
        raise Malformed(f"{SEQUENCE_HEADER} is not a decimal number")
    return int(text)


def warm_up() -> None:
    """Load every kernel, so that no message waits for a compiler."""
    tick = TickColumns.of([TRADE], [0], ["WARM"], [1], [1.0], [1.0])
    frame = encode_frame(tick)
    text = ticks_json(tick).to_list()[0]
    values = [text, frame, b"{}"]
    data = np.frombuffer(b"".join(values), np.uint8)
    count = len(values)
    TickDecoder(0).decode(
        Messages(
            topic="",
            partitions=1,
            partition=np.zeros(count, np.int32),
            offset=np.arange(count),
            timestamp_ns=np.ones(count, np.int64),
            keyed=np.ones(count, np.bool_),
            data=data,
            starts=np.cumsum([0, *map(len, values)]),
            keys=[b""] * count,
        )
    )
