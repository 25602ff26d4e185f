"""Messages by column are what they are as objects, and librdkafka's memory is given back once."""

from __future__ import annotations

import ctypes
import gc
import logging
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import confluent_kafka
import numpy as np
import pytest
from confluent_kafka import KafkaError, Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # they are there
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from connectors.kafka import columns, consumer, kernels, library
from connectors.kafka.client import Cluster
from connectors.kafka.columns import Columns, Keys
from connectors.kafka.consumer import RawConsumer
from connectors.kafka.library import MessageStruct
from connectors.kafka.messages import Fault
from connectors.kafka.reading import Objects, Reader, Reading, Way, by_column, open_reader
from state.errors import Broken, OffsetGone, SettingsError
from state.metrics import COLUMNS
from state.records import Header, Messages
from tests import producing
from tests.connectors.kafka.rig import Rig, read
from tests.waiting import PATIENCE_S, eventually

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


def random_texts(rng: random.Random) -> bytes | None:
    length = rng.choice((0, 1, 7, 8, 9, 31, 200, 5000))
    return None if rng.random() < 0.1 else rng.randbytes(length)


def random_headers(rng: random.Random, topic: str) -> list[tuple[str, str | bytes | None]]:
    names = ("headrace-heartbeat", "headrace-origin", "", "ü", "a" * 300)
    home = f"{topic}/{rng.randrange(3)}/{rng.choice(('7', '-1', '9' * 30, ''))}".encode()
    count = 0 if rng.random() < 0.6 else rng.randrange(1, 4)
    return [
        (rng.choice(names), rng.choice((home, None, b"", b"\0\xff", (77).to_bytes(8, "big"))))
        for _ in range(count)
    ]


def produce_at_random(rig: Rig, seed: int, count: int, codec: str) -> None:
    """Write messages of every shape, some in transactions, of which some are aborted."""
    rng = random.Random(seed)
    common = {"bootstrap.servers": rig.cluster.bootstrap, "compression.type": codec}
    plainly = Producer({**common, "linger.ms": 20})
    unsure = Producer({**common, "transactional.id": f"{rig.topic}.{seed}"})
    unsure.init_transactions(30)
    left = count
    while left > 0:
        size = min(left, rng.randrange(1, 150))
        left -= size
        bound = rng.random() < 0.5
        producer = unsure if bound else plainly
        if bound:
            producer.begin_transaction()
        for _ in range(size):
            producer.produce(
                rig.topic,
                random_texts(rng),
                random_texts(rng),
                rng.randrange(rig.partitions),
                timestamp=rng.choice((0, 1, 1_700_000_000_123)),
                headers=random_headers(rng, rig.topic),
            )
        if not bound:
            assert producer.flush(PATIENCE_S) == 0
        elif rng.random() < 0.5:
            producer.flush(PATIENCE_S)  # so that what is aborted is in the log
            producer.abort_transaction(30)
        else:
            producer.commit_transaction(30)


@pytest.mark.parametrize(
    ("seed", "codec"), [(1, "none"), (2, "gzip"), (3, "snappy"), (4, "lz4"), (5, "zstd")]
)
def test_by_column_equals_as_objects_for_messages_of_every_shape(rig, seed, codec):
    r = rig(partitions=3)
    produce_at_random(r, seed, 2000, codec)
    rows, position, _ = all_of(r, "objects", 500)
    assert 500 < len(rows) < 2000, "some were aborted"
    assert any(row[6] for row in rows)
    assert any(row[3] is None for row in rows)
    assert any(row[3] == b"" for row in rows)
    for most in (1, 7, 4096):
        assert all_of(r, "columns", most)[:2] == (rows, position)


def test_by_column_equals_as_objects_where_a_topic_was_compacted(rig, kafka):
    r = rig(
        config={
            "cleanup_policy": "compact",
            "segment_ms": "50",
            "min_cleanable_dirty_ratio": "0.0",
            "max_compaction_lag_ms": "50",
        }
    )
    _clean_often(kafka.bootstrap)
    producer = producing.producer(kafka.bootstrap)
    for round_ in range(4):
        for i in range(100):
            producer.produce(r.topic, b"%d" % round_, b"k%d" % (i % 10), 0)
        producer.flush(PATIENCE_S)
        time.sleep(0.1)
    compacted: list[list[Told]] = []

    def gaps() -> bool:
        rows, _, _ = all_of(r, "objects", 500)
        compacted.append(rows)
        producer.produce(r.topic, b"rolls the segment", b"last", 0)
        producer.flush(PATIENCE_S)
        return len(rows) < 100

    eventually(gaps)
    _still(r, compacted)
    rows, position, _ = all_of(r, "objects", 500)
    offsets = [row[1] for row in rows]
    assert offsets != list(range(offsets[0], offsets[0] + len(offsets))), "no gap"
    assert all_of(r, "columns", 7)[:2] == (rows, position)


def _clean_often(bootstrap: str) -> None:
    """Let the broker look for what to compact five times a second, not each 15 s."""
    often = ConfigEntry(
        "log.cleaner.backoff.ms", "200", incremental_operation=AlterConfigOpType.SET
    )
    broker = ConfigResource(ConfigResource.Type.BROKER, "1", incremental_configs=[often])
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.incremental_alter_configs([broker])[broker].result(10)


def _still(rig: Rig, seen: list[list[Told]]) -> None:
    """Wait until two looks at a topic are equal: the broker is done with it."""

    def same() -> bool:
        time.sleep(0.5)
        seen.append(all_of(rig, "objects", 500)[0])
        return seen[-1] == seen[-2]

    eventually(same)


def test_large_messages_pass_by_column(rig):
    r = rig(config={"max_message_bytes": "12000000"})
    large = random.Random(1).randbytes(10_000_000)
    r.write([(0, b"before"), (0, large), (0, b""), (0, None), (0, large), (0, b"after")])
    assert all_of(r, "columns", 100)[:2] == all_of(r, "objects", 100)[:2]


def test_what_kafka_says_beside_messages_is_the_same_both_ways(rig):
    r = rig(partitions=3)
    r.write([(0, b"a")] * 10)
    said = [all_of(r, way, 100)[2] for way in WAYS]
    assert said[0].ends() == said[1].ends()
    assert [fault.error.name() for fault in said[1].faults] == ["_PARTITION_EOF"] * 3
    texts = [sorted(fault.error.str() for fault in one.faults) for one in said]
    assert texts[0] == texts[1]


def test_messages_before_and_behind_an_error_of_one_batch_are_kept(rig):
    r = rig(partitions=2)
    r.write([(0, b"a"), (0, b"b"), (1, b"c")])
    with reading(r, "columns", 100) as made:
        time.sleep(1)  # so that the messages and the ends are fetched by now
        rows: list[Told] = []

        def done() -> bool:
            block = made.block()
            rows.extend(plain(block) if block is not None else [])
            return len(rows) == 3 and len(made.faults) == 2

        eventually(done)
    assert sorted(row[2] for row in rows) == [b"a", b"b", b"c"]


@both_ways
def test_an_unknown_topic_is_told_of(kafka, way, caplog):
    soon = {"topic.metadata.propagation.max.ms": "0", "topic.metadata.refresh.interval.ms": "200"}
    with reading(Rig(Cluster(kafka.bootstrap, options=soon), "nobody.made.this", 1), way) as made:
        eventually(lambda: made.block() is None and "Unknown topic" in caplog.text)
    assert "Kafka: nobody.made.this [0]: " in caplog.text


@both_ways
def test_errors_of_the_client_reach_its_callbacks_and_its_log(caplog, way):
    with reading(Rig(Cluster("127.0.0.1:1"), "t", 1), way) as made:
        eventually(
            lambda: made.block() is None and "Kafka: " in caplog.text and "refused" in caplog.text
        )


@both_ways
def test_a_fatal_error_is_told_and_closing_does_not_hang(rig, way):
    with reading(rig(), way) as made:
        eventually(lambda: made.block() is None and bool(made.faults))
        made.faults.clear()
        _break(made.client, b"fenced, it says")
        eventually(lambda: made.block() is None and bool(made.faults))
    assert made.faults[0].error.code() == KafkaError._FATAL
    assert "fenced, it says" in made.faults[0].error.str()


def _break(client: int, reason: bytes) -> None:
    """Let a client meet a fatal error, by librdkafka's function for such tests."""
    function = library.library().rd_kafka_test_fatal_error
    function.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p]
    function(client, KafkaError.INVALID_PRODUCER_EPOCH, reason)


@both_ways
def test_a_flow_stops_at_a_fatal_error(rig, way):
    r = rig(way=way)
    part = r.open()
    part._note_fatal(KafkaError(47, "fenced", True))
    with pytest.raises(Broken, match="fenced"):
        part.next_batch()


@both_ways
def test_an_error_that_would_skip_messages_stops_the_flow(rig, way):
    r = rig(way=way)
    part = r.open()
    with pytest.raises(Broken, match="cannot deliver"):
        part._judge(Fault(0, KafkaError(KafkaError._BAD_COMPRESSION)))
    with pytest.raises(OffsetGone):
        part._judge(Fault(0, KafkaError(KafkaError._AUTO_OFFSET_RESET)))
    part._judge(Fault(0, KafkaError(KafkaError._TRANSPORT)))


@both_ways
def test_a_paused_partition_s_messages_come_later_once(rig, way):
    r = rig(partitions=2)
    r.write([(p, b"%d" % i) for i in range(3000) for p in (0, 1)])
    rows: list[Told] = []
    with reading(r, way, 100) as made:
        while len(rows) < 6000:
            block = made.block()
            rows += plain(block) if block is not None else []
            if block is not None and len(rows) % 1000 < 500:
                made.reader.pause(0)
            elif block is not None or made.position[1] == 3000:
                made.reader.resume(0)
    for p in (0, 1):
        assert [row[1] for row in rows if row[0] == p] == list(range(3000))


@both_ways
def test_the_lag_is_known(rig, way):
    r = rig()
    r.write([(0, b"x")] * 30)
    with reading(r, way, 10) as made:
        assert made.reader.offset_bounds(0)[1] < 0
        eventually(lambda: made.block() is not None)
        assert made.reader.offset_bounds(0) == (0, 30)


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
        made.reader.close()


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (lambda patch: patch.setattr(library, "_FUNCTIONS", {"no_function": (None,)}), "not found"),
        (lambda patch: patch.setattr(library, "MAJOR", 3), "major version"),
        (lambda patch: patch.setattr(confluent_kafka, "libversion", lambda: ("", 1)), "confluent"),
        (lambda patch: patch.setattr(consumer, "_CLIENTS_OWN", {"client.id"}), "client.id"),
    ],
)
def test_what_is_not_known_falls_back_to_objects_and_says_so(
    rig, monkeypatch, caplog, broken, reason
):
    library.library.cache_clear()
    broken(monkeypatch)
    r = rig()
    r.write([(0, b"a")])
    part = r.open()
    assert isinstance(part._reader, Objects)
    assert COLUMNS.labels(r.topic)._value.get() == 0
    assert "cannot be read by column: " in caplog.text
    assert reason in caplog.text
    assert [value for _, _, value in read(part, 1)] == [b"a"]
    library.library.cache_clear()


def test_settings_that_librdkafka_refuses_are_an_error_without_the_secret(rig, caplog):
    cluster = Cluster("127.0.0.1:1", options={"ssl.key.password": "hunter2", "no.such": "hunter3"})
    with pytest.raises(SettingsError) as error:
        Reads(Rig(cluster, "t", 1), "columns", 10)
    assert "no.such" in str(error.value)
    assert "hunter" not in str(error.value) + caplog.text


def test_a_consumer_s_settings_are_taken_as_they_are():
    cluster = Cluster(
        "127.0.0.1:1",
        security_protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_username="user",
        sasl_password="hunter2",
        options={"fetch.error.backoff.ms": "77", "ssl.endpoint.identification.algorithm": "none"},
    )
    settings = cluster.consumer_settings("g", consumers=3)
    raw = RawConsumer(settings, "t", print, logging.getLogger("t"))
    dump = _dumped(raw)
    raw.close()
    told = {name: consumer._text(value) for name, value in settings.items()}
    # It has names of its own, and keeps one setting among those of topics.
    names = {"bootstrap.servers": "metadata.broker.list", "sasl.mechanism": "sasl.mechanisms"}
    told = {names.get(name, name): text for name, text in told.items()}
    assert told.pop("auto.offset.reset") == "error"
    assert dump.pop("security.protocol") == told.pop("security.protocol").lower()
    assert told.items() <= dump.items()


def _dumped(raw: RawConsumer) -> dict[str, str]:
    functions, count = raw.library, ctypes.c_size_t()
    functions.rd_kafka_conf.restype = ctypes.c_void_p
    functions.rd_kafka_conf.argtypes = [ctypes.c_void_p]
    functions.rd_kafka_conf_dump.restype = ctypes.POINTER(ctypes.c_char_p)
    functions.rd_kafka_conf_dump.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    texts = functions.rd_kafka_conf_dump(functions.rd_kafka_conf(raw.client), ctypes.byref(count))
    words = [(texts[i] or b"").decode() for i in range(count.value)]
    return dict(zip(words[::2], words[1::2], strict=True))


def test_which_way_is_used_can_be_seen(rig):
    r = rig()
    assert isinstance(r.open()._reader, Columns)
    assert COLUMNS.labels(r.topic)._value.get() == 1


def test_a_process_without_numba_reads_objects_and_loads_none():
    program = (
        "import sys, connectors.kafka.source as s, connectors.kafka.reading as r\n"
        "r.warm_up('auto')\n"
        "assert not r.by_column('auto') and 'numba' not in sys.modules\n"
        "assert r.by_column('columns')"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_process_with_numba_reads_by_column():
    assert "numba" in sys.modules
    assert by_column("auto")
    assert not by_column("objects")


def test_kernels_are_compiled_at_import_and_run_without_the_lock():
    for kernel in (kernels.measure, kernels.gather, kernels.give_back):
        assert len(kernel.signatures) == 1
        assert kernel.targetoptions["nogil"]


def test_the_places_of_fields_are_those_of_the_structure():
    fields = {
        "err": kernels.ERROR,
        "partition": kernels.PARTITION,
        "payload": kernels.VALUE,
        "len": kernels.LENGTH,
        "key": kernels.KEY,
        "key_len": kernels.KEY_LENGTH,
        "offset": kernels.OFFSET,
    }
    for name, place in fields.items():
        assert getattr(MessageStruct, name).offset == place


@given(st.lists(st.one_of(st.none(), st.binary(max_size=20))))
def test_keys_are_a_sequence_as_a_list_is(texts: list[bytes | None]):
    raw = [text or b"" for text in texts]
    keys = Keys(
        np.array([text is not None for text in texts], np.bool_),
        np.frombuffer(b"".join(raw), np.uint8),
        np.cumsum([0, *map(len, raw)]),
    )
    assert list(keys) == texts
    assert [keys[i] for i in range(-len(texts), len(texts))] == texts + texts
    assert keys[1:-1] == texts[1:-1]
    with pytest.raises(IndexError):
        keys[len(texts)]
