"""Questions about topics, answered by a real broker."""

from __future__ import annotations

import threading
import uuid

import pytest

from connectors.kafka.client import Cluster
from connectors.kafka.topics import (
    ensure_topics,
    look_at_each,
    offset_bounds,
    partition_count,
    resolve_start,
)
from state.errors import Misuse
from tests import producing
from tests.waiting import PATIENCE_S


@pytest.fixture
def cluster(kafka) -> Cluster:
    return Cluster(kafka.bootstrap)


@pytest.fixture
def filled(cluster, topic) -> str:
    """Partition 0 holds times 1000, 2000, 3000 ms; partition 1 holds 1500 ms; 2 nothing."""
    name: str = topic(3)
    producer = producing.producer(cluster.bootstrap)
    for partition, at in ((0, 1000), (0, 2000), (0, 3000), (1, 1500)):
        producer.produce(name, b"v", partition=partition, timestamp=at)
    producer.flush(PATIENCE_S)
    return name


@pytest.mark.parametrize(
    ("start", "offsets"),
    [
        ("earliest", {0: 0, 1: 0, 2: 0}),
        ("latest", {0: 3, 1: 1, 2: 0}),
        ("1970-01-01T00:00:00", {0: 0, 1: 0, 2: 0}),
        ("1970-01-01T00:00:02", {0: 1, 1: 1, 2: 0}),
        ("1970-01-01T01:00:02.001+01:00", {0: 2, 1: 1, 2: 0}),
        ("2020-01-01", {0: 3, 1: 1, 2: 0}),
        ("0:1,2:0,1:1", {0: 1, 1: 1, 2: 0}),
        ({0: 2, 1: 0, 2: 0}, {0: 2, 1: 0, 2: 0}),
    ],
)
def test_a_start_becomes_an_offset_for_every_partition(cluster, filled, start, offsets):
    assert resolve_start(cluster, filled, start) == offsets


@pytest.mark.parametrize(
    ("start", "fault"),
    [
        ("yesterday", "not earliest, latest"),
        ("0:1", "must name the partitions 0 to 2"),
        ("0:4,1:0,2:0", "outside of 0 to 3"),
        ({0: 0, 1: 0, 2: -1}, "outside of 0 to 0"),
    ],
)
def test_a_start_that_cannot_be_is_misuse(cluster, filled, start, fault):
    with pytest.raises(Misuse, match=fault):
        resolve_start(cluster, filled, start)


def test_watermarks_are_the_first_offset_and_the_next(cluster, filled):
    assert offset_bounds(cluster, filled) == {0: (0, 3), 1: (0, 1), 2: (0, 0)}


def test_a_missing_topic_is_misuse_and_is_not_made_by_asking(cluster):
    for _ in range(2):
        with pytest.raises(Misuse, match=r"has no topic no\.such"):
            resolve_start(cluster, "no.such", "earliest")
    assert partition_count(cluster, "no.such") == 0


def test_a_look_at_each_topic_leaves_none_out(cluster, topic):
    there, gone = topic(2), f"gone.{uuid.uuid4().hex}"
    with pytest.raises(Misuse, match=rf"has no topic {gone}: create it"):
        look_at_each(cluster, [there, gone], timeout_s=0.3)
    assert partition_count(cluster, gone) == 0


def test_a_look_at_each_topic_waits_for_one_that_comes_late(cluster, topic):
    there, late = topic(2), f"late.{uuid.uuid4().hex}"
    maker = threading.Timer(0.3, ensure_topics, (cluster, {late: 3}))
    maker.start()
    seen = look_at_each(cluster, [there, late], timeout_s=PATIENCE_S)
    maker.join()
    assert {name: len(each.marks) for name, each in seen.items()} == {there: 2, late: 3}


def test_missing_topics_are_made_and_others_left_alone(cluster, topic):
    old, new = topic(2), f"new.{uuid.uuid4().hex}"
    assert ensure_topics(cluster, {old: 5, new: 3}, {"retention.ms": "60000"}) == [new]
    assert (partition_count(cluster, old), partition_count(cluster, new)) == (2, 3)
    assert ensure_topics(cluster, {new: 3}) == []


def test_a_topic_that_cannot_be_made_is_misuse(cluster):
    with pytest.raises(Misuse, match="cannot be created"):
        ensure_topics(cluster, {"no spaces": 1})
