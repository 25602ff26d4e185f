"""No output record is written twice, whenever the flow that writes it dies. A real broker."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.cimpl import NewPartitions

from connectors.kafka.client import Cluster
from connectors.kafka.delivery import Delivery, Headers
from connectors.kafka.sink import COUNTER_HEADER, GENERATION_HEADER, KafkaSink, OutputPartition
from connectors.kafka.topics import ensure_topics, look, look_at
from connectors.kafka.written import LOOK_S, Counters, Place
from replay.topics import held_messages
from state.errors import Fenced, ForeignMarks, LostTopic
from state.lifecycle import Lifecycle
from state.records import OutputBatch
from state.shards import shard_names
from tests.producing import producer
from tests.waiting import PATIENCE_S, eventually

NAMES = shard_names(4)


def batch(numbers: Iterable[int], origin: str = "0", keyed: bool = True) -> OutputBatch:
    counters = list(numbers)
    return OutputBatch(
        output="bars",
        origin=origin,
        first=counters[0],
        times_ns=counters,
        ids=[f"{origin}/{n}" for n in counters],
        keys=[f"key{n % 5}" if keyed else "" for n in counters],
        values=[b'{"n":%d}' % n for n in counters],
    )


class Bars:
    """One output topic, and the sinks of processes that write to it one after another."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.cluster = Cluster(bootstrap)
        self.admin = self.cluster.admin()
        self.topic = topic

    def sink(
        self,
        local: Sequence[str] = NAMES,
        generation: int = 1,
        lineage: str = "ours",
        places: dict[str, Place] | None = None,
    ) -> KafkaSink:
        delivery, topics = Delivery(self.cluster, Lifecycle()), {"bars": self.topic}
        return KafkaSink(delivery, topics, NAMES, local, generation, lineage, places=places)

    def part(
        self, state: Any = None, local: Sequence[str] = NAMES, **options: Any
    ) -> OutputPartition:
        return self.sink(local, **options).build_part("topics", local[0], state)

    def start(self) -> dict[str, Place]:
        """Return where the topic ends, as a generation's first start notes it."""
        seen = look_at(self.cluster, self.topic)
        return {self.topic: (seen.identity, {p: high for p, (_, high) in seen.marks.items()})}

    def counters(self) -> list[str]:
        """Return what a plain consumer finds, from the beginning."""
        found = [m for each in held_messages(self.topic, self.cluster) for m in each]
        return [dict(message.headers)[COUNTER_HEADER].decode() for message in found]

    def holds_once(self, last: int, *origins: str) -> bool:
        wanted = [f"{o}/{n}" for o in origins or ("0",) for n in range(1, last + 1)]
        return sorted(self.counters()) == sorted(wanted)


@pytest.fixture
def place(kafka, topic) -> Bars:
    return Bars(kafka.bootstrap, topic(3))


def died(part: OutputPartition) -> None:
    """Let the messages of a process arrive that then dies before its snapshot is durable."""
    part.snapshot()


def left_behind(place: Bars, snapshot: int, last: int, keyed: bool = True) -> Any:
    """Write up to ``last`` and die; return the snapshot that was durable, behind ``snapshot``."""
    one = place.part()
    one.write_batch([batch(range(1, snapshot + 1), keyed=keyed)])
    state = one.snapshot()
    one.write_batch([batch(range(snapshot + 1, last + 1), keyed=keyed)])
    died(one)
    return state


@pytest.mark.parametrize("keyed", [True, False], ids=["keyed", "without keys"])
def test_what_was_written_behind_the_snapshot_is_not_written_again(place, keyed):
    two = place.part(left_behind(place, 100, 150, keyed))
    two.write_batch([batch(range(101, 131), keyed=keyed), batch(range(131, 201), keyed=keyed)])
    two.snapshot()
    assert place.holds_once(200)


def test_a_second_death_among_what_is_skipped_repeats_nothing(place):
    two = place.part(left_behind(place, 10, 100))
    two.write_batch([batch(range(11, 31))])
    state = two.snapshot()
    three = place.part(state)
    three.write_batch([batch(range(31, 121))])
    three.snapshot()
    assert place.holds_once(120)


def test_a_start_beside_another_generation_that_writes_all_the_time_begins(place):
    state = left_behind(place, 10, 20)
    stop = threading.Event()

    def write() -> None:
        with closing(place.part(generation=9, lineage="theirs")) as theirs:
            for first in itertools.count(1, 50):
                if stop.is_set():
                    return
                theirs.write_batch([batch(range(first, first + 50))])
                theirs.snapshot()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        eventually(lambda: len(place.counters()) > 200)
        two = place.part(state)
        two.write_batch([batch(range(11, 31))])
        two.snapshot()
    finally:
        stop.set()
        writer.join()
    found = [m for each in held_messages(place.topic, place.cluster) for m in each]
    ours = [dict(m.headers) for m in found]
    counters = [h[COUNTER_HEADER] for h in ours if h[GENERATION_HEADER] == b"1"]
    assert sorted(counters) == sorted(b"0/%d" % n for n in range(1, 31))


def test_a_fenced_run_hands_no_more_messages_over(place):
    asked = itertools.count()

    def may_write() -> None:
        if next(asked) > 5:
            raise Fenced("market", 1, "another")

    sink = place.sink()
    sink._may_write = may_write
    part = sink.build_part("topics", NAMES[0], None)
    with pytest.raises(Fenced):
        part.write_batch([batch(range(1, 101))])
    part.snapshot()
    assert len(place.counters()) == 5


def test_a_death_before_the_first_snapshot_repeats_nothing(place):
    start = place.start()
    one = place.part(places=start)
    one.write_batch([batch(range(1, 51))])
    died(one)
    two = place.part(places=start)
    two.write_batch([batch(range(1, 61))])
    two.snapshot()
    assert place.holds_once(60)


def test_a_lost_state_directory_repeats_nothing(place):
    one = place.part()
    one.write_batch([batch(range(1, 51))])
    one.snapshot()
    seen = look_at(place.cluster, place.topic)
    begin = {place.topic: (seen.identity, {p: low for p, (low, _) in seen.marks.items()})}
    two = place.part(places=begin)
    two.write_batch([batch(range(1, 61))])
    two.snapshot()
    assert place.holds_once(60)


def test_a_shard_that_begins_later_reads_nothing_back(place):
    sink = place.sink(places=place.start())
    one = sink.build_part("topics", NAMES[0], None)
    one.write_batch([batch(range(1, 11), "0")])
    one.snapshot()
    two = sink.build_part("topics", NAMES[1], None)
    two.write_batch([batch(range(1, 11), "1")])
    assert not two._written.held(place.topic)


def test_an_origin_that_falls_silent_does_not_hold_the_places(place):
    """Else each restart would read back more."""
    one = place.part(places=place.start())
    one.write_batch([batch(range(1, 6), "0"), batch(range(1, 6), "1")])
    state = one.snapshot()
    two = place.part(state)
    two.write_batch([batch(range(6, 9), "0")])
    assert not two._written.held(place.topic)


def test_another_generation_s_records_do_not_count(place):
    one = place.part(generation=1)
    one.write_batch([batch(range(1, 6))])
    state = one.snapshot()
    other = place.part(generation=2, lineage="theirs")
    other.write_batch([batch(range(6, 11))])
    other.snapshot()
    two = place.part(state, generation=1)
    two.write_batch([batch(range(6, 11))])
    two.snapshot()
    found = place.counters()
    assert len(found) == 15
    assert found.count("0/7") == 2


def test_records_of_another_lineage_stop_the_flow(place):
    start = place.start()
    one = place.part(places=start)
    one.write_batch([batch(range(1, 6))])
    died(one)
    two = place.part(places=start, lineage="theirs")
    with pytest.raises(ForeignMarks, match=r"lineage ours, ours is theirs"):
        two.write_batch([batch(range(1, 6))])


def test_two_workers_become_one_and_two_again(place):
    """Origin 1 is of shard 1: it moves to another process, and back."""
    start = place.start()
    both = [place.part(local=NAMES[i::2], places=start) for i in range(2)]
    for origin, part in zip("01", both, strict=True):
        part.write_batch([batch(range(1, 21), origin)])
    states = [part.snapshot() for part in both]
    for origin, part in zip("01", both, strict=True):
        part.write_batch([batch(range(21, 41), origin)])
        died(part)
    alone = place.sink()
    parts = [alone.build_part("topics", NAMES[i], states[i]) for i in range(2)]
    for origin, part in zip("01", parts, strict=True):
        part.write_batch([batch(range(21, 51), origin)])
    states = [part.snapshot() for part in parts]
    for origin, part in zip("01", parts, strict=True):
        part.write_batch([batch(range(51, 61), origin)])
        died(part)
    for index, origin in enumerate("01"):
        part = place.part(states[index], local=NAMES[index::2])
        part.write_batch([batch(range(51, 71), origin)])
        part.snapshot()
    assert place.holds_once(70, "0", "1")


def test_a_topic_that_got_more_partitions_repeats_nothing(place):
    """Keys move then, so a record and its repetition would lie in different partitions."""
    state = left_behind(place, 10, 40)
    grown = place.admin.create_partitions([NewPartitions(place.topic, 7)])
    grown[place.topic].result(PATIENCE_S)
    eventually(lambda: len(look_at(place.cluster, place.topic).marks) == 7)
    two = place.part(state)
    two.write_batch([batch(range(11, 61))])
    two.snapshot()
    assert place.holds_once(60)


def test_what_retention_took_is_told_and_the_rest_is_not_repeated(place, caplog):
    state = left_behind(place, 10, 40)
    seen = look_at(place.cluster, place.topic)
    (_, high), p = max((mark, p) for p, mark in seen.marks.items())
    gone = [TopicPartition(place.topic, p, high - 1)]
    for future in place.admin.delete_records(gone).values():
        future.result(PATIENCE_S)
    left = set(place.counters())
    two = place.part(state)
    two.write_batch([batch(range(11, 41))])
    two.snapshot()
    found = place.counters()
    assert all(found.count(each) == 1 for each in left), "what was still there is repeated"
    assert f"{place.topic}[{p}] no longer holds" in caplog.text


def test_places_move_on_once_what_was_read_back_is_passed(place):
    one = place.part(places=place.start())
    one.write_batch([batch(range(1, 31))])
    first = one.snapshot()[2][place.topic]
    assert sum(first[1].values()) == 0, "nothing has been asked for yet"
    written, now = one._written, time.monotonic()

    def moved(seconds: float) -> bool:
        ends: dict[int, int] = written.places(now + seconds)[place.topic][1]
        return sum(ends.values()) == 30

    eventually(lambda: moved(LOOK_S + 1))


def test_a_message_that_is_none_of_ours_does_not_count(place):
    state = place.part(places=place.start()).snapshot()
    stranger = producer(place.cluster.bootstrap)
    for where in (b"0/x", b"7", b"\xff/1", b"0/1"):
        stranger.produce(place.topic, b"v", headers=[(COUNTER_HEADER, where)])
        headers: Headers = [(COUNTER_HEADER, where), (GENERATION_HEADER, b"9")]
        stranger.produce(place.topic, b"v", headers=headers)
    stranger.produce(place.topic, b"v", headers=[(GENERATION_HEADER, b"1")])
    stranger.flush()
    two = place.part(state)
    two.write_batch([batch(range(1, 3))])
    two.snapshot()
    found = [m for each in held_messages(place.topic, place.cluster) for m in each]
    assert {m.value for m in found} == {b"v", b'{"n":1}', b'{"n":2}'}
    assert len(found) == 11


def test_counters_are_asked_for_in_ascending_order():
    held = Counters([5, 3, 9, 5])
    assert [n for n in range(1, 12) if held.has(n)] == [3, 5, 9]
    assert held.passed()
    jumping = Counters([3, 5])
    assert not jumping.has(4)
    assert jumping.has(5)
    assert jumping.passed()


def delete(place: Bars) -> None:
    for future in place.admin.delete_topics([place.topic]).values():
        future.result(PATIENCE_S)

    eventually(lambda: look(place.cluster, place.admin, place.topic) is None)


@pytest.mark.parametrize("anew", [True, False])
def test_a_topic_that_was_deleted_while_the_flow_was_down_stops_it(place, anew):
    one = place.part(places=place.start())
    one.write_batch([batch(range(1, 6))])
    state = one.snapshot()
    delete(place)
    if anew:
        ensure_topics(place.cluster, {place.topic: 3}, timeout_s=PATIENCE_S)
    what = "was deleted and made anew" if anew else "is missing"
    with pytest.raises(LostTopic, match=rf"{place.topic} {what}: .*--generation N"):
        place.part(state)  # before there is anything to write
