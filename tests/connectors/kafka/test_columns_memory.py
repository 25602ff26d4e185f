"""librdkafka's memory is given back once, and closing does not wait for it."""

from __future__ import annotations

import ctypes
import gc
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from connectors.kafka import columns, kernels, library
from connectors.kafka.columns import Columns
from tests.connectors.kafka.reads import Reads, reading
from tests.waiting import eventually


class Counting:
    """Stands before rd_kafka_message_destroy, and counts by address."""

    def __init__(self, reader: Columns) -> None:
        self.times: Counter[int] = Counter()
        self._library = reader._consumer.library
        kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
        self._callback = kind(self.rd_kafka_message_destroy)
        # Compiled code is told the address, Python code the name.
        reader._functions = (library.address_of(self._callback), *reader._functions[1:])
        reader._consumer.library = self  # type: ignore[assignment]  # it stands before it

    def rd_kafka_message_destroy(self, address: int) -> None:
        self.times[address] += 1
        self._library.rd_kafka_message_destroy(address)

    def __getattr__(self, name: str):
        return getattr(self._library, name)


def taken(reader: Columns, monkeypatch) -> list[list[int]]:
    """Note the addresses of each batch that is taken."""
    batches: list[list[int]] = []
    take = reader._take

    def noted(at_most: int) -> int:
        count = take(at_most)
        if count > 0:
            batches.append(reader._messages[:count].tolist())
        return count

    monkeypatch.setattr(reader, "_take", noted)
    return batches


@pytest.mark.parametrize("fails", ["", "measure", "_columns", "ranges_of", "judge"])
def test_each_message_is_given_back_once_whatever_fails(rig, monkeypatch, fails):
    r = rig()
    r.write([(0, b"x" * i) for i in range(50)])
    with reading(r, "columns", 1000) as made:
        reader = made.columns
        counting, batches = Counting(reader), taken(reader, monkeypatch)

        def fail(*_: object) -> None:
            raise MemoryError

        if fails == "judge":
            reader._judge = fail
        elif fails == "measure":
            monkeypatch.setattr(kernels, "measure", fail)
        elif fails == "_columns":
            monkeypatch.setattr(reader, "_columns", fail)
        elif fails:
            monkeypatch.setattr(columns, "ranges_of", fail)
        rows = 0
        failed = False
        deadline = time.monotonic() + 20
        while rows < 50 and not failed and time.monotonic() < deadline:
            time.sleep(0.3)  # so that the end comes with the messages
            counting.times.clear()
            batches.clear()
            try:
                block = made.block()
                rows += len(block or ())
            except MemoryError:
                failed = True
            assert counting.times == Counter(address for batch in batches for address in batch)
            assert not reader._messages.any()
        assert failed == bool(fails)


def test_memory_does_not_grow(rig):
    r = rig()
    r.write([(0, b"x" * 1000, [("a", b"b" * 100)]) for _ in range(8_000)])
    sizes: list[float] = []
    with reading(r, "columns", 2000) as made:
        for _ in range(16):
            made.position[0] = 0
            made.columns._consumer.assign({0: 0})
            eventually(lambda: made.block() is None and made.position[0] == 8_000)
            sizes.append(_resident_mb())
    assert sizes[-1] - sizes[4] < 16, "each round has 8 MB: a sixth of it lost would show"


def _resident_mb() -> float:
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * 4096 / 1e6


@pytest.mark.parametrize("closed", [True, False])
def test_closing_does_not_hang_on_messages_that_nobody_took(rig, closed):
    r = rig(partitions=2)
    r.write([(p, b"x" * 500) for _ in range(5000) for p in (0, 1)])
    made = [Reads(r, "columns", 100)]
    eventually(lambda: made[0].block() is not None)
    time.sleep(0.5)  # the queue is full of others

    def close() -> None:
        one = made.pop()
        if closed:
            one.reader.close()
        del one
        gc.collect()

    thread = threading.Thread(target=close, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()


def test_closing_twice_is_closing_once(rig):
    with reading(rig(), "columns") as made:
        assert made.client
        for _ in range(2):
            made.reader.close()
            assert not made.client
