"""The Kafka sinks on a real broker."""

from __future__ import annotations

import hashlib
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from connectors.kafka.client import Cluster
from connectors.kafka.delivery import Delivery
from connectors.kafka.sink import DeadLetterSink, KafkaSink
from connectors.kafka.topics import ensure_topics, offset_bounds
from connectors.kafka.written import SINK
from flows.engine.reports import describe
from flows.servers import KafkaBroker
from state.errors import LostTopic, Stopped, Undelivered
from state.lifecycle import Lifecycle
from state.metrics import DEAD, SINK_QUEUE, SINK_WAITING
from state.outputs import Output
from state.records import Coordinates, DeadLetter, OutputBatch
from state.shards import shard_names
from tests.waiting import PATIENCE_S, eventually

NAMES = shard_names(12)
SIGNALS = Output("market", "signals", "ts_ns", (), message_key="scope")


def batch(output: str, first: int, count: int, keyed: bool = True, pad: int = 0) -> OutputBatch:
    numbers = range(first, first + count)
    return OutputBatch(
        output=output,
        origin="3",
        first=first,
        times_ns=list(numbers),
        ids=[f"id{n}" for n in numbers],
        keys=[f"key{n % 5}" if keyed else "" for n in numbers],
        values=[b'{"n":%d,"pad":"%s","scope":"symbol:A"}' % (n, b"x" * pad) for n in numbers],
    )


def letter(value: bytes, offset: int = 7, key: bytes | None = b"A") -> DeadLetter:
    return DeadLetter(Coordinates("in", 1, offset, 2), 99, key, value, "Malformed", "no JSON: é")


def contents(cluster: Cluster, topic: str) -> list[dict[str, Any]]:
    """Return all messages of a topic."""
    marks = offset_bounds(cluster, topic)
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": "check"})
    consumer.assign([TopicPartition(topic, p, low) for p, (low, _) in marks.items()])
    messages: list[dict[str, Any]] = []
    deadline = time.monotonic() + PATIENCE_S
    while len(messages) < sum(high - low for low, high in marks.values()):
        assert time.monotonic() < deadline, f"{len(messages)} messages of {marks}"
        for message in consumer.consume(1000, 1):
            assert message.error() is None
            messages.append(
                {
                    "partition": message.partition(),
                    "key": message.key(),
                    "value": message.value(),
                    "headers": dict(message.headers() or []),
                }
            )
    consumer.close()
    return messages


@pytest.fixture
def cluster(kafka) -> Cluster:
    return Cluster(kafka.bootstrap)


@pytest.fixture
def own(own_kafka) -> tuple[KafkaBroker, Cluster, str]:
    """The broker to kill, its address, and a new topic."""
    cluster = Cluster(own_kafka.bootstrap)
    name = f"t.{uuid.uuid4().hex[:12]}"
    ensure_topics(cluster, {name: 2}, timeout_s=PATIENCE_S)
    return own_kafka, cluster, name


@contextmanager
def meanwhile(lifecycle: Lifecycle) -> Iterator[ThreadPoolExecutor]:
    """A thread for a sink that waits; where the test fails, the sink is told to stop."""
    with ThreadPoolExecutor(1) as pool:  # it ends when the sink waits no more
        try:
            yield pool
        except BaseException:
            # Whatever it is, a time limit of pytest too: leaving the pool waits for the sink.
            lifecycle.stopping.set()
            raise


def sink(cluster: Cluster, topic: str, lifecycle: Lifecycle | None = None, **options) -> KafkaSink:
    delivery = Delivery(cluster, lifecycle or Lifecycle())
    topics = {"bars": topic, "signals": topic}
    return KafkaSink(delivery, topics, NAMES, NAMES[:3], 4, "ours", **options)


def test_every_record_arrives_once_with_its_key_and_its_identity(cluster, topic):
    name = topic(3)
    part = sink(cluster, name).build_part("out", NAMES[0], None)
    part.write_batch([batch("bars", 1, 700), batch("bars", 701, 300)])
    part.snapshot()
    messages = sorted(contents(cluster, name), key=lambda m: int(m["value"][5:].split(b",")[0]))
    assert [m["value"] for m in messages] == batch("bars", 1, 1000).values
    assert [m["key"] for m in messages] == [f"key{n % 5}".encode() for n in range(1, 1001)]
    assert [m["headers"] for m in messages] == [
        {
            "headrace-counter": f"3/{n}".encode(),
            "headrace-generation": b"4",
            "headrace-lineage": b"ours",
        }
        for n in range(1, 1001)
    ]
    assert len({(m["key"], m["partition"]) for m in messages}) == 5, "a key has one partition"
    assert SINK_QUEUE.labels(SINK)._value.get() == 0


def test_a_retraction_has_a_header_and_its_key(cluster, topic):
    name = topic(1)
    part = sink(cluster, name).build_part("out", NAMES[0], None)
    part.write_batch([replace(batch("bars", 1, 3), retracted=frozenset({1}))])
    part.snapshot()
    messages = contents(cluster, name)
    assert [m["headers"].get("headrace-retracted") for m in messages] == [None, b"1", None]
    assert [m["key"] for m in messages] == [b"key1", b"key2", b"key3"]


def test_a_key_goes_where_kafka_s_java_client_sends_it(cluster, topic):
    name = topic(7)
    part = sink(cluster, name).build_part("out", NAMES[0], None)
    one = batch("bars", 1, 1)
    one.keys[0] = "foobar"
    part.write_batch([one])
    part.snapshot()
    # Kafka's own UtilsTest: murmur2("foobar") = -790332482.
    assert contents(cluster, name)[0]["partition"] == (-790332482 & 0x7FFFFFFF) % 7


def test_a_record_without_a_table_key_is_keyed_by_the_field_named_for_it(cluster, topic):
    name = topic()
    keyed = sink(cluster, name, outputs=[SIGNALS])
    for output in (keyed, sink(cluster, name)):
        part = output.build_part("out", NAMES[0], None)
        part.write_batch([batch("signals", 1, 1, keyed=False)])
        part.snapshot()
    assert [m["key"] for m in contents(cluster, name)] == [b"symbol:A", None]


def test_a_shard_s_records_go_to_its_own_partition(cluster, topic):
    bars = sink(cluster, topic())
    assert bars.list_parts() == NAMES[:3]
    assert [sorted(NAMES)[bars.part_fn(name)] for name in NAMES] == NAMES


def test_nothing_is_lost_while_the_broker_is_away(own):
    broker, cluster, name = own
    lifecycle = Lifecycle()
    part = sink(cluster, name, lifecycle).build_part("out", NAMES[0], None)
    part.write_batch([batch("bars", 1, 100)])
    part.snapshot()
    broker.kill()
    part.write_batch([batch("bars", 101, 100)])
    with meanwhile(lifecycle) as pool:
        flushed = pool.submit(part.snapshot)
        eventually(lambda: SINK in lifecycle.waiting)
        assert SINK_WAITING.labels(SINK)._value.get() == 1
        eventually(lambda: SINK_QUEUE.labels(SINK)._value.get() == 100)  # events count until read
        assert not flushed.done()
        broker.start()
        flushed.result(PATIENCE_S)
    assert lifecycle.waiting == {}
    assert SINK_WAITING.labels(SINK)._value.get() == 0
    values = sorted(m["value"] for m in contents(cluster, name))
    assert values == sorted(batch("bars", 1, 200).values)


def test_a_full_queue_waits_and_memory_stays_bounded(own):
    broker, plain, name = own
    lifecycle = Lifecycle()
    cluster = Cluster(plain.bootstrap, options={"queue.buffering.max.messages": "50"})
    part = sink(cluster, name, lifecycle).build_part("out", NAMES[0], None)
    part.write_batch([batch("bars", 1, 10)])
    part.snapshot()
    broker.kill()
    with meanwhile(lifecycle) as pool:
        written = pool.submit(part.write_batch, [batch("bars", 11, 110)])
        eventually(lambda: SINK in lifecycle.waiting)
        eventually(lambda: len(part._delivery._producer) == 50)  # events count, too, until read
        broker.start()
        written.result(PATIENCE_S)
    part.snapshot()
    values = sorted(m["value"] for m in contents(cluster, name))
    assert values == sorted(batch("bars", 1, 120).values)


def test_a_flow_told_to_stop_while_the_broker_is_away_says_so(own):
    broker, cluster, name = own
    lifecycle = Lifecycle()
    lifecycle.drain_s = 0.2
    part = sink(cluster, name, lifecycle).build_part("out", NAMES[0], None)
    part.write_batch([batch("bars", 1, 10)])
    part.snapshot()
    broker.kill()
    part.write_batch([batch("bars", 11, 10)])
    threading.Timer(0.5, lifecycle.stopping.set).start()
    with pytest.raises(Stopped):
        part.snapshot()
    with pytest.raises(Stopped):
        sink(cluster, name, lifecycle).build_part("out", NAMES[0], None).write_batch(
            [batch("bars", 1, 1)]
        )


def test_nothing_is_sent_to_a_topic_before_its_leaders_answer(own):
    """Else a broker may take a later batch first and drop the earlier (topics.why_leaderless)."""
    broker, cluster, name = own
    lifecycle = Lifecycle()
    part = sink(cluster, name, lifecycle).build_part("out", NAMES[0], None)
    broker.kill()
    with meanwhile(lifecycle) as pool:
        written = pool.submit(part.write_batch, [batch("bars", 1, 20)])
        eventually(lambda: "cannot be reached" in lifecycle.waiting.get(SINK, ""))
        assert not written.done(), "it has put messages into the queue"
        broker.start()
        written.result(PATIENCE_S)
    part.snapshot()
    assert lifecycle.waiting == {}
    values = [m["value"] for m in contents(cluster, name)]
    assert sorted(values) == sorted(batch("bars", 1, 20).values)


def test_a_message_that_the_broker_refuses_is_never_reported_as_done(cluster, topic):
    part = sink(cluster, topic(max_message_bytes="2000")).build_part("out", NAMES[0], None)
    part.write_batch([batch("bars", 1, 1, pad=5000)])
    for _ in range(2):
        with pytest.raises(Undelivered, match="too large"):
            part.snapshot()


def test_a_message_too_large_for_the_producer_is_refused_at_once(cluster, topic):
    part = sink(cluster, topic()).build_part("out", NAMES[0], None)
    with pytest.raises(Undelivered, match="too large"):
        part.write_batch([batch("bars", 1, 1, pad=33 << 20)])


def test_a_missing_topic_is_refused(kafka):
    cluster = Cluster(kafka.bootstrap, options={"topic.metadata.propagation.max.ms": "200"})
    part = sink(cluster, "no.such.topic").build_part("out", NAMES[0], None)
    part.write_batch([batch("bars", 1, 1)])
    with pytest.raises(LostTopic, match=r"no\.such\.topic is missing"):
        part.snapshot()


def test_a_topic_that_is_deleted_while_the_flow_runs_stops_it_with_one_sentence(kafka, topic):
    name = topic()
    quick = {"refresh.interval.ms": "500", "propagation.max.ms": "200"}
    options = {f"topic.metadata.{option}": value for option, value in quick.items()}
    cluster = Cluster(kafka.bootstrap, options=options)
    part = sink(cluster, name).build_part("out", NAMES[0], None)
    part.write_batch([batch("bars", 1, 10)])
    part.snapshot()
    admin = cluster.admin()
    for future in admin.delete_topics([name]).values():
        future.result(PATIENCE_S)

    def stops() -> bool:
        part.write_batch([batch("bars", 11, 1)])
        part.snapshot()
        return False

    with pytest.raises(LostTopic, match=rf"{name} is missing: .* Restore it, or") as error:
        eventually(stops)
    assert describe(error.value, building=False).final, "a restart would not bring it back"


def dead_sink(cluster: Cluster, topic: str, max_bytes: int = 1000):
    delivery = Delivery(cluster, Lifecycle())
    return DeadLetterSink(delivery, topic, NAMES, NAMES, max_bytes).build_part("d", NAMES[0], None)


COMMON = {
    "headrace-origin": b"in/1/7",
    "headrace-sequence": b"2",
    "headrace-error": b"Malformed",
    "headrace-reason": "no JSON: é".encode(),
    "headrace-timestamp-ns": b"99",
}


def test_a_dead_letter_carries_its_bytes_coordinates_and_reason(cluster, topic):
    name = topic()
    before = DEAD.labels("in", "Malformed")._value.get()
    part = dead_sink(cluster, name)
    part.write_batch([letter(b"\xff{"), letter(b"", key=None)])
    part.snapshot()
    first, second = contents(cluster, name)
    assert first == {"partition": 0, "key": b"A", "value": b"\xff{", "headers": COMMON}
    assert (second["key"], second["value"]) == (None, b"")
    assert DEAD.labels("in", "Malformed")._value.get() == before + 2


@pytest.mark.parametrize(("length", "kept"), [(1000, True), (1001, False)])
def test_a_large_dead_letter_is_told_by_length_and_digest(cluster, topic, length, kept):
    name = topic()
    value = b"y" * length
    part = dead_sink(cluster, name)
    part.write_batch([letter(value)])
    part.snapshot()
    (message,) = contents(cluster, name)
    digest = {
        "headrace-length": str(length).encode(),
        "headrace-sha256": hashlib.sha256(value).hexdigest().encode(),
    }
    assert message["value"] == (value if kept else b"")
    assert message["headers"] == (COMMON if kept else COMMON | digest)


@pytest.mark.parametrize("length", [5000, 33 << 20])
def test_a_dead_letter_that_cannot_be_sent_whole_is_sent_as_its_digest(cluster, topic, length):
    name = topic(max_message_bytes="2000")
    part = dead_sink(cluster, name, max_bytes=1 << 30)
    part.write_batch([letter(b"small"), letter(b"z" * length), letter(b"small")])
    part.snapshot()
    messages = contents(cluster, name)
    assert sorted(m["value"] for m in messages) == [b"", b"small", b"small"]
    (digest,) = [m for m in messages if not m["value"]]
    assert digest["headers"]["headrace-length"] == str(length).encode()


def test_a_key_of_a_megabyte_does_not_stop_its_dead_letter(cluster, topic):
    name = topic()
    part = dead_sink(cluster, name)
    part.write_batch([letter(b"v", key=b"k" * 2_000_000)])
    part.snapshot()
    assert [(m["key"], m["value"]) for m in contents(cluster, name)] == [(None, b"v")]
