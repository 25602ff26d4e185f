"""A topic read on from question to question, on a real broker."""

from __future__ import annotations

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from confluent_kafka import Producer

from connectors.kafka.client import Cluster
from connectors.kafka.follower import Follower
from connectors.kafka.topics import offset_bounds
from state.errors import Broken
from tests.conftest import create_topic, delete_messages, delete_topic
from tests.waiting import PATIENCE_S, eventually


class Taken:
    """A follower of a topic, and the values that it hands over."""

    def __init__(self, kafka, topic, newest=None):
        self.kafka, self.topic = kafka, topic
        self.values: list[bytes] = []
        self.restarts = 0
        self.follower = Follower(Cluster(kafka.bootstrap), topic, self.take, self.restart, newest)

    def take(self, message):
        self.values.append(message.value())

    def restart(self):
        self.restarts += 1
        self.values.clear()

    def write(self, *values, partition=0, **config):
        producer = Producer({"bootstrap.servers": self.kafka.bootstrap, **config})
        if config:
            producer.init_transactions(20)
            producer.begin_transaction()
        for value in values:
            producer.produce(self.topic, value, partition=partition)
        if config:
            producer.commit_transaction(20)
        assert producer.flush(PATIENCE_S) == 0

    def ask(self):
        with self.follower.caught_up() as seen:
            return seen


@pytest.fixture
def follow(kafka, topic):
    made = []

    def follower(partitions=1, name=None, newest=None):
        made.append(Taken(kafka, name or topic(partitions), newest))
        return made[-1]

    yield follower
    for each in made:
        each.follower.close()


def test_each_message_is_handed_over_once(follow):
    taken = follow(partitions=2)
    taken.write(b"a", b"b")
    taken.write(b"c", partition=1)
    taken.ask()
    assert sorted(taken.values) == [b"a", b"b", b"c"]
    taken.ask()
    taken.write(b"d")
    seen = taken.ask()
    assert sorted(taken.values) == [b"a", b"b", b"c", b"d"]
    assert seen.marks == {0: (0, 3), 1: (0, 1)}


def test_threads_that_ask_at_the_same_time_share_what_is_read(follow):
    taken = follow()
    taken.write(*[b"%d" % number for number in range(5_000)])
    lengths = []

    def ask():
        with taken.follower.caught_up():
            lengths.append(len(taken.values))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lengths == [5_000] * 8


def test_nobody_waits_for_a_turn_longer_than_for_kafka(follow, monkeypatch):
    taken = follow()
    with taken.follower.caught_up():
        monkeypatch.setattr("connectors.kafka.follower.TIMEOUT_S", 0.2)
        with ThreadPoolExecutor(1) as pool, pytest.raises(Broken, match="read for others"):
            pool.submit(taken.ask).result(PATIENCE_S)
    monkeypatch.undo()
    assert taken.ask() is not None, "the turn was given back"


def test_a_topic_that_is_made_later_is_found(follow, kafka):
    taken = follow(name=f"t.{uuid.uuid4().hex}")
    assert taken.ask() is None
    create_topic(kafka, taken.topic, 1)
    taken.write(b"a")
    taken.ask()
    assert taken.values == [b"a"]


def test_a_topic_that_is_made_anew_is_read_anew(follow, kafka):
    taken = follow()
    taken.write(b"a", b"b")
    taken.ask()
    delete_topic(kafka, taken.topic)
    assert taken.ask() is None
    assert taken.values == []
    create_topic(kafka, taken.topic, 1)
    taken.write(b"c", b"d")
    taken.ask()
    assert taken.values == [b"c", b"d"]
    # As many messages as before, and nobody asked in between: only its identity tells.
    delete_topic(kafka, taken.topic)
    create_topic(kafka, taken.topic, 1)
    taken.write(b"e", b"f")
    taken.ask()
    assert taken.values == [b"e", b"f"]


def test_what_was_deleted_before_it_was_read_is_passed_over(follow, kafka):
    taken = follow()
    taken.write(b"a")
    taken.ask()
    taken.write(b"b", b"c", b"d")
    delete_messages(kafka, taken.topic, before=3)
    taken.ask()
    assert taken.values == [b"a", b"d"]
    assert taken.follower.since == {0: 3}


def test_no_more_than_the_newest_of_each_partition_are_read(follow):
    taken = follow(partitions=2, newest=3)
    taken.write(*[b"%d" % number for number in range(10)])
    taken.write(b"x", partition=1)
    taken.ask()
    assert sorted(taken.values) == [b"7", b"8", b"9", b"x"]
    assert taken.follower.since == {0: 7, 1: 0}
    taken.write(*[b"%d" % number for number in range(10, 12)])
    taken.ask()
    assert taken.follower.since == {0: 7, 1: 0}
    taken.write(*[b"%d" % number for number in range(12, 20)])
    taken.ask()
    assert taken.values[-3:] == [b"17", b"18", b"19"]
    assert taken.follower.since == {0: 17, 1: 0}


def test_the_end_of_a_transaction_is_no_message_to_wait_for(follow, kafka):
    taken = follow()
    taken.write(b"a", b"b", **{"transactional.id": taken.topic})
    eventually(lambda: offset_bounds(Cluster(kafka.bootstrap), taken.topic) == {0: (0, 3)})
    began = time.monotonic()
    seen = taken.ask()
    assert taken.values == [b"a", b"b"]
    assert seen.marks == {0: (0, 3)}
    taken.ask()
    assert time.monotonic() - began < 8, "it waited until its time was over"


def test_a_message_is_found_by_its_place(follow, kafka):
    taken = follow()
    taken.write(b"a", b"b", b"c")
    delete_messages(kafka, taken.topic, before=1)
    with taken.follower.caught_up():
        assert taken.follower.at(0, 1).value() == b"b"
        assert taken.follower.at(0, 0) is None
        assert taken.follower.at(0, 3) is None
        assert taken.follower.at(0, 99) is None
    taken.write(b"d")
    taken.ask()
    assert taken.values == [b"b", b"c", b"d"]
