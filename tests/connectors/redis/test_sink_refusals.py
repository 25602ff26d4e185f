"""What stops a flow that writes to Redis: lost and foreign marks, taken keys, bad logins."""

from __future__ import annotations

import re

import pytest

from connectors.redis.keys import Keys
from state.errors import Fenced, ForeignMarks, KeyTaken, LostWrites, SettingsError, Undelivered
from tests.connectors.redis.places import SHARD, Redis, batch, write


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
