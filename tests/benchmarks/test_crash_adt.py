"""Whatever dies, what the listener has accepted takes effect once. Real servers, real kills."""

from __future__ import annotations

import pytest

from benchmarks.adt import crash
from benchmarks.adt.crash import kill_unanswered, plans
from benchmarks.adt.senders import arrived
from benchmarks.held import Arrival
from benchmarks.incidents import kill_flow, kill_worker
from benchmarks.trial import AT_THE_END, Incident
from flows.servers.kafka import missing_for_kafka
from replay.message import Message

pytestmark = pytest.mark.timeout(900)  # two runs, each with servers of its own
SEED = 5
COUNT = 900

needs_kafka = pytest.mark.skipif(
    bool(missing_for_kafka()), reason="the stand-in for Kafka keeps nothing over a restart"
)


@needs_kafka
def test_listener_flow_and_history_are_killed_and_nothing_is_lost_or_taken_twice(tmp_path):
    made = crash.campaign(tmp_path, SEED, COUNT)
    assert made.reference().faults == []
    assert all(made.expected[f"table adt_{name}"] for name in ("beds", "encounters"))
    told: list[str] = []
    incidents = [
        Incident("unanswered", kill_unanswered(), 0.1),
        Incident("worker", kill_worker(0), 0.2),
        Incident("history", kill_flow("history"), 0.3),
    ]
    result = made.run(incidents, told.append)
    assert result.faults == [], told
    assert len(told) == 3
    assert not [each for each in told if each.endswith(AT_THE_END)]


def test_the_same_seed_plans_the_same_points_and_all_kinds_come_up():
    def shape(seed):
        return [
            (plan.workers, [(p.name, p.at, p.jitter_s, p.after_s) for p in plan.points])
            for plan in plans(seed, points=50, long_downs=3)
        ]

    assert shape(1) == shape(1) != shape(2)
    names = [point[0] for _, run in shape(1) for point in run]
    assert len(names) == 50
    assert sum("down for 15 s" in name for name in names) == 3
    assert len(set(names)) == len(crash.VICTIMS) + 1


def stored(*values: bytes, partition: int = 0) -> list[Message]:
    return [Message("adt.raw", partition, n, 0, b"GH", value) for n, value in enumerate(values)]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (stored(b"a", b"b", b"c"), Arrival(3, 0, 0, 0)),
        (stored(b"a", b"b"), Arrival(2, 0, 0, 1)),
        (stored(b"a", b"b", b"b", b"c"), Arrival(4, 1, 0, 0)),
        (stored(b"a", b"c", b"b"), Arrival(3, 0, 1, 0)),
        (stored(b"a", b"b", b"c", partition=1), Arrival(3, 0, 3, 0)),
    ],
    ids=["as sent", "lost", "twice", "order", "elsewhere"],
)
def test_what_is_lost_repeated_or_moved_in_the_topic_is_told(found, expected):
    assert arrived(stored(b"a", b"b", b"c"), found) == expected
    assert expected.is_faithful(3) == (expected == Arrival(3, 0, 0, 0))
