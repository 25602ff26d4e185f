"""One reader of a topic, by column or as objects, and what it finds as plain values."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from confluent_kafka import KafkaError
from numpy.typing import NDArray

from connectors.kafka.columns import Columns
from connectors.kafka.messages import Fault
from connectors.kafka.reading import Objects, Reader, Reading, Way, open_reader
from state.records import Header, Messages
from tests.connectors.kafka.rig import Rig

WAYS: tuple[Way, ...] = ("objects", "columns")

both_ways = pytest.mark.parametrize("way", WAYS)

Told = tuple[int, int, bytes, bytes | None, bool, int, list[Header] | None]


class Reads:
    """One reader of all partitions of a topic, from their first offsets on."""

    def __init__(self, rig: Rig, way: Way, most: int) -> None:
        self.faults: list[Fault] = []
        self.fatal: list[KafkaError] = []
        self.position = dict.fromkeys(range(rig.partitions), 0)
        self.most = most
        reading = Reading(
            rig.topic, rig.partitions, dict(self.position), most, "g", tells_ends=True
        )
        self.reader: Reader = open_reader(
            way, rig.cluster, reading, self.faults.append, self.fatal.append
        )
        assert isinstance(self.reader, Columns if way == "columns" else Objects)

    @property
    def columns(self) -> Columns:
        assert isinstance(self.reader, Columns)
        return self.reader

    @property
    def client(self) -> int:
        """Return the address of librdkafka's client."""
        if isinstance(self.reader, Columns):
            return self.reader._consumer.client or 0
        assert isinstance(self.reader, Objects)
        # The first field of confluent_kafka's object.
        place = id(self.reader._consumer) + object.__basicsize__
        return ctypes.c_size_t.from_address(place).value

    def block(self) -> Messages | None:
        found = self.reader.read(self.most, self.position)
        if found is not None:
            for p, (first, following) in found.ranges.items():
                assert first == self.position[p], "ranges follow each other"
                self.position[p] = following
        return found

    def ends(self) -> list[tuple[int | None, int]]:
        """Return (partition, code) of what was said beside messages."""
        return sorted((fault.partition, fault.error.code()) for fault in self.faults)


@contextmanager
def reading(rig: Rig, way: Way, most: int = 500) -> Iterator[Reads]:
    made = Reads(rig, way, most)
    try:
        yield made
    finally:
        made.reader.close()


def all_of(rig: Rig, way: Way, most: int) -> tuple[list[Told], dict[int, int], Reads]:
    """Read a topic to the ends of its partitions; return its rows by partition, as plain values."""
    rows: list[Told] = []
    with reading(rig, way, most) as made:
        deadline = time.monotonic() + 60
        while len({fault.partition for fault in made.faults}) < rig.partitions:
            assert time.monotonic() < deadline, "the ends were not told"
            block = made.block()
            if block is not None:
                assert 0 < len(block) <= most
                rows += plain(block)
        order: dict[int, list[Told]] = {p: [] for p in range(rig.partitions)}
        for row in rows:
            order[row[0]].append(row)
    return [row for p in order for row in order[p]], made.position, made


def plain(block: Messages) -> list[Told]:
    types: list[tuple[NDArray[Any], type]] = [
        (block.partition, np.int32),
        (block.offset, np.int64),
        (block.timestamp_ns, np.int64),
        (block.keyed, np.bool_),
        (block.data, np.uint8),
        (block.starts, np.int64),
    ]
    assert [column.dtype.type for column, _ in types] == [kind for _, kind in types]
    assert not block.data.flags.writeable
    assert len(block.keys) == len(block)
    assert set(block.headers) <= set(range(len(block)))
    return [
        (
            int(block.partition[i]),
            int(block.offset[i]),
            block.value(i),
            block.keys[i],
            bool(block.keyed[i]),
            int(block.timestamp_ns[i]),
            block.headers.get(i),
        )
        for i in range(len(block))
    ]
