"""Every sink that we have, under the contract in sinks.py."""

from __future__ import annotations

import random
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
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
from state.lifecycle import Lifecycle
from state.records import OutputBatch
from state.shards import shard_name, shard_names
from tests.contracts.sinks import PLAIN, SEAL, Place, Step, batches, check, cuts
from tests.contracts.sinks import steps as sequences

NAMES = shard_names(1)
SERVERS = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
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
        sink = RedisSink(self.url, keys, "ours", 100_000, NAMES, NAMES, Lifecycle())
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
        sink = KafkaSink(delivery, {"beds": topic}, NAMES, NAMES, generation)
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
