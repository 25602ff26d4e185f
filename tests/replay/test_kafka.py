"""Publish, record and export, against the real broker and the real Redis server."""

import time
import uuid
from typing import Any

import orjson
import pytest
import redis

from connectors.kafka.delivery import Delivery
from connectors.kafka.marks import MARK_HEADER, Mark
from connectors.kafka.sink import DeadLetterSink, KafkaSink
from connectors.kafka.topics import ensure_topics, partition_count
from connectors.redis.keys import Keys
from flows.__main__ import main
from flows.engine.cluster import cluster_of
from flows.settings.servers import Kafka
from replay.compare import compare
from replay.files import OutputFiles
from replay.market.session import Session, record_session
from replay.topics import held_messages
from state.clock import now_ns
from state.lifecycle import Lifecycle
from state.market.outputs import MARKET
from state.outputs import to_json
from state.records import Coordinates, DeadLetter, OutputBatch
from tests.replay.recordings import message, read, write

MS = 1_000_000
KEY = b"a key of the tests"


@pytest.fixture
def cluster(kafka, monkeypatch):
    monkeypatch.setenv("HEADRACE_KAFKA__BOOTSTRAP", kafka.bootstrap)
    monkeypatch.setenv("HEADRACE_KAFKA__MARK_KEY", KEY.decode())
    return cluster_of(Kafka(bootstrap=kafka.bootstrap))


@pytest.fixture
def name():
    return f"replay.{uuid.uuid4().hex[:12]}"


def named(topic, messages):
    return [m._replace(topic=topic) for m in messages]


def held(topic, cluster):
    found = [m for messages in held_messages(topic, cluster) for m in messages]
    return sorted(found, key=lambda m: (m.partition, m.offset))


def plain(messages):
    return [m._replace(headers=list(m.headers)) for m in messages]


def test_a_recording_comes_back_from_kafka_with_its_first_coordinates(cluster, name, tmp_path):
    messages = named(
        name,
        [
            message(4, 0, timestamp_ns=1_381_152_600_123_000_000, headers=[("h", b"v")]),
            message(7, 0, timestamp_ns=1_381_152_600_125_999_999, key=None, value=b""),
            message(0, 2, headers=[("headrace-origin", b"first/0/9")], timestamp_ns=5 * MS),
            message(1, 2, value=None, timestamp_ns=6 * MS),
        ],
    )
    path = write(tmp_path / "a", {name: 3}, messages)
    assert main(["publish", str(path)]) == 0
    found = held(name, cluster)
    assert [(m.partition, m.timestamp_ns, m.key, m.value) for m in found] == [
        (m.partition, m.timestamp_ns // MS * MS, m.key, m.value) for m in messages
    ]
    for m in found:
        assert Mark(KEY).proves(m.topic, m.partition, m.key, m.value, list(m.headers))
    assert [[pair for pair in m.headers if pair[0] != MARK_HEADER] for m in found] == [
        [("h", b"v"), ("headrace-origin", f"{name}/0/4".encode())],
        [("headrace-origin", f"{name}/0/7".encode())],
        [("headrace-origin", b"first/0/9")],
        [("headrace-origin", f"{name}/2/1".encode())],
    ]
    assert partition_count(cluster, name) == 3


def test_a_topic_with_another_partition_count_is_misuse(cluster, name, tmp_path, capsys):
    ensure_topics(cluster, {name: 2})
    path = write(tmp_path / "a", {name: 3}, named(name, [message(0)]))
    assert main(["publish", str(path)]) == 2
    assert "2 partitions and the recording 3" in capsys.readouterr().err


def test_a_message_that_the_broker_refuses_is_not_called_published(cluster, name, tmp_path, capsys):
    ensure_topics(cluster, {name: 1}, {"max.message.bytes": "1000"})
    path = write(tmp_path / "a", {name: 1}, named(name, [message(0, value=b"x" * 5000)]))
    assert main(["publish", str(path)]) == 1
    assert "refused" in capsys.readouterr().err


def test_publishing_keeps_to_the_speed(cluster, name, tmp_path):
    times = [0, 400, 800]
    messages = [message(n, timestamp_ns=(10**6 + t) * MS) for n, t in enumerate(times)]
    path = write(tmp_path / "a", {name: 1}, named(name, messages))
    began = time.monotonic()
    assert main(["publish", str(path), "--speed", "2"]) == 0
    assert time.monotonic() - began > 0.4
    assert len(held(name, cluster)) == 3


def test_recording_a_topic_and_publishing_it_again_keeps_everything(cluster, name, tmp_path):
    record_session(Session(seed=2, count=3000, symbols=5, partitions=2), tmp_path / "a")
    messages = [m._replace(topic=name) for m in read(tmp_path / "a")]
    write(tmp_path / "b", {name: 2}, messages)
    assert main(["publish", str(tmp_path / "b")]) == 0
    assert main(["record", name, "--out", str(tmp_path / "c")]) == 0
    recorded = read(tmp_path / "c")
    assert plain(recorded) == plain(held(name, cluster))
    assert [m[3:6] for m in recorded] == [(m[3] // MS * MS, *m[4:6]) for m in messages]


def test_recording_ends_before_the_time_given(cluster, name, tmp_path):
    messages = [message(n, p, timestamp_ns=(1000 + n) * MS) for p in (0, 1) for n in range(10)]
    assert main(["publish", str(write(tmp_path / "a", {name: 2}, named(name, messages)))]) == 0
    until = "1970-01-01T00:00:01.004"
    assert main(["record", name, "--out", str(tmp_path / "b"), "--until", until]) == 0
    assert [(m.partition, m.offset) for m in read(tmp_path / "b")] == [
        (p, n) for p in (0, 1) for n in range(4)
    ]


def test_recording_waits_for_a_time_to_come(cluster, name, tmp_path):
    ensure_topics(cluster, {name: 1})
    end_ns = now_ns() + 1_500 * MS
    until = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(end_ns // 10**9))
    until = f"{until}.{end_ns // 1000 % 10**6:06d}"
    assert main(["record", name, "--out", str(tmp_path / "b"), "--until", until]) == 0
    assert now_ns() >= end_ns - MS
    assert read(tmp_path / "b") == []


def test_recording_ends_after_the_count_given(cluster, name, tmp_path, capsys):
    messages = [message(n, timestamp_ns=n * MS + MS) for n in range(10)]
    assert main(["publish", str(write(tmp_path / "a", {name: 1}, named(name, messages)))]) == 0
    capsys.readouterr()
    assert main(["record", name, "--out", str(tmp_path / "b"), "--count", "4", "--json"]) == 0
    assert orjson.loads(capsys.readouterr().out)["messages"] == 4
    assert [m.offset for m in read(tmp_path / "b")] == [0, 1, 2, 3]


def test_recording_a_topic_that_is_missing_is_misuse(cluster, name, tmp_path, capsys):
    assert main(["record", name, "--out", str(tmp_path / "b")]) == 2
    assert name in capsys.readouterr().err


class Live:
    """A run's output in Kafka, written by the real sinks."""

    def __init__(self, cluster):
        self.delivery = Delivery(cluster, Lifecycle())

    def outputs(self, topics, generation, batches):
        sink = KafkaSink(self.delivery, topics, ["0"], ["0"], generation, "ours", MARKET)
        part = sink.build_part("s", "0", None)
        part.write_batch(batches)
        part.snapshot()

    def dead(self, topic, letters, max_bytes):
        part = DeadLetterSink(self.delivery, topic, ["0"], ["0"], max_bytes).build_part(
            "s", "0", None
        )
        part.write_batch(letters)
        part.snapshot()


def batch(output, origin, first, count):
    time = {o.name: o.time for o in MARKET}[output]
    records: list[dict[str, Any]] = [
        {"id": f"market.ticks/{origin}/{n}/0", time: 1000 - n, "symbol": "A", "n": n}
        for n in range(first, first + count)
    ]
    times = [record[time] for record in records]
    ids = [record["id"] for record in records]
    keys = ["A" if output in ("bars", "nbbo", "risk") else ""] * count
    return OutputBatch(output, origin, first, times, ids, keys, [to_json(r) for r in records])


def letter(offset, value=b"bad"):
    where = Coordinates("market.ticks", 0, offset, 0)
    return DeadLetter(where, 7 * MS, b"A", value, "Malformed", "no JSON")


def test_an_export_is_what_a_replay_writes(own_kafka, redis_url, tmp_path, monkeypatch):
    # A broker of its own: an export reads all of market.*, whoever wrote it.
    monkeypatch.setenv("HEADRACE_KAFKA__BOOTSTRAP", own_kafka.bootstrap)
    cluster = cluster_of(Kafka(bootstrap=own_kafka.bootstrap))
    monkeypatch.setenv("HEADRACE_REDIS__URL", redis_url)
    monkeypatch.setenv("HEADRACE_RUN__MAX_DEAD_BYTES", "10")
    names = {output.name: f"market.{output.name}" for output in MARKET}
    ensure_topics(cluster, dict.fromkeys([*names.values(), "market.dead"], 2))
    live = Live(cluster)
    batches = [
        batch("signals", "0", 1, 5),
        batch("late", "1", 1, 3),
        batch("gaps", "0", 1, 2),
        batch("bars", "0", 1, 4),
    ]
    replayed = [batch("signals", "0", 4, 4), batch("signals", "1", 1, 2)]
    live.outputs(names, 1, batches)
    live.outputs(names, 1, replayed)  # after a crash: counters 4 and 5 come a second time
    live.outputs(names, 2, [batch("signals", "2", 1, 3)])  # another generation
    letters = [letter(1), letter(2, b"x" * 11)]
    live.dead("market.dead", [*letters, letter(1)], 10)
    client = redis.from_url(redis_url)
    for origin_batches in (batches, replayed):
        for each in origin_batches:
            for key, value in zip(each.keys, each.values, strict=True):
                if key:
                    client.hset(Keys("market", 1).latest(each.output), key, value)
    assert main(["export", "market", "--out", str(tmp_path / "live")]) == 0
    files = OutputFiles(tmp_path / "replay", MARKET, 10)
    for each in [*batches, batch("signals", "0", 6, 2), replayed[1]]:
        files.add(each)
    for each in letters:
        files.add_dead(each)
    files.write()
    differences = compare(tmp_path / "live", tmp_path / "replay")
    assert {name: d for name, d in differences.items() if d} == {}
    out = str(tmp_path / "second")
    assert main(["export", "market", "--out", out, "--generation", "2"]) == 0
    assert len((tmp_path / "second" / "signals.jsonl").read_bytes().splitlines()) == 3
