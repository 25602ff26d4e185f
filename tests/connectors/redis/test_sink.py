"""The Redis sink against a real Valkey: marks, lineage, outages, order."""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

import bytewax.operators as op
import pytest
import redis
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSource, run_main
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from connectors.redis.client import pool
from connectors.redis.eviction import EvictionWatch
from connectors.redis.keys import Keys
from connectors.redis.reader import RedisReader
from connectors.redis.script import MAX_RECORDS, calls
from connectors.redis.sink import RedisPartition, RedisSink
from flows.servers import Valkey
from state.errors import (
    Fenced,
    ForeignMarks,
    KeyTaken,
    LostWrites,
    SettingsError,
    Stopped,
    Undelivered,
)
from state.lifecycle import Lifecycle
from state.metrics import REDIS_EVICTS, SINK_WAITING
from state.records import OutputBatch
from state.shards import shard_name, shard_names
from tests.waiting import PATIENCE_S, eventually

SHARD = shard_name(0)


def batch(first: int, count: int, output: str = "bars", origin: str = "0") -> OutputBatch:
    counters = range(first, first + count)
    return OutputBatch(
        output=output,
        origin=origin,
        first=first,
        times_ns=[10**18 + c for c in counters],
        ids=[f"{output}/{origin}/{c}" for c in counters],
        keys=[f"K{c % 7}" for c in counters] if output == "bars" else [""] * count,
        values=[b'{"c":%d}' % c for c in counters],
    )


class Redis:
    """One system's place in a server, and sinks that write to it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.system = f"t{uuid.uuid4().hex}"
        self.client = redis.Redis.from_url(url)

    def sink(
        self,
        lineage: str = "ours",
        lifecycle: Lifecycle | None = None,
        stream_length: int = 100_000,
        url: str | None = None,
        writer: str = "one",
    ) -> RedisSink:
        names = shard_names(2)
        return RedisSink(
            SecretStr(url or self.url),
            Keys(self.system, 1),
            lineage,
            stream_length,
            names,
            names,
            lifecycle or Lifecycle(),
            writer,
        )

    def partition(
        self, lineage: str = "ours", lifecycle: Lifecycle | None = None
    ) -> RedisPartition:
        return self.sink(lineage, lifecycle).build_part("redis", SHARD, None)

    def reader(self) -> RedisReader:
        return RedisReader(SecretStr(self.url), self.system, 1)

    def counters(self, output: str = "bars", origin: str = "0") -> list[int]:
        reader = self.reader()
        found = [e.counter for e in reader.entries(output) if e.origin == origin]
        reader.close()
        return found

    def dump(self) -> object:
        """Everything of the generation, streams without their ids."""
        reader = self.reader()
        outputs = {output for output, _ in reader.marks()}
        streams = {o: [entry[1:] for entry in reader.entries(o)] for o in sorted(outputs)}
        tables = {o: reader.latest(o) for o in sorted(outputs)}
        found = (streams, tables, reader.marks(), reader.lineage())
        reader.close()
        return found


@pytest.fixture
def place(valkey: Valkey) -> Iterator[Redis]:
    made = Redis(valkey.url)
    yield made
    made.client.close()


@pytest.fixture
def own_place(own_valkey: Valkey) -> Iterator[Redis]:
    made = Redis(own_valkey.url)
    yield made
    made.client.close()


def write(partition: RedisPartition, *batches: OutputBatch) -> None:
    partition.write_batch(list(batches))
    partition.snapshot()


def test_a_batch_becomes_stream_latest_values_and_mark(place: Redis) -> None:
    write(place.partition(), batch(1, 9))
    reader = place.reader()
    entries = list(reader.entries("bars"))
    assert [e[1:] for e in entries] == [
        ("0", c, f"bars/0/{c}", b'{"c":%d}' % c, False) for c in range(1, 10)
    ]
    assert reader.latest("bars") == {f"K{c % 7}": b'{"c":%d}' % c for c in (7, 8, 9, 3, 4, 5, 6)}
    assert reader.marks() == {("bars", "0"): 9}
    assert reader.lineage() == "ours"
    reader.close()


def test_a_call_of_many_records_keeps_the_order_of_values_and_retractions(place: Redis) -> None:
    whole = batch(1, 3 * MAX_RECORDS + 7)
    gone = frozenset(row for row in range(len(whole)) if row % 3 == 1)
    write(place.partition(), replace(whole, retracted=gone))
    expected: dict[str, bytes] = {}
    for row, (key, value) in enumerate(zip(whole.keys, whole.values, strict=True)):
        if row in gone:
            expected.pop(key, None)
        else:
            expected[key] = value
    reader = place.reader()
    assert 0 < len(expected) < 7
    assert reader.latest("bars") == dict(sorted(expected.items()))
    assert [e.counter - 1 for e in reader.entries("bars") if e.retracted] == sorted(gone)
    reader.close()


def test_a_retraction_without_a_key_is_an_entry_alone(place: Redis) -> None:
    write(place.partition(), replace(batch(1, 2, "signals"), retracted=frozenset({1})))
    assert not place.client.exists(Keys(place.system, 1).latest("signals"))
    assert place.counters("signals") == [1, 2]


def test_an_output_without_keys_has_no_latest_values(place: Redis) -> None:
    write(place.partition(), batch(1, 3, "signals"))
    assert not place.client.exists(Keys(place.system, 1).latest("signals"))
    assert place.counters("signals") == [1, 2, 3]


def test_a_write_is_visible_before_it_is_confirmed(place: Redis) -> None:
    partition = place.partition()
    partition.write_batch([batch(1, 1)])
    deadline = time.monotonic() + 5
    while not place.counters() and time.monotonic() < deadline:
        time.sleep(0.001)
    assert place.counters() == [1]
    partition.close()


def test_the_same_batches_twice_change_nothing(place: Redis) -> None:
    batches = [batch(1, 5), batch(6, 700), batch(1, 4, "signals", "merge")]
    write(place.partition(), *batches)
    before = place.dump()
    write(place.partition(), *batches)
    assert place.dump() == before


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cuts=st.lists(st.integers(1, 60), max_size=6),
    again=st.lists(st.integers(1, 60), max_size=6),
    replay_from=st.integers(1, 40),
)
def test_batches_cut_anew_after_a_crash_leave_each_record_once(
    place: Redis, cuts: list[int], again: list[int], replay_from: int
) -> None:
    place.system = f"t{uuid.uuid4().hex}"

    def run(start: int, end: int, points: list[int]) -> None:
        partition = place.partition()
        edges = sorted({start, end, *(p for p in points if start < p < end)})
        for first, stop in pairwise(edges):
            write(partition, batch(first, stop - first))
        partition.close()

    run(1, 41, cuts)
    run(replay_from, 61, again)
    assert place.counters() == list(range(1, 61))


def test_a_run_that_began_later_fences_the_former(place: Redis) -> None:
    former = place.partition()
    write(former, batch(1, 5))
    later = place.sink(writer="two").build_part("redis", SHARD, None)
    former.write_batch([batch(6, 5)])
    with pytest.raises(Fenced, match="run twice: two writes it now, so this run stops"):
        former.snapshot()
    assert place.counters() == [1, 2, 3, 4, 5], "what the former wrote then"
    write(later, batch(6, 5))
    assert place.counters() == list(range(1, 11))


def test_large_batches_are_cut(place: Redis) -> None:
    large = batch(1, 2 * MAX_RECORDS + 1)
    cut = calls(large, Keys(place.system, 1), "ours", 1, "one")
    assert [(call.first, call.last) for call in cut] == [
        (1, MAX_RECORDS),
        (MAX_RECORDS + 1, 2 * MAX_RECORDS),
        (2 * MAX_RECORDS + 1, 2 * MAX_RECORDS + 1),
    ]
    write(place.partition(), large)
    assert place.counters() == list(range(1, 2 * MAX_RECORDS + 2))


def test_streams_are_trimmed_to_about_their_length(place: Redis) -> None:
    partition = place.sink(stream_length=1000).build_part("redis", SHARD, None)
    for first in range(1, 20_001, 500):
        write(partition, batch(first, 500))
    counters = place.counters()
    assert 1000 <= len(counters) <= 1200
    assert counters == list(range(20_001 - len(counters), 20_001))


def test_entries_of_each_origin_are_in_counter_order(place: Redis) -> None:
    names = shard_names(2)
    items = [
        (names[turn % 2], batch(turn // 2 * 3 + 1, 3, origin=str(turn % 2))) for turn in range(200)
    ]
    flow = Dataflow("test")
    op.output("redis", op.input("in", flow, TestingSource(items, 7)), place.sink())
    run_main(flow)
    assert place.counters(origin="0") == list(range(1, 301))
    assert place.counters(origin="1") == list(range(1, 301))


def test_a_gap_of_the_counter_stops_the_flow(place: Redis) -> None:
    partition = place.partition()
    write(partition, batch(1, 5))
    partition.write_batch([batch(7, 1)])
    with pytest.raises(LostWrites, match="bars of 0 ends at 5, 6 had been acknowledged"):
        partition.snapshot()
    assert place.counters() == [1, 2, 3, 4, 5]


def test_a_first_record_after_the_first_counter_stops_the_flow(place: Redis) -> None:
    partition = place.partition()
    partition.write_batch([batch(2, 1)])
    with pytest.raises(LostWrites, match="ends at 0"):
        partition.snapshot()
    assert place.dump() == ({}, {}, {}, None)


def test_another_lineage_stops_the_flow(place: Redis) -> None:
    write(place.partition("theirs"), batch(1, 5))
    before = place.dump()
    partition = place.partition("ours")
    partition.write_batch([batch(1, 9)])
    with pytest.raises(ForeignMarks, match="lineage theirs, ours is ours"):
        partition.snapshot()
    assert place.dump() == before


def test_marks_without_a_lineage_stop_the_flow(place: Redis) -> None:
    write(place.partition(), batch(1, 5))
    place.client.delete(Keys(place.system, 1).lineage)
    partition = place.partition()
    partition.write_batch([batch(6, 1)])
    with pytest.raises(ForeignMarks):
        partition.snapshot()


def test_a_redis_that_was_emptied_mid_run_stops_the_flow(own_place: Redis) -> None:
    partition = own_place.partition()
    write(partition, batch(1, 5))
    own_place.client.flushall()
    partition.write_batch([batch(6, 1)])
    with pytest.raises(LostWrites, match="ends at 0, 5 had been acknowledged"):
        partition.snapshot()


def test_a_redis_that_was_emptied_while_down_stops_the_flow_at_the_start(
    own_place: Redis,
) -> None:
    partition = own_place.partition()
    write(partition, batch(1, 5))
    state = partition.snapshot()
    own_place.sink().build_part("redis", SHARD, state)
    own_place.client.flushall()
    with pytest.raises(LostWrites, match="ends at 0, 5 had been acknowledged"):
        own_place.sink().build_part("redis", SHARD, state)


def test_a_script_cache_that_was_flushed_is_filled_again(place: Redis) -> None:
    partition = place.partition()
    write(partition, batch(1, 5))
    place.client.script_flush()
    write(partition, batch(6, 5), batch(11, 5))
    assert place.counters() == list(range(1, 16))


def in_background(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def waits(lifecycle: Lifecycle) -> bool:
    return bool(
        eventually(
            lambda: "redis" in lifecycle.waiting and SINK_WAITING.labels("redis")._value.get()
        )
    )


def test_a_writer_waits_for_a_killed_server_and_goes_on(own_valkey: Valkey) -> None:
    place, lifecycle = Redis(own_valkey.url), Lifecycle()
    partition = place.partition(lifecycle=lifecycle)
    written = 0

    def work() -> None:
        nonlocal written
        while written < 3000:
            partition.write_batch([batch(written + 1, 3)])
            written += 3
        partition.close()

    writer = in_background(work)
    while written < 300:
        time.sleep(0.001)
    own_valkey.kill()
    assert waits(lifecycle)
    stuck = written
    assert stuck < 3000
    time.sleep(0.2)
    assert written == stuck
    own_valkey.start()
    writer.join(PATIENCE_S)
    assert written == 3000
    assert lifecycle.waiting == {}
    assert place.counters() == list(range(1, 3001))


def test_a_writer_that_waits_can_be_stopped(own_valkey: Valkey) -> None:
    lifecycle = Lifecycle()
    partition = Redis(own_valkey.url).partition(lifecycle=lifecycle)
    own_valkey.kill()
    stopped: list[Exception] = []

    def work() -> None:
        try:
            partition.write_batch([batch(1, 3)])
        except Stopped as error:
            stopped.append(error)

    writer = in_background(work)
    assert waits(lifecycle)
    lifecycle.stopping.set()
    writer.join(PATIENCE_S)
    assert len(stopped) == 1


def test_a_server_that_hangs_is_noticed(
    own_valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.redis.client.TIMEOUT_SECONDS", 0.2)
    place, lifecycle = Redis(own_valkey.url), Lifecycle()
    partition = place.partition(lifecycle=lifecycle)
    write(partition, batch(1, 3))
    place.client.client_pause(10**6, all=False)
    writer = in_background(lambda: write(partition, batch(4, 3)))
    assert waits(lifecycle)
    place.client.client_unpause()
    writer.join(PATIENCE_S)
    assert place.counters() == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("trouble", "cure"),
    [
        ({"maxmemory": "1"}, {"maxmemory": "0"}),
        ({"min-replicas-to-write": "1"}, {"min-replicas-to-write": "0"}),
    ],
    ids=["out of memory", "too few replicas"],
)
def test_a_server_that_takes_no_writes_for_now_is_waited_for(
    own_place: Redis, trouble: dict[str, str], cure: dict[str, str]
) -> None:
    lifecycle = Lifecycle()
    partition = own_place.partition(lifecycle=lifecycle)
    write(partition, batch(1, 3))
    own_place.client.config_set(*next(iter(trouble.items())))
    writer = in_background(lambda: write(partition, batch(4, 3), batch(7, 3)))
    assert waits(lifecycle)
    own_place.client.config_set(*next(iter(cure.items())))
    writer.join(PATIENCE_S)
    assert own_place.counters() == list(range(1, 10))


def test_a_replica_is_waited_for_until_it_is_the_primary(own_place: Redis) -> None:
    lifecycle = Lifecycle()
    partition = own_place.partition(lifecycle=lifecycle)
    write(partition, batch(1, 3))
    own_place.client.slaveof("127.0.0.1", 1)
    writer = in_background(lambda: write(partition, batch(4, 3)))
    assert waits(lifecycle)
    own_place.client.slaveof()
    writer.join(PATIENCE_S)
    assert own_place.counters() == list(range(1, 7))


def test_a_write_that_redis_refuses_for_good_stops_the_flow(place: Redis) -> None:
    keys = Keys(place.system, 1)
    place.client.set(keys.lineage, "ours")
    place.client.hset(keys.marks, "bars/0", "no number")
    partition = place.partition()
    partition.write_batch([batch(1, 1)])
    with pytest.raises(Undelivered, match="ResponseError"):
        partition.snapshot()


def test_a_wrong_password_stops_the_flow_and_is_not_told(own_place: Redis) -> None:
    own_place.client.config_set("requirepass", "right-one")
    url = own_place.url.replace("redis://", "redis://:s3cret-w0rd@")
    with pytest.raises(SettingsError, match="refuses the login") as refused:
        own_place.sink(url=url).build_part("redis", SHARD, None)
    assert "s3cret" not in repr(refused.value) + str(refused.value)
    assert refused.value.__cause__ is None


def test_the_password_is_in_no_reason_for_waiting(own_valkey: Valkey) -> None:
    own_valkey.kill()
    lifecycle = Lifecycle()
    url = own_valkey.url.replace("redis://", "redis://:s3cret-w0rd@")
    sink = Redis(own_valkey.url).sink(url=url, lifecycle=lifecycle)

    def work() -> None:
        with pytest.raises(Stopped):
            sink.build_part("redis", SHARD, None).write_batch([batch(1, 1)])

    writer = in_background(work)
    assert waits(lifecycle)
    assert "s3cret" not in str(lifecycle.waiting)
    lifecycle.stopping.set()
    writer.join(PATIENCE_S)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:s3cret/w0rd@localhost:6379/0",
        "redis://:12/s3cret@localhost:6379/0",
        "redis://user:s3cret#w0rd@localhost:6379",
        "http://user:s3cret@localhost",
        "redis://localhost:s3cret",
        "redis://localhost?s3cret=1",
    ],
)
def test_a_url_that_does_not_parse_is_not_repeated(url: str) -> None:
    with pytest.raises(SettingsError, match="does not parse") as refused:
        Redis("redis://127.0.0.1:1").sink(url=url)
    assert "s3cret" not in str(refused.value)
    assert refused.value.__context__ is None


@pytest.mark.parametrize("key", ["stream", "latest", "marks", "lineage"])
def test_a_key_of_another_type_is_told_before_anything_is_written(place: Redis, key: str) -> None:
    keys = Keys(place.system, 1)
    named = {
        "stream": keys.stream("bars"),
        "latest": keys.latest("bars"),
        "marks": keys.marks,
        "lineage": keys.lineage,
    }
    taken = named.pop(key)
    place.client.sadd(taken, "theirs")
    partition = place.partition()
    for _ in range(2):
        with pytest.raises(KeyTaken, match=f"{re.escape(taken)} holds a set where .*RENAME"):
            write(partition, batch(1, 9))
        partition.close()
        partition = place.partition()
    assert [name for name in named.values() if place.client.exists(name)] == []
    place.client.delete(taken)
    write(partition, batch(1, 9))
    assert place.counters() == list(range(1, 10))
    partition.close()


def test_a_policy_that_drops_keys_is_told_once_and_measured(
    own_place: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    lifecycle = Lifecycle()
    own_place.partition(lifecycle=lifecycle)
    eventually(lambda: REDIS_EVICTS._value.get() == 0)
    own_place.client.config_set("maxmemory-policy", "allkeys-lru")
    watch = EvictionWatch(pool(SecretStr(own_place.url)), Lifecycle())
    for _ in range(2):
        watch.look()
    assert REDIS_EVICTS._value.get() == 1
    own_place.client.config_set("maxmemory-policy", "volatile-lru")
    watch.look()
    assert REDIS_EVICTS._value.get() == 0
    assert [r.message for r in caplog.records if "maxmemory-policy allkeys-lru" in r.message]
    lifecycle.stopping.set()
