"""Every sink that we have, under the contract in sinks.py."""

from __future__ import annotations

import random
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from connectors.kafka.client import Cluster
from connectors.kafka.delivery import Delivery
from connectors.kafka.sink import KafkaSink
from connectors.redis.keys import Keys
from connectors.redis.reader import RedisReader
from connectors.redis.sink import RedisSink
from replay.export import export_output, export_tables
from replay.files import OutputFiles
from replay.topics import held_messages
from state.lifecycle import Lifecycle
from state.outputs import Output
from state.records import OutputBatch
from state.shards import shard_name, shard_names
from tests.conftest import create_topic
from tests.contracts.sinks import CANARY, PLAIN, SEAL, Place, Step, batches, canaries, check, cuts
from tests.contracts.sinks import steps as sequences
from tests.files import bytes_of, files_below

NAMES = shard_names(1)
SERVERS = settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines()


class InFiles:
    """A replay's files; a replay gives them each record once."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / uuid.uuid4().hex
        self._batches: list[OutputBatch] = []
        self._held: set[tuple[str, int]] = set()

    def write(self, batches: list[OutputBatch]) -> None:
        new = [b for b in batches if (b.origin, b.first) not in self._held]
        self._held.update((b.origin, b.first + row) for b in new for row in range(len(b)))
        self._batches += new
        shutil.rmtree(self.directory, ignore_errors=True)
        files = OutputFiles(self.directory, (PLAIN,), 1000)
        for batch in self._batches:
            files.add(batch)
        files.write()

    def lines(self) -> list[bytes]:
        return lines(self.directory / "beds.jsonl")

    def table(self) -> list[bytes]:
        return lines(self.directory / "tables" / "beds.jsonl")


class InRedis:
    """The Redis sink and its reader."""

    def __init__(self, url: str) -> None:
        self.url, self.system = SecretStr(url), f"t{uuid.uuid4().hex}"
        keys = Keys(self.system, 1)
        sink = RedisSink(self.url, keys, "ours", 100_000, NAMES, NAMES, Lifecycle(), "one")
        self._part = sink.build_part("redis", shard_name(0), None)

    def write(self, batches: list[OutputBatch]) -> None:
        self._part.write_batch(batches)
        self._part.snapshot()

    def reader(self) -> RedisReader:
        return RedisReader(self.url, self.system, 1)

    def lines(self) -> list[bytes]:
        entries = list(self.reader().entries("beds"))
        assert all(entry.retracted == (b'"retracted":true' in entry.value) for entry in entries)
        return [entry.value for entry in entries]

    def table(self) -> list[bytes]:
        return list(self.reader().latest("beds").values())


class Exported:
    """The Kafka and Redis sinks, read back by `headrace export`'s functions."""

    def __init__(self, bootstrap: str, topic: str, generation: int, redis_url: str, out: Path):
        self._cluster, self._topic, self._generation = Cluster(bootstrap), topic, generation
        self._redis = InRedis(redis_url)
        self._out = out / str(generation)
        delivery = Delivery(self._cluster, Lifecycle())
        sink = KafkaSink(delivery, {"beds": topic}, NAMES, NAMES, generation, "ours")
        self._part = sink.build_part("kafka", shard_name(0), None)

    def write(self, batches: list[OutputBatch]) -> None:
        self._part.write_batch(batches)
        self._part.snapshot()
        self._redis.write(batches)

    def _export(self) -> Path:
        files = OutputFiles(self._out, (PLAIN,), 1000)
        export_tables((PLAIN,), self._redis.reader(), files)
        export_output(PLAIN, self._topic, self._generation, self._cluster, files)
        files.write()
        return self._out

    def lines(self) -> list[bytes]:
        return lines(self._export() / "beds.jsonl")

    def table(self) -> list[bytes]:
        return lines(self._export() / "tables" / "beds.jsonl")


@pytest.fixture(params=["files", "redis"])
def make_place(request, tmp_path) -> Callable[[], Place]:
    """Return what makes a fresh place of the sink under test."""
    if request.param == "files":
        return lambda: InFiles(tmp_path)
    url = request.getfixturevalue("valkey").url
    return lambda: InRedis(url)


@SERVERS
@given(data=st.data(), sequence=sequences, sealed=st.booleans())
def test_a_sink_holds_what_a_dict_would_however_it_is_cut(make_place, data, sequence, sealed):
    made = batches(sequence, data.draw(cuts(sequence)), SEAL if sealed else None)
    check(make_place(), made, data.draw(st.integers(0, len(made))))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_export_holds_what_a_dict_would(seed, kafka, topic, valkey, tmp_path):
    rng = random.Random(seed)
    sequence = [Step(rng.choice("abcd"), rng.random() < 0.4) for _ in range(200)]
    at = sorted(rng.randrange(len(sequence)) for _ in range(20))
    place = Exported(kafka.bootstrap, topic(2), seed, valkey.url, tmp_path)
    made = batches(sequence, at, SEAL if seed == 2 else None)
    check(place, made, rng.randrange(len(made)))


def resting(root: Path, words: list[bytes]) -> set[bytes]:
    """Return which of some texts any file below a directory holds."""
    contents = [bytes_of(path) for path in files_below(root)]
    return {word for word in words if any(word in found for found in contents)}


def test_a_text_in_a_sealed_output_rests_nowhere_in_clear(own_valkey, own_kafka, tmp_path):
    """Not in Redis' file, Kafka's logs or a replay's files; a plain one is found in all of them."""
    sequence = [Step("a", False), Step("b", False), Step("a", True), Step("c", False)]
    words = list(canaries(sequence))
    clear = {CANARY.encode(), b"patient a", b"patient b", b"patient c"}
    for seal, found in ((SEAL, set[bytes]()), (None, clear)):
        made, out = batches(sequence, [2], seal), tmp_path / str(seal is None)
        topic = f"wards.{uuid.uuid4().hex}"
        create_topic(own_kafka, topic, 1)
        live = Exported(own_kafka.bootstrap, topic, 1, own_valkey.url, out / "live")
        live.write(made)
        InFiles(out / "replay").write(made)
        assert sorted(live.lines()) == sorted(value for batch in made for value in batch.values)
        with redis.Redis.from_url(own_valkey.url) as connection:
            connection.config_set("rdbcompression", "no")
            connection.save()
        roots = [own_valkey.home, own_kafka._broker.home, out / "live", out / "replay"]
        assert [resting(root, words) for root in roots] == [found] * len(roots)


def test_a_sealed_output_without_a_table_keeps_its_order_in_kafka(kafka, topic):
    """The message key is one hash for one entity, and says nothing."""
    output = Output("wards", "alerts", "ts_ns", (), message_key="bed", secret=True)
    values = [b'{"bed":"%d","id":"%d","ts_ns":1}' % (number % 2, number) for number in range(6)] + [
        b'{"id":"7","ts_ns":1}'
    ]
    count = len(values)
    batch = OutputBatch(
        "alerts", "0", 1, [1] * count, [str(n) for n in range(count)], [""] * count, values
    )
    name = topic(4)
    delivery = Delivery(Cluster(kafka.bootstrap), Lifecycle())
    sink = KafkaSink(delivery, {"alerts": name}, NAMES, NAMES, 1, "ours", [output])
    part = sink.build_part("kafka", shard_name(0), None)
    part.write_batch([SEAL.batch(output, batch)])
    part.snapshot()
    messages = [m for part in held_messages(name, Cluster(kafka.bootstrap)) for m in part]
    opened = {
        orjson.loads(SEAL.unseal(output.topic, m.value or b""))["id"]: (m.partition, m.key)
        for m in messages
    }
    assert len({opened[str(n)] for n in (0, 2, 4)}) == 1
    assert len({opened[str(n)][1] for n in (0, 1, 7)}) == 3
    assert opened["7"][1] is None
    assert opened["0"][1] == SEAL.key(output, "0").encode()
