"""The Kafka source on a real broker."""

from __future__ import annotations

import random
import socket
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import bytewax.operators as op
import pytest
from bytewax.dataflow import Dataflow
from bytewax.inputs import AbortExecution
from bytewax.operators import StatefulBatchLogic
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import TestingSink, cluster_main
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions

from connectors.kafka import group, shard
from connectors.kafka.client import Cluster
from connectors.kafka.plan import IDLE_POLL_US
from connectors.kafka.topics import resolve_start
from state.errors import Misuse, OffsetGone, PartitionsChanged, SnapshotRefused
from state.lifecycle import Lifecycle
from state.metrics import LAG, STALLED
from tests.connectors.kafka.rig import Rig, Row, decode, read
from tests.waiting import eventually, least_seconds


class Seen(StatefulBatchLogic[Any, Any, tuple[Row, ...]]):
    """Remembers every row in the snapshot: what was lost or counted twice shows."""

    def __init__(self, resume_state: tuple[Row, ...] | None) -> None:
        self.rows = list(resume_state or ())

    def on_batch(self, values):
        fresh = [row for block in values for row in block.rows]
        self.rows += fresh
        return [(list(self.rows), fresh)], StatefulBatchLogic.RETAIN

    def snapshot(self):
        return tuple(self.rows)


def run(rig: Rig, recovery, epoch_s: float = 0.05, decoder=decode):
    """Run the flow until it is stopped or killed; return what its steps emitted."""
    out: list[tuple[str, tuple[list[Row], list[Row]]]] = []
    flow = Dataflow("t")
    blocks = op.input("in", flow, rig.source(decoder=decoder))
    op.output("out", op.stateful_batch("seen", blocks, Seen), TestingSink(out))
    cluster_main(flow, [], 0, epoch_interval=timedelta(seconds=epoch_s), recovery_config=recovery)
    return out


def numbered(rig: Rig, count: int) -> list[tuple[int, bytes]]:
    return [(i % rig.partitions, f"v{i}".encode()) for i in range(count)]


def delete_before(rig: Rig, partition: int, offset: int) -> None:
    admin = AdminClient({"bootstrap.servers": rig.cluster.bootstrap})
    at = TopicPartition(rig.topic, partition, offset)
    admin.delete_records([at])[at].result(10)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_flow_killed_again_and_again_neither_loses_nor_repeats(rig, tmp_path, seed):
    r = rig(partitions=5, shards=2, batch=16)
    r.write(numbered(r, 1500))
    init_db_dir(tmp_path, 1)
    rng = random.Random(seed)
    last: dict[str, list[Row]] = {}
    kills = [rng.randrange(5, 60) for _ in range(6)]
    while sum(map(len, last.values())) < 1500:
        r.lifecycle = Lifecycle()
        seen = [row for rows in last.values() for row in rows]
        dies = _dies_after(r, kills.pop() if kills else None, seen)
        for name, (rows, _) in run(r, RecoveryConfig(tmp_path), decoder=dies):
            last[name] = rows
    assert len(kills) < 5, "it was never killed"
    rows = [row for part in last.values() for row in part]
    assert sorted(rows) == sorted((i % 5, i // 5, f"v{i}".encode()) for i in range(1500))
    for part in last.values():
        for p in {p for p, _, _ in part}:
            assert [o for q, o, _ in part if q == p] == list(range(300)), "out of order"


def _dies_after(rig: Rig, blocks: int | None, seen: list[Row]):
    """Kill the flow at a block; drain it once the last row of every partition was read."""
    ended = {p for p, offset, _ in seen if offset == 299}

    def decoder(messages):
        nonlocal blocks
        time.sleep(0.002)  # so that epochs end between blocks
        if blocks is not None:
            blocks -= 1
            if not blocks:
                raise AbortExecution
        block = decode(messages)
        ended.update(p for p, offset, _ in block.rows if offset == 299)
        if len(ended) == rig.partitions:
            rig.lifecycle.stopping.set()
        return block

    return decoder


def test_a_drained_flow_replays_nothing(rig, tmp_path):
    r = rig(partitions=3, shards=2, batch=20)
    r.write(numbered(r, 900))
    init_db_dir(tmp_path, 1)
    blocks = 0

    def stops(messages):
        nonlocal blocks
        blocks += 1
        if blocks in (9, 30):
            r.lifecycle.stopping.set()
        return decode(messages)

    fresh: list[Row] = []
    runs = 0
    while len(fresh) < 900:
        runs += 1
        r.lifecycle = Lifecycle()
        if runs == 3:
            stops = _stop_after(r, 900 - len(fresh))
        # An epoch that never ends by itself: only the drain makes a snapshot.
        out = run(r, RecoveryConfig(tmp_path), epoch_s=3600, decoder=stops)
        fresh += [row for _, (_, new) in out for row in new]
    assert runs == 3
    assert len(fresh) == len(set(fresh)) == 900
    assert {p: offset for p, (offset, _) in r.committed().items()} == {0: 300, 1: 300, 2: 300}


def _stop_after(rig: Rig, rows: int):
    def decoder(messages):
        nonlocal rows
        rows -= len(messages)
        if not rows:
            rig.lifecycle.stopping.set()
        return decode(messages)

    return decoder


def test_an_idle_partition_loses_nothing_over_a_restart(rig):
    r = rig(partitions=2)
    r.write([(0, b"before"), (1, b"before")])
    first = r.open(r.source("latest"))
    assert first.next_batch() == []
    state = first.snapshot()
    r.write([(0, b"down"), (1, b"down")])
    again = r.open(r.source("latest"), state)
    assert sorted(read(again, 2)) == [(0, 1, b"down"), (1, 1, b"down")]


def test_a_snapshot_is_a_copy_of_plain_values(rig):
    r = rig(partitions=2)
    part = r.open()
    state = part.snapshot()
    assert state == ("kafka", 2, r.topic, 2, {0: 0, 1: 0}, {}, {})
    r.write([(0, b"77")])
    read(part, 1)
    assert state[4] == {0: 0, 1: 0}
    assert part.snapshot()[:6] == ("kafka", 2, r.topic, 2, {0: 1, 1: 0}, {0: 77})


def test_a_shard_reads_only_its_own_partitions(rig):
    r = rig(partitions=5, shards=2)
    r.write(numbered(r, 50))
    rows = read(r.open(shard=1), 20)
    assert {p for p, _, _ in rows} == {1, 3}


def test_a_block_has_at_most_the_batch_s_messages(rig):
    r = rig(batch=7)
    r.write(numbered(r, 100))
    part = r.open()
    sizes: list[int] = []
    while sum(sizes) < 100:
        sizes += [len(block) for _, block in part.next_batch()]
    assert max(sizes) == 7


def test_large_messages_come_in_smaller_blocks(rig, monkeypatch):
    monkeypatch.setattr(shard, "BLOCK_BYTES", 1000)
    r = rig(batch=40)
    r.write([(0, b"x" * 100)] * 100 + [(0, b"x")] * 200)
    part = r.open()
    sizes: list[int] = []
    large: list[int] = []
    while sum(sizes) < 300:
        if 0 < sum(sizes) < 90:  # the next block holds large messages alone
            large.append(len(sizes))
        sizes += [len(block) for _, block in part.next_batch()]
    assert max(sizes[place] for place in large) == 10
    assert max(sizes) == 40


def test_polling_does_not_wait_for_messages(rig):
    part = rig().open()
    read(part, 1, seconds=0.5)
    assert least_seconds(lambda: [part.next_batch() for _ in range(10)]) < 0.01


def test_an_idle_shard_is_polled_less_often_until_something_comes(rig):
    r = rig(partitions=1)
    part = r.open()
    assert part.next_awake() is None
    eventually(lambda: part.next_batch() == [] and part.next_awake())
    asked, at = datetime.now(UTC), part.next_awake()
    assert asked < at <= datetime.now(UTC) + timedelta(microseconds=IDLE_POLL_US)
    assert at.microsecond % IDLE_POLL_US == 0
    r.write(numbered(r, 1))
    assert read(part, 1)
    assert part.next_awake() is None


def test_an_offset_deleted_before_opening_is_gone(rig):
    r = rig()
    r.write(numbered(r, 20))
    state = r.open().snapshot()
    delete_before(r, 0, 5)
    with pytest.raises(OffsetGone) as error:
        r.open(r.source(), state)
    assert error.value.args == (r.topic, 0, 0, 5, 20)


def test_an_offset_beyond_the_log_is_gone(rig):
    r = rig()
    r.write(numbered(r, 3))
    with pytest.raises(OffsetGone):
        r.open(r.source(), ("kafka", 1, r.topic, 1, {0: 4}, {}))


def test_an_offset_deleted_while_the_flow_runs_is_gone(rig):
    r = rig(partitions=2, shards=2)
    r.write(numbered(r, 40))
    source = r.source()
    r.open(source, shard=0)
    delete_before(r, 1, 10)
    late = r.open(source, shard=1)
    with pytest.raises(OffsetGone) as error:
        read(late, 1)
    assert error.value.args[:3] == (r.topic, 1, 0)


def test_a_partition_count_other_than_the_snapshot_s_stops_the_flow(rig):
    r = rig(partitions=2)
    part = r.open()
    state = part.snapshot()
    _grow(r, 3)
    with pytest.raises(PartitionsChanged) as error:
        r.open(r.source(), state)
    assert error.value.args == (r.topic, 2, 3)
    with pytest.raises(PartitionsChanged):
        r.open(r.source({0: 0, 1: 0, 2: 0}), state)


def test_a_topic_that_grows_stops_the_running_flow(rig, monkeypatch):
    monkeypatch.setattr(group.ConsumerGroup, "recount_s", 0.05)
    monkeypatch.setattr(group.ConsumerGroup, "exchange_s", 0.05)
    r = rig(partitions=2)
    part = r.open()
    read(part, 1, seconds=0.3)
    _grow(r, 3)
    with pytest.raises(PartitionsChanged):
        read(part, 1)


def _grow(rig: Rig, partitions: int) -> None:
    admin = AdminClient({"bootstrap.servers": rig.cluster.bootstrap})
    admin.create_partitions([NewPartitions(rig.topic, partitions)])[rig.topic].result(10)
    eventually(lambda: len(resolve_start(rig.cluster, rig.topic, "latest")) == partitions)


@pytest.mark.parametrize(
    "state",
    [
        ("kafka", 3, "{topic}", 1, {0: 0}, {}),
        ("kafka", 1, "another", 1, {0: 0}, {}),
        ("kafka", 1, "{topic}", 1, {1: 0}, {}),
    ],
)
def test_a_snapshot_of_another_layout_is_refused(rig, state):
    r = rig()
    told = tuple(r.topic if part == "{topic}" else part for part in state)
    with pytest.raises(SnapshotRefused):
        r.open(r.source(), told)


def test_durable_offsets_are_committed_for_any_tool_to_see(rig):
    r = rig(partitions=2)
    r.write([(0, b"100"), (0, b"300"), (0, b"200"), (1, b"x")])
    part = r.open()
    read(part, 4)
    part.snapshot()
    time.sleep(0.3)
    assert {offset for offset, _ in r.committed().values()} == {0}, "the snapshot was not durable"
    part.next_batch()
    eventually(lambda: r.committed() == {0: (3, "300"), 1: (1, "")})


def test_the_lag_is_what_was_not_consumed(rig):
    r = rig(batch=10)
    r.write(numbered(r, 50))
    part = r.open()
    read(part, 10)
    part._measure_lag()
    assert LAG.labels(r.topic, "0")._value.get() == 40


def test_a_partition_ahead_waits_and_goes_on_without_loss_or_repeat(rig):
    r = rig(partitions=2, batch=10, max_skew_ns=100)
    r.write([(1, b"0")])
    part = r.open()
    rows = read(part, 1)
    r.write((0, str(at).encode()) for at in range(0, 1000, 2))
    rows += read(part, 500, seconds=1)
    zero = [int(value) for p, _, value in rows if p == 0]
    assert 100 < zero[-1] <= 100 + 20, "at most one block beyond the skew"
    for at in range(50, 1050, 50):
        r.write([(1, str(at).encode())])
        rows += read(part, 1, seconds=0.05)
    rows += read(part, 521 - len(rows))
    assert sorted(rows) == sorted(set(rows))
    assert [int(value) for p, _, value in rows if p == 0] == list(range(0, 1000, 2))
    assert len(rows) == 521


def test_a_heartbeat_frees_those_that_wait_and_a_silent_partition_is_named(
    rig, caplog, monkeypatch
):
    monkeypatch.setattr(group.ConsumerGroup, "exchange_s", 0.1)
    r = rig(partitions=2, batch=10, max_skew_ns=100)
    r.write((0, str(at).encode()) for at in range(0, 1000, 10))
    part = r.open()
    rows = read(part, 100, seconds=0.5)
    assert len(rows) < 100
    stalled = STALLED.labels(r.topic, "1")
    eventually(lambda: part.next_batch() == [] and stalled._value.get() == 1)
    assert f"{r.topic}[1] holds the other partitions back" in caplog.text
    r.write([(1, b"", [("headrace-heartbeat", (950).to_bytes(8, "big"))])])
    rows += read(part, 101 - len(rows))
    assert (0, 99, b"990") in rows
    eventually(lambda: part.next_batch() == [] and stalled._value.get() == 0)


def test_processes_pace_each_other_through_the_group(rig):
    r = rig(partitions=2, shards=2, batch=10, max_skew_ns=100)
    r.write([(1, b"0")])
    fast = r.open(r.source(local=r.names[:1]), shard=0)
    slow = r.open(r.source(local=r.names[1:]), shard=1)
    rows = read(slow, 1)
    eventually(lambda: fast._process.pacing.newest(1) == 0)
    r.write([(0, str(at).encode()) for at in range(0, 1000, 10)])
    rows += read([fast, slow], 100, seconds=0.5)
    assert max(int(value) for _, _, value in rows) <= 200
    r.write([(1, b"950")])
    rows += read([fast, slow], 102 - len(rows))
    assert len(rows) == len(set(rows)) == 102


def test_a_cluster_out_of_reach_is_misuse():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        cluster = Cluster(f"127.0.0.1:{nobody.getsockname()[1]}")
        with pytest.raises(Misuse, match="cannot be reached"):
            resolve_start(cluster, "t", "earliest", timeout_s=0.5)
