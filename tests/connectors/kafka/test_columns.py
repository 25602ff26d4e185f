"""Messages by column are what they are as objects."""

from __future__ import annotations

import random
import time

import numpy as np
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # they are there
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)
from hypothesis import given
from hypothesis import strategies as st

from connectors.kafka import kernels
from connectors.kafka.columns import Keys
from connectors.kafka.library import MessageStruct
from tests import producing
from tests.connectors.kafka.reads import WAYS, Told, all_of, both_ways, plain, reading
from tests.connectors.kafka.rig import Rig
from tests.waiting import PATIENCE_S, eventually


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
