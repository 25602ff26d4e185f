"""dead, heartbeat, state show and check, on real servers."""

from __future__ import annotations

import uuid

import orjson
import pytest
import redis
from confluent_kafka import Consumer, TopicPartition

from connectors.kafka.client import Cluster
from connectors.kafka.delivery import Delivery
from connectors.kafka.marks import MARK_HEADER, Mark
from connectors.kafka.sink import DeadLetterSink
from flows.__main__ import main
from flows.commands.heartbeat import Heart
from flows.dead import read, send_again
from state.clock import now_ns
from state.errors import Broken, Misuse
from state.lifecycle import Lifecycle
from state.records import Coordinates, DeadLetter
from tests import producing
from tests.flows.runs import Run, headrace, settings
from tests.waiting import PATIENCE_S, eventually


def messages(bootstrap: str, topic: str, partitions: int) -> list[tuple]:
    """Return (partition, key, value, headers) of all that a topic holds, by partition."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "test", "auto.offset.reset": "earliest"}
    )
    ends = {
        p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=PATIENCE_S)[1]
        for p in range(partitions)
    }
    consumer.assign([TopicPartition(topic, p, 0) for p in ends])
    found: list = []
    while len(found) < sum(ends.values()):
        found += consumer.consume(100, 1)
    consumer.close()
    found.sort(key=lambda m: m.partition())  # they come in any order between partitions
    return [(m.partition(), m.key(), m.value(), dict(m.headers() or [])) for m in found]


@pytest.fixture
def letters(kafka, topic, monkeypatch):
    """(system, input topic) with three dead letters, of which one was written twice."""
    system, source = f"s{uuid.uuid4().hex[:8]}", topic(partitions=2)
    dead = f"{system}.dead"
    from tests.conftest import create_topic

    create_topic(kafka, dead, 2)
    cluster = Cluster(kafka.bootstrap)
    sink = DeadLetterSink(Delivery(cluster, Lifecycle()), dead, ["0"], ["0"], max_bytes=100)
    part = sink.build_part("dead", "0", None)
    first = DeadLetter(Coordinates(source, 1, 7), 5_000_000, b"k", b"{bad", "Malformed", "no JSON")
    second = DeadLetter(Coordinates(source, 0, 3, 2), 6_000_000, None, b"\xff", "NoKey", "no key")
    large = DeadLetter(Coordinates(source, 0, 9), 7_000_000, b"k", b"x" * 200, "Malformed", "x")
    part.write_batch([first, second, large, first])
    part.snapshot()
    monkeypatch.setenv("HEADRACE_KAFKA__BOOTSTRAP", kafka.bootstrap)
    return system, source


def test_letters_are_listed_once_with_their_reasons(letters, capsys):
    system, source = letters
    assert main(["dead", "list", system]) == 0
    out = capsys.readouterr().out
    assert f"{source}/1/7/0  1970-01-01T00:00:00.005+00:00  Malformed  no JSON" in out
    assert out.count(f"{source}/1/7/0") == 1
    assert "{bad" not in out
    assert out.endswith("3 dead letters\n")


def test_letters_are_chosen_by_class_and_coordinates(letters, capsys):
    system, source = letters
    for filters, count in (
        (["--error", "Malformed"], 2),
        (["--error", "Malformed", "--coordinates", f"{source}/1/7"], 1),
        (["--coordinates", f"{source}/0/3/2"], 1),
        (["--coordinates", f"{source}/0/3/1"], 0),
        (["--coordinates", f"{source}/0/3"], 1),
    ):
        assert main(["dead", "list", system, "--json", *filters]) == 0
        rows = [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert len(rows) == count, filters
        assert all(set(row) >= {"coordinates", "error", "reason"} for row in rows)


def test_show_tells_the_bytes(letters, capsys):
    system, source = letters
    assert main(["dead", "show", system, "--json"]) == 0
    rows = [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]
    found = {row["coordinates"]: (row["key"], row["value"], row["length"]) for row in rows}
    assert found == {
        f"{source}/1/7/0": ("k", "{bad", 4),
        f"{source}/0/3/2": (None, "hex:ff", 1),
        f"{source}/0/9/0": ("k", None, 200),
    }


def test_a_retry_goes_where_the_record_came_from(letters, kafka, capsys, monkeypatch):
    monkeypatch.setenv("HEADRACE_KAFKA__MARK_KEY", "a key of the tests")
    system, source = letters
    assert main(["dead", "retry", system]) == 2
    assert "say which letters" in capsys.readouterr().err
    assert main(["dead", "retry", system, "--all", "--json"]) == 1, "one was too large to keep"
    assert orjson.loads(capsys.readouterr().out) == {"retried": 2, "left_out": 1}
    found = sorted(messages(kafka.bootstrap, source, 2), key=str)
    mark = Mark(b"a key of the tests")
    for partition, key, value, headers in found:
        assert mark.proves(source, partition, key, value, list(headers.items()))
        del headers[MARK_HEADER]
    assert found == [
        (
            0,
            None,
            b"\xff",
            {
                "headrace-origin": f"{source}/0/3".encode(),
                "headrace-sequence": b"2",
                "headrace-retry": b"1",
            },
        ),
        (
            1,
            b"k",
            b"{bad",
            {
                "headrace-origin": f"{source}/1/7".encode(),
                "headrace-sequence": b"0",
                "headrace-retry": b"1",
            },
        ),
    ]


def test_what_is_no_dead_letter_is_named(kafka, topic):
    name = topic()
    producer = producing.producer(kafka.bootstrap)
    producer.produce(name, b"x")
    producer.flush()
    with pytest.raises(Broken, match="offset 0 is no dead letter"):
        list(read(Cluster(kafka.bootstrap), name))
    with pytest.raises(Misuse):
        list(read(Cluster(kafka.bootstrap), "no.such.topic"))
    assert send_again(Cluster(kafka.bootstrap), []) == 0


def test_heartbeats_go_to_idle_partitions(kafka, topic):
    name = topic(partitions=3)
    heart = Heart(Cluster(kafka.bootstrap), name)
    assert heart.beat() == [], "at first nobody knows who is idle"
    producer = producing.producer(kafka.bootstrap)
    producer.produce(name, b"x", partition=1)
    producer.flush()
    before = now_ns()
    assert heart.beat() == [0, 2]
    assert heart.beat() == [0, 1, 2]
    found = messages(kafka.bootstrap, name, 3)
    beats = [(p, headers) for p, _, value, headers in found if value in (b"", None)]
    assert sorted(p for p, _ in beats) == [0, 0, 1, 2, 2]
    for _, headers in beats:
        time_ns = int.from_bytes(headers["headrace-heartbeat"], "big", signed=True)
        assert before <= time_ns <= now_ns()


def test_one_heartbeat_for_every_partition(kafka, topic, monkeypatch):
    name = topic(partitions=2)
    monkeypatch.setenv("HEADRACE_KAFKA__BOOTSTRAP", kafka.bootstrap)
    assert main(["heartbeat", name, "--once"]) == 0
    assert [p for p, *_ in messages(kafka.bootstrap, name, 2)] == [0, 1]
    assert main(["heartbeat", "no.such.topic", "--once"]) == 2
    assert main(["heartbeat", name, "--every", "0"]) == 2


TICK = (
    '{{"type":"trade","symbol":"{symbol}","ts_ns":{ts_ns},"recv_ns":{ts_ns},"price":{price},'
    '"size":100,"side":"buy","venue":"N","condition":"","seq":{seq}}}'
)


def test_the_commands_around_a_running_market(own_kafka, redis_url, database, tmp_path, capsys):
    from tests.conftest import create_topic

    env = settings(own_kafka.bootstrap, redis_url, tmp_path, HEADRACE_POSTGRES__DSN=database)
    begin = headrace(env, "check")
    assert begin.returncode == 1
    assert "WRONG topics: nothing feeds a flow: create " in begin.stdout
    create_topic(own_kafka, "market.ticks", 2)
    with Run(env, ("market",), tmp_path / "log") as run:
        run.ready()
        producer = producing.producer(own_kafka.bootstrap)
        begin_ns = now_ns() - 10_000_000_000
        for seq in range(1, 6):
            tick = TICK.format(
                symbol="ACME", ts_ns=begin_ns + seq * 1_000_000_000, price=10 + seq, seq=seq
            )
            producer.produce("market.ticks", tick.encode(), b"ACME", partition=1)
        producer.produce("market.ticks", b"{not json", b"ACME", partition=1)
        producer.flush()

        def shown():
            done = headrace(env, "state", "show", "market", "ACME")
            assert done.returncode in (0, 1), done.stderr
            return done.returncode == 0 and orjson.loads(done.stdout)

        answer = eventually(shown)
        assert answer["key"] == "ACME"
        (shard,) = answer["shards"]
        assert shard["step"] == "shard"
        assert list(shard["state"]) == ["1"]
        unknown = headrace(env, "state", "show", "market", "NONE")
        assert (unknown.returncode, unknown.stderr.count("\n")) == (1, 1)
        assert "knows nothing of NONE" in unknown.stderr

        listed = headrace(env, "dead", "list", "--error", "Malformed")
        assert "market.ticks/1/5/0" in listed.stdout, listed
        retried = headrace(env, "dead", "retry", "--coordinates", "market.ticks/1/5")
        assert retried.stdout == "1 retried\n"
        eventually(
            lambda: (
                b'headrace_dead_total{error="Malformed",topic="market.ticks"} 2.0'
                in run.probe("/metrics")[1]
            )
        )
        # It is the same letter still: the same coordinates.
        assert headrace(env, "dead", "list").stdout.endswith("1 dead letters\n")
        checked = headrace(env | {"HEADRACE_KAFKA__GROUP": "g"}, "check")
        # History has not run here, so nothing of it is missed.
        assert "history.dead" not in checked.stdout
        assert "ok    topic market.dead: 2 partitions" in checked.stdout
        assert (checked.returncode, checked.stdout.count("WRONG")) == (0, 0), checked.stdout
        assert "postgres: not migrated; headrace run history will apply 0001" in checked.stdout
        assert run.end() == 0


def test_check_names_every_server_that_does_not_answer(tmp_path):
    env = settings("127.0.0.1:1", "redis://:hunter2@127.0.0.1:1/0", tmp_path)
    env["HEADRACE_POSTGRES__DSN"] = "postgresql://headrace:hunter2@127.0.0.1:1/headrace"
    done = headrace(env, "check", "--json")
    assert done.returncode == 1
    wrong = {row["what"]: row["said"] for row in orjson.loads(done.stdout) if not row["ok"]}
    assert set(wrong) == {"kafka", "redis", "postgres"}
    assert "set kafka.bootstrap" in wrong["kafka"]
    assert "hunter2" not in done.stdout + done.stderr


def test_check_reports_wrong_settings_first(tmp_path):
    env = settings("127.0.0.1:1", "redis://127.0.0.1:1/0", tmp_path, HEADRACE_RUN__WORKERS="0")
    done = headrace(env, "check")
    assert done.returncode == 1
    assert done.stdout.startswith("WRONG settings: run.workers (HEADRACE_RUN__WORKERS)")
    assert done.stdout.count("\n") == 1


def test_check_tells_a_policy_of_redis_that_drops_keys(own_valkey, tmp_path):
    with redis.Redis.from_url(own_valkey.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    told = headrace(settings("127.0.0.1:1", own_valkey.url, tmp_path), "check")
    assert "WRONG redis: maxmemory-policy is allkeys-lru" in told.stdout
