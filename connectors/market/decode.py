"""Messages of the ticks' topic into a block: JSON, frames, Avro and heartbeats, in any mix."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from connectors.avro.reader import MAGIC, AvroReader
from connectors.avro.schemas import NoSchemas, Schemas
from connectors.heartbeat import heartbeat_ns
from connectors.json import parse_json
from connectors.market import layout
from connectors.market.avro_ticks import TICK_FIELDS
from connectors.market.columns import Columns
from connectors.market.frames import Frame, open_frame
from connectors.market.interning import Interner
from connectors.market.kernels.objects import decode_json
from connectors.market.kernels.pacing import RECENT, pacing_times
from connectors.market.ticks import NONE_SIGNED, Signed, correction_of, tick_of
from state.errors import BadRecord, Malformed, NoKey
from state.market.ticks import CORRECTION, QUOTE, Correction, TickBlock
from state.records import MAX_DIGITS, RETRY_HEADER, SEQUENCE_HEADER, DeadLetter, Messages

DEAD = 255
"""Status of a row that has become a dead letter, beside those of the kernels."""


class TickDecoder:
    """Decodes the batches of one shard; keeps only what decides no output between them.

    That are caches of strings and schemas, and each partition's last event times.

    ``max_ahead_ns``: by how much an event time may exceed its message's Kafka timestamp.
    ``schemas``: where those of Avro messages are. ``signed``: which prices may be below zero.
    """

    def __init__(
        self, max_ahead_ns: int, schemas: Schemas | None = None, signed: Signed = NONE_SIGNED
    ) -> None:
        self._max_ahead_ns = max_ahead_ns
        self._signed = signed
        self._strings = Interner()
        self._recent = Recent()
        self._avro = AvroReader(schemas or NoSchemas("market.schemas"), TICK_FIELDS)

    def decode(self, messages: Messages) -> TickBlock:
        """Return the messages' ticks and heartbeats in order, and their dead letters.

        The block shares no memory with ``messages``. Waits while a schema that is needed cannot be
        asked for (`connectors.avro.registry`).
        """
        self._strings.start_batch()
        self._avro.start_batch()
        kept = self._strings, self._avro, self._recent
        return _Batch(messages, self._max_ahead_ns, *kept, self._signed).decode()


class Recent:
    """The last event times of each partition, by which its source is paced."""

    def __init__(self) -> None:
        self._times: NDArray[np.int64] = np.empty((0, RECENT), np.int64)
        self._counts: NDArray[np.int64] = np.empty(0, np.int64)

    def add(
        self, partitions: int, partition: NDArray[np.int32], ts_ns: NDArray[np.int64]
    ) -> tuple[dict[int, int], dict[int, int]]:
        """Return the newest event time of each partition's rows, and its least recent one."""
        if len(self._counts) < partitions:
            self._times = np.empty((partitions, RECENT), np.int64)
            self._counts = np.zeros(partitions, np.int64)
        newest, least = np.zeros(partitions, np.int64), np.zeros(partitions, np.int64)
        pacing_times(partition, ts_ns, self._times, self._counts, newest, least)
        pairs = enumerate(zip(newest.tolist(), least.tolist(), strict=True))
        found = [(p, *times) for p, times in pairs if times[0] > 0]
        return {p: most for p, most, _ in found}, {p: fewest for p, _, fewest in found}


class _Batch:
    """The decoding of one batch: a row a message, then the frames' rows put between."""

    def __init__(
        self,
        messages: Messages,
        max_ahead_ns: int,
        strings: Interner,
        avro: AvroReader,
        recent: Recent,
        signed: Signed,
    ) -> None:
        self._messages = messages
        self._max_ahead_ns = max_ahead_ns
        self._strings = strings
        self._avro = avro
        self._recent = recent
        self._signed = signed
        self._columns = Columns.empty(len(messages))
        self._message_of: NDArray[np.int64] | None = None
        """The message of each row; None while row i is of message i."""
        self._frames: dict[int, Frame] = {}
        self._retried: dict[int, int] = {}
        """Retried messages, with the sequence that their record had."""
        self._corrections: dict[int, Correction] = {}
        """By message."""
        self._dead: list[DeadLetter] = []

    def decode(self) -> TickBlock:
        self._decode_json()
        if self._signed.any:
            self._doubt_zeros()
        self._note_retried()
        for message in np.flatnonzero(self._columns.status).tolist():
            self._finish(message)
        _ints, _floats, codes, small = self._columns.arrays
        for message, sequence in self._retried.items():
            codes[layout.SEQUENCE, message] = sequence
            small[layout.RETRIED, message] = 1
        if self._frames:
            self._insert_frames()
        if self._dead:
            self._drop_dead()
        return self._block()

    def _decode_json(self) -> None:
        messages = self._messages
        done = 0
        while True:
            done = decode_json(
                messages.data, messages.starts, messages.keyed, messages.timestamp_ns,
                self._max_ahead_ns, done, self._strings.table, self._columns.arrays,
                self._columns.status,
            )  # fmt: skip
            if done == len(messages):
                return
            self._strings.reserve(self._strings.capacity)

    def _doubt_zeros(self) -> None:
        """Let the definition judge the quotes with a price of 0 of symbols that may have it."""
        _ints, floats, codes, small = self._columns.arrays
        quotes = np.flatnonzero(
            (self._columns.status == layout.DONE)
            & (small[layout.KIND] == QUOTE)
            & ((floats[layout.PRICE] == 0) | (floats[layout.ASK_PRICE] == 0))
        )
        symbols = self._strings.texts(layout.SYMBOL)
        for row in quotes.tolist():
            if self._signed.has(symbols[codes[layout.SYMBOL, row]]):
                value = self._messages.value(row)
                # A side that is not named has no price of 0: such quotes are many.
                if (floats[layout.PRICE, row] == 0 and b'"bid"' in value) or (
                    floats[layout.ASK_PRICE, row] == 0 and b'"ask"' in value
                ):
                    self._columns.status[row] = layout.ASK

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
        if status == DEAD:  # by its headers
            return
        try:
            if status == layout.EMPTY:
                ts_ns = heartbeat_ns(messages, message, self._latest_ns(message))
                columns.put_heartbeat(message, ts_ns)
            elif not messages.keyed[message]:
                raise NoKey("the message has no key")
            elif status == layout.FRAME:
                data = messages.data[messages.starts[message] : messages.starts[message + 1]]
                self._frames[message] = open_frame(data)
            elif status == layout.ASK:
                fields = self._fields(messages.value(message))
                tick = tick_of(fields, self._latest_ns(message), self._signed)
                if tick.kind == CORRECTION:
                    self._corrections[message] = correction_of(fields, self._signed)
                columns.put_tick(message, tick, self._strings)
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
            self._bury(message, 0, error)
            return
        for sequence, fields in unsure.items():
            row = first + sequence
            try:
                columns.put_tick(row, tick_of(fields, latest_ns, self._signed), self._strings)
                columns.arrays[2][layout.SEQUENCE, row] = sequence
            except BadRecord as error:
                columns.status[row] = DEAD
                # NaN becomes null, which JSON can say.
                self._bury(message, sequence, error, orjson.dumps(fields))
        if message in self._retried:
            columns.arrays[3][layout.RETRIED, first : first + frame.ticks] = 1

    def _drop_dead(self) -> None:
        kept = np.flatnonzero(self._columns.status == layout.DONE)
        self._message_of = kept if self._message_of is None else self._message_of[kept]
        self._columns = self._columns.take(kept)
        self._dead.sort(key=lambda letter: letter.coordinates)

    def _bury_message(self, message: int, error: BadRecord) -> None:
        self._columns.status[message] = DEAD
        self._bury(message, self._retried.get(message, 0), error)

    def _bury(
        self, message: int, sequence: int, error: BadRecord, value: bytes | None = None
    ) -> None:
        coordinates = self._messages.coordinates(message)._replace(sequence=sequence)
        self._dead.append(self._messages.dead(message, error, coordinates, value))

    def _block(self) -> TickBlock:
        messages, strings = self._messages, self._strings
        ints, floats, codes, small = self._columns.arrays
        rows = slice(None) if self._message_of is None else self._message_of
        partition = messages.partition[rows].copy()
        ts_ns = ints[layout.TS]
        newest, least = self._recent.add(messages.partitions, partition, ts_ns)
        return TickBlock(
            topic=messages.topic,
            partitions=messages.partitions,
            partition=partition,
            offset=messages.offset[rows].copy(),
            sequence=codes[layout.SEQUENCE],
            timestamp_ns=messages.timestamp_ns[rows].copy(),
            kind=small[layout.KIND],
            symbol=codes[layout.SYMBOL],
            venue=codes[layout.VENUE],
            condition=codes[layout.CONDITION],
            side=small[layout.SIDE],
            ts_ns=ts_ns,
            recv_ns=ints[layout.RECV],
            price=floats[layout.PRICE],
            size=floats[layout.SIZE],
            ask=floats[layout.ASK_PRICE],
            ask_size=floats[layout.ASK_SIZE],
            seq=ints[layout.SEQ],
            retried=small[layout.RETRIED].view(np.bool_),
            symbols=strings.texts(layout.SYMBOL),
            venues=strings.texts(layout.VENUE),
            conditions=strings.texts(layout.CONDITION),
            corrections=[one for _, one in sorted(self._corrections.items())],
            dead=self._dead,
            ranges=dict(messages.ranges),
            newest=newest,
            least=least,
        )


def _sequence(text: bytes) -> int:
    """Return the sequence that a retried record's header holds; raises Malformed."""
    if not (text.isdigit() and len(text) <= MAX_DIGITS):
        raise Malformed(f"{SEQUENCE_HEADER} is not a decimal number")
    return int(text)
