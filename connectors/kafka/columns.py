"""Messages by column straight from librdkafka: no Python object for a message.

librdkafka's own function for batches gives their addresses, and a kernel copies them into columns.

Memory. `_messages` holds the addresses of what was taken; the kernel sets an address to 0 when it
gives that message back, and whatever goes wrong in between, what is left is given back. So each
message is given back once: a second time would be a crash, and never would keep librdkafka's
buffers and let closing hang.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import overload

import numpy as np
from confluent_kafka import KafkaError
from numpy.typing import NDArray

from connectors.kafka import kernels
from connectors.kafka.consumer import RawConsumer
from connectors.kafka.library import MessageStruct, address_of
from connectors.kafka.marks import Mark
from connectors.kafka.messages import Fault, ranges_of, settle
from state.records import Header, Messages


class Columns:
    """Takes messages of a topic by column; as `reading.Reader` says.

    ``partitions`` counts the topic's. ``most`` is the most messages of a block. ``judge`` is told
    of each error and raises where going on would skip a message. ``mark`` as in `to_messages`.
    """

    def __init__(
        self,
        consumer: RawConsumer,
        topic: str,
        partitions: int,
        most: int,
        judge: Callable[[Fault], None],
        mark: Mark | None = None,
    ) -> None:
        self._consumer = consumer
        self._mark = mark
        self._topic = topic
        self._partitions = partitions
        self._judge = judge
        functions = consumer.library
        self._functions = (
            address_of(functions.rd_kafka_message_destroy),
            address_of(functions.rd_kafka_message_timestamp),
            address_of(functions.rd_kafka_message_headers),
            address_of(functions.rd_kafka_header_get_all),
        )
        self._messages = np.zeros(most, np.int64)
        self._address = self._messages.ctypes.data
        self._cells = np.zeros(4, np.int64)
        self._totals = np.zeros(kernels.TOTALS, np.int64)

    def read(self, at_most: int, position: Mapping[int, int]) -> Messages | None:
        """Return what has been fetched, None where nothing has; never waits."""
        try:
            count = self._take(at_most)
            if count <= 0:
                return None
            kernels.measure(self._messages, count, self._functions, self._cells, self._totals)
            if self._totals[kernels.ERRORS]:
                count = self._judge_errors(count)
            return self._columns(count, position) if count else None
        except BaseException:
            # Whatever it is, an interrupt too: what is not given back holds librdkafka up for good.
            kernels.give_back(self._messages, self._functions)
            raise

    def pause(self, partition: int) -> None:
        """Deliver nothing more of a partition until `resume`."""
        self._consumer.pause(partition)

    def resume(self, partition: int) -> None:
        """Go on with a partition."""
        self._consumer.resume(partition)

    def offset_bounds(self, partition: int) -> tuple[int, int]:
        """Return (first, next) offset as last heard of."""
        return self._consumer.offset_bounds(partition)

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close()

    def _take(self, at_most: int) -> int:
        room = min(at_most, len(self._messages))
        return self._consumer.take(self._address, room)

    def _judge_errors(self, count: int) -> int:
        """Judge and give back what are errors; return how many messages are left, in front."""
        functions, left = self._consumer.library, 0
        for place, address in enumerate(self._messages[:count].tolist()):
            message = MessageStruct.from_address(address)
            self._messages[place] = 0
            if not message.err:
                self._messages[left] = address
                left += 1
                continue
            text = (functions.rd_kafka_message_errstr(address) or b"").decode(errors="replace")
            fault = Fault(message.partition, KafkaError(message.err, text))
            functions.rd_kafka_message_destroy(address)
            self._judge(fault)
        return left

    def _columns(self, count: int, position: Mapping[int, int]) -> Messages:
        value_bytes, key_bytes, header_count, header_bytes, _ = self._totals.tolist()
        partition = np.empty(count, np.int32)
        offset, timestamp_ns = np.empty(count, np.int64), np.empty(count, np.int64)
        keyed = np.empty(count, np.bool_)
        data, starts = np.empty(value_bytes, np.uint8), np.empty(count + 1, np.int64)
        key_data, key_starts = np.empty(key_bytes, np.uint8), np.empty(count + 1, np.int64)
        header_row = np.empty(header_count, np.int64)
        header_data = np.empty(header_bytes, np.uint8)
        header_starts = np.empty(2 * header_count + 1, np.int64)
        kernels.gather(
            self._messages, count, self._functions, self._cells, partition, offset, timestamp_ns,
            keyed, data, starts, key_data, key_starts, header_row, header_data, header_starts,
        )  # fmt: skip
        # As the objects' bytes are, so that nothing that is compiled for one meets the other.
        data.flags.writeable = False
        ranges = ranges_of(self._topic, partition, offset, position)
        messages = Messages(
            topic=self._topic,
            partitions=self._partitions,
            partition=partition,
            offset=offset,
            timestamp_ns=timestamp_ns,
            keyed=keyed,
            data=data,
            starts=starts,
            keys=Keys(keyed, key_data, key_starts),
            headers=_headers(header_row, header_data, header_starts),
            ranges=ranges,
        )
        settle(messages, self._mark)
        return messages


class Keys(Sequence[bytes | None]):
    """The keys of a block: bytes are made of one only when it is asked for."""

    def __init__(
        self, keyed: NDArray[np.bool_], data: NDArray[np.uint8], starts: NDArray[np.int64]
    ) -> None:
        self._keyed = keyed
        self._data = data
        self._starts = starts

    def __len__(self) -> int:
        return len(self._keyed)

    @overload
    def __getitem__(self, row: int) -> bytes | None: ...
    @overload
    def __getitem__(self, row: slice) -> list[bytes | None]: ...
    def __getitem__(self, row: int | slice) -> bytes | list[bytes | None] | None:
        if isinstance(row, slice):
            return [self[one] for one in range(*row.indices(len(self)))]
        if not self._keyed[row]:
            return None
        row %= len(self)
        return self._data[self._starts[row] : self._starts[row + 1]].tobytes()

    def __iter__(self) -> Iterator[bytes | None]:
        return (self[row] for row in range(len(self)))


def _headers(
    rows: NDArray[np.int64], data: NDArray[np.uint8], starts: NDArray[np.int64]
) -> dict[int, list[Header]]:
    """Return the headers by row (see `kernels.gather`)."""
    headers: dict[int, list[Header]] = {}
    raw, at = data.tobytes(), starts.tolist()
    for header, row in enumerate(rows.tolist()):
        begin, middle, end = at[2 * header : 2 * header + 3]
        name = raw[begin:middle].decode(errors="replace")
        headers.setdefault(row, []).append((name, raw[middle:end]))
    return headers
