"""The Redis sink against a real Valkey: records, marks, order, and each of them once."""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from itertools import pairwise

import bytewax.operators as op
import pytest
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSource, run_main
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from connectors.redis.client import pool
from connectors.redis.eviction import EvictionWatch
from connectors.redis.keys import Keys
from connectors.redis.script import MAX_RECORDS, calls
from state.lifecycle import Lifecycle
from state.metrics import REDIS_EVICTS
from state.shards import shard_names
from tests.connectors.redis.places import SHARD, Redis, batch, write
from tests.waiting import eventually


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


def test_a_script_cache_that_was_flushed_is_filled_again(place: Redis) -> None:
    partition = place.partition()
    write(partition, batch(1, 5))
    place.client.script_flush()
    write(partition, batch(6, 5), batch(11, 5))
    assert place.counters() == list(range(1, 16))


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
