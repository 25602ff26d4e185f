"""Reading a generation, and switching to another."""

from __future__ import annotations

import uuid

import redis
from pydantic import SecretStr

from connectors.redis.client import command
from connectors.redis.keys import Keys, generation_key
from connectors.redis.reader import PAGE, RedisReader, current_generation, promote
from connectors.redis.sink import RedisSink
from flows.servers import Valkey
from state.lifecycle import Lifecycle
from state.records import OutputBatch
from state.shards import shard_name


def fill(url: str, keys: Keys, count: int) -> None:
    name = shard_name(0)
    sink = RedisSink(SecretStr(url), keys, "l", 100_000, [name], [name], Lifecycle(), "one")
    partition = sink.build_part("redis", name, None)
    counters = range(1, count + 1)
    ids = [str(c) for c in counters]
    values = [b"%d" % c for c in counters]
    partition.write_batch([OutputBatch("bars", "3", 1, [0] * count, ids, ["k"] * count, values)])
    partition.snapshot()
    partition.close()


def test_entries_are_read_over_page_borders_and_after_an_id(valkey: Valkey) -> None:
    keys = Keys(f"t{uuid.uuid4().hex}", 1)
    fill(valkey.url, keys, 2 * PAGE)
    reader = RedisReader(SecretStr(valkey.url), keys.system)
    entries = list(reader.entries("bars"))
    assert [e.counter for e in entries] == list(range(1, 2 * PAGE + 1))
    after = list(reader.entries("bars", entries[1500].stream_id))
    assert after == entries[1501:]
    assert list(reader.entries("risk")) == []
    reader.close()


def test_readers_switch_generations_at_once(valkey: Valkey) -> None:
    system = f"t{uuid.uuid4().hex}"
    client = redis.Redis.from_url(valkey.url)
    assert current_generation(client, system) == 1
    fill(valkey.url, Keys(system, 1), 1)
    fill(valkey.url, Keys(system, 2), 2)
    url = SecretStr(valkey.url)
    assert RedisReader(url, system).latest("bars") == {"k": b"1"}
    promote(client, system, 2)
    assert current_generation(client, system) == 2
    assert RedisReader(url, system).latest("bars") == {"k": b"2"}
    assert RedisReader(url, system, 1).marks() == {("bars", "3"): 1}
    client.close()


def test_all_keys_of_a_system_share_a_cluster_slot() -> None:
    keys = Keys("market", 2)
    named = [keys.marks, keys.lineage, keys.stream("bars"), keys.latest("bars")]
    for name in [*named, generation_key("market")]:
        assert name[name.index("{") + 1 : name.index("}")] == "market"


def test_commands_are_encoded_by_byte_length() -> None:
    assert command("SET", "é", b"\x00\r\n", 12) == (
        b"*4\r\n$3\r\nSET\r\n$2\r\n\xc3\xa9\r\n$3\r\n\x00\r\n\r\n$2\r\n12\r\n"
    )
