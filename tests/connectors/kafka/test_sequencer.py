"""Many topics into one order, on a real broker."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import orjson
import pytest
from confluent_kafka import Consumer, TopicPartition

from connectors.kafka import sequencer
from connectors.kafka.client import Cluster
from connectors.kafka.delivery import Headers, Outgoing
from connectors.kafka.sequencer import (
    CLOCK,
    SOURCE_HEADER,
    Sequencer,
    SequencerSink,
    SequencerSource,
    Sequencing,
)
from connectors.kafka.sink import COUNTER_HEADER, GENERATION_HEADER, LENGTH_HEADER
from connectors.kafka.topics import resolve_start
from state.clock import NS
from state.errors import Misuse, OffsetGone, PartitionsChanged, SnapshotRefused
from state.lifecycle import Lifecycle
from state.metrics import CLOCK_BEHIND
from state.records import HEARTBEAT_HEADER
from state.shards import shard_names
from tests import producing
from tests.waiting import PATIENCE_S, eventually

NAMES = shard_names(2)


@dataclass
class Rig:
    """Two input topics, of 1 and 2 partitions, and what appends them to a third."""

    cluster: Cluster
    topics: list[str]
    into: str
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    now_ns: int = 0
    generation: int | None = 1
    group: str = field(default_factory=lambda: f"g.{uuid.uuid4().hex[:8]}")
    opened: list[Sequencer] = field(default_factory=list)

    def plan(self, local: list[str] = NAMES) -> Sequencing:
        start = {topic: resolve_start(self.cluster, topic, "earliest") for topic in self.topics}
        return Sequencing(self.into, self.group, NAMES, local, start, 100)

    def open(self, state=None) -> Sequencer:
        source = SequencerSource(
            self.cluster, self.plan(), self.lifecycle, lambda: self.now_ns, lambda: self.generation
        )
        part = source.build_part("in", NAMES[0], state)
        self.opened.append(part)
        return part

    def write(self, topic: int, value: bytes | None, partition: int = 0, **headers: bytes) -> None:
        producer = producing.producer(self.cluster.bootstrap)
        pairs: Headers = [(name.replace("_", "-"), told) for name, told in headers.items()]
        producer.produce(
            self.topics[topic], value, b"k", partition=partition, headers=pairs or None
        )
        assert producer.flush(PATIENCE_S) == 0

    def held(self, count: int) -> list[tuple[bytes | None, bytes | None, dict]]:
        """Return (key, value, headers) of what the sequenced topic holds."""
        consumer = Consumer({"bootstrap.servers": self.cluster.bootstrap, "group.id": "t"})
        consumer.assign([TopicPartition(self.into, 0, 0)])
        found = consumer.consume(count, 10)
        consumer.close()
        return [(m.key(), m.value(), dict(cast(Headers, m.headers()))) for m in found]


@pytest.fixture
def rig(kafka, topic: Callable[..., str]):
    made = Rig(Cluster(kafka.bootstrap), [topic(1), topic(2)], topic(1))
    yield made
    for part in made.opened:
        part.close()


def read(part: Sequencer, count: int) -> list[Outgoing]:
    """Poll until so many messages, the clock's left out, have come."""
    found: list[Outgoing] = []
    deadline = time.monotonic() + PATIENCE_S
    while len(found) < count and time.monotonic() < deadline:
        found += [item for _, item in part.next_batch() if not source_of(item).startswith("clock/")]
        time.sleep(0.001)
    return found


def source_of(item: Outgoing) -> str:
    value = dict(item.headers)[SOURCE_HEADER]
    assert isinstance(value, bytes)
    return value.decode()


def test_each_message_says_where_it_came_from_and_keeps_its_content(rig):
    rig.write(0, b"a")
    rig.write(1, b"b", 1, headrace_counter=b"0/7", headrace_generation=b"1", other=b"x")
    found = {source_of(item): item for item in read(rig.open(), 2)}
    one, two = f"{rig.topics[0]}/0/0", f"{rig.topics[1]}/1/0"
    assert found[one] == Outgoing(rig.into, b"k", b"a", [(SOURCE_HEADER, one.encode())])
    assert dict(found[two].headers) == {
        SOURCE_HEADER: two.encode(), COUNTER_HEADER: b"0/7", GENERATION_HEADER: b"1",
    }  # fmt: skip


def test_a_message_cannot_say_itself_where_it_came_from(rig):
    rig.write(0, b"a", headrace_source=b"market.control/0/0", headrace_origin=b"x/0/9")
    (item,) = read(rig.open(), 1)
    assert item.headers == [(SOURCE_HEADER, f"{rig.topics[0]}/0/0".encode())]


def test_heartbeats_are_left_out_and_not_read_again(rig):
    rig.write(0, b"", **{HEARTBEAT_HEADER: bytes(8)})
    rig.write(0, b"after")
    part = rig.open()
    assert [item.value for item in read(part, 1)] == [b"after"]
    assert part.snapshot()[2][rig.topics[0]] == {0: 2}


def test_a_value_that_the_broker_might_refuse_is_left_out(rig, monkeypatch):
    monkeypatch.setattr(sequencer, "MAX_BYTES", 100)
    rig.write(0, b"x" * 100)
    rig.write(0, b"x" * 99)
    large, fits = read(rig.open(), 2)
    assert (large.key, large.value, dict(large.headers)[LENGTH_HEADER]) == (None, b"", b"100")
    assert (fits.key, fits.value) == (b"k", b"x" * 99)


def test_the_clock_says_each_second_once(rig):
    part = rig.open()

    def told(now_ns: int) -> list[tuple[str, dict]]:
        rig.now_ns = now_ns
        items = [item for _, item in part.next_batch()]
        return [(source_of(item), orjson.loads(item.value)) for item in items]

    clock = {"type": "clock", "ts_ns": 5 * NS + 1, "generation": 1}
    assert told(5 * NS + 1) == [(f"{CLOCK}/0/5", clock)]
    assert told(5 * NS + 2) == []
    assert [where for where, _ in told(9 * NS)] == [f"{CLOCK}/0/9"]


def test_a_clock_that_goes_back_goes_on_to_beat_and_is_told_at_once(rig, caplog):
    part = rig.open()

    def beats(*seconds: int) -> list[str]:
        found = []
        for second in seconds:
            rig.now_ns = second * NS
            found += [source_of(item) for _, item in part.next_batch()]
        return found

    assert beats(5000, 5001) == [f"{CLOCK}/0/5000", f"{CLOCK}/0/5001"]
    state = part.snapshot()
    part = rig.open(state)
    assert beats(2001, 2001, 2002) == [f"{CLOCK}/0/5002", f"{CLOCK}/0/5003"]
    assert CLOCK_BEHIND._value.get() == 2999
    assert [r.levelname for r in caplog.records if "gone back by 3000 s" in r.message] == ["ERROR"]
    assert beats(5004, 5005, 5006) == [f"{CLOCK}/0/{n}" for n in (5004, 5005, 5006)]
    assert CLOCK_BEHIND._value.get() == 0
    assert "has caught up" in caplog.text


def test_the_clock_tells_the_generation_and_nothing_is_appended_before_it_is_known(rig):
    rig.generation, rig.now_ns = None, NS
    part = rig.open()
    assert [part.next_batch() for _ in range(100)] == [[]] * 100
    for number in (1, 2):
        rig.generation, rig.now_ns = number, rig.now_ns + NS
        ((_, clock),) = part.next_batch()
        assert orjson.loads(clock.value)["generation"] == number


def test_a_snapshot_is_gone_on_from(rig):
    rig.write(0, b"one")
    rig.write(1, b"two", 1)
    first = rig.open()
    read(first, 2)
    state = first.snapshot()
    rig.write(0, b"three")
    assert [item.value for item in read(rig.open(state), 1)] == [b"three"]
    assert {item.value for item in read(rig.open(), 3)} == {b"one", b"two", b"three"}


def test_what_became_durable_is_committed_for_tools_to_see(rig):
    rig.write(1, b"x", 1)
    part = rig.open()
    read(part, 1)
    part.snapshot()
    part.next_batch()
    consumer = Consumer({"bootstrap.servers": rig.cluster.bootstrap, "group.id": rig.group})
    asked = [TopicPartition(rig.topics[1], 0), TopicPartition(rig.topics[1], 1)]
    eventually(
        lambda: [at.offset for at in consumer.committed(asked, timeout=PATIENCE_S)] == [0, 1]
    )
    assert consumer.committed(asked, timeout=PATIENCE_S)[1].offset == 1
    consumer.close()


def test_stopping_ends_the_source(rig):
    part = rig.open()
    rig.lifecycle.stopping.set()
    with pytest.raises(StopIteration):
        part.next_batch()


def test_the_first_shard_alone_does_it(rig):
    def parts(local: list[str]) -> list[str]:
        source = SequencerSource(rig.cluster, rig.plan(local), rig.lifecycle, lambda: 0, lambda: 1)
        return source.list_parts()

    assert parts(NAMES) == parts(NAMES[:1]) == NAMES[:1]
    assert parts(NAMES[1:]) == []


def test_the_sink_appends_in_order_and_returns_once_all_is_acknowledged(rig):
    sink = SequencerSink(rig.cluster, rig.plan(), rig.lifecycle)
    part = sink.build_part("out", NAMES[0], None)
    items = [Outgoing(rig.into, b"%d" % n, b"v", [(SOURCE_HEADER, b"t/0/1")]) for n in range(50)]
    part.write_batch(items[:20])
    part.write_batch(items[20:])
    part.snapshot()
    held = rig.held(50)
    assert [key for key, _, _ in held] == [item.key for item in items]
    assert {headers[SOURCE_HEADER] for _, _, headers in held} == {b"t/0/1"}


def test_what_cannot_be_gone_on_from_is_refused(rig, topic):
    good = rig.open().snapshot()
    one, two = rig.topics
    with pytest.raises(SnapshotRefused):
        rig.open(("sequencer", 9, good[2]))
    with pytest.raises(SnapshotRefused):
        rig.open(("sequencer", 1, {one: {0: 0}}))
    with pytest.raises(PartitionsChanged):
        rig.open(("sequencer", 1, {one: {0: 0}, two: {0: 0}}))
    with pytest.raises(OffsetGone):
        rig.open(("sequencer", 1, {one: {0: 5}, two: {0: 0, 1: 0}}))
    rig.into = two
    with pytest.raises(Misuse, match="2 partitions"):
        rig.open()
