"""Whatever happens to a run, its results are those of a run in peace. Real servers, real kills."""

from __future__ import annotations

from itertools import islice

import pytest

from benchmarks import crash
from benchmarks.crash import at_work, drains, one_of_two, outages, plans
from benchmarks.held import differences
from benchmarks.wild import wild_plans
from flows.servers.kafka import missing_for_kafka

SEED = 11
COUNT = 20_000

needs_kafka = pytest.mark.skipif(
    bool(missing_for_kafka()), reason="the stand-in for Kafka keeps nothing over a restart"
)


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    """A campaign whose reference, which was drained twice, equals its replay."""
    made = crash.campaign(tmp_path_factory.mktemp("crash"), SEED, COUNT)
    drained = made.reference(drains())
    assert drained.faults == []
    assert not drained.skipped, "a drained flow works on nothing twice"
    return made


@needs_kafka
def test_kills_at_any_point_of_either_worker_and_outages_change_nothing(campaign):
    (plan,) = plans(SEED, points=4, long_downs=0)
    incidents = [*plan.points, *one_of_two(), *outages(3.0), at_work()]
    told: list[str] = []
    result = campaign.run(sorted(incidents, key=lambda each: each.at), told.append, workers=2)
    assert result.faults == [], told
    assert len(told) == 10
    assert result.skipped, "at_work() sees to it"


@needs_kafka
def test_emptied_redis_stops_the_flow_which_says_so(campaign):
    assert campaign.emptied().faults == []


def test_the_same_seed_plans_the_same_points():
    def shape(seed):
        return [
            (plan.workers, [(p.name, p.at, p.jitter_s, p.after_s) for p in plan.points])
            for plan in plans(seed, points=50, long_downs=3)
        ]

    assert shape(1) == shape(1) != shape(2)
    points = [point for _, run in shape(1) for point in run]
    assert len(points) == 50
    assert sum("down for 15 s" in name for name, *_ in points) == 3
    assert all(0 < at < 1 for _, at, *_ in points)
    assert {workers for workers, _ in shape(1)} == {1, 2}


def test_a_seed_draws_the_same_faults_again_and_all_kinds_come_up():
    def shape(seed, runs=60):
        return [
            (plan.workers, [(p.name, p.at, p.jitter_s, p.after_s) for p in plan.points])
            for plan in islice(wild_plans(seed), runs)
        ]

    assert shape(3) == shape(3) != shape(4)
    assert shape(3)[:10] == shape(3, 10)
    words = {point[0].split()[0] for _, run in shape(3) for point in run}
    assert words == {"a", "market", "market's", "history", "models", "the", "Redis", "PostgreSQL"}
    assert all([at for _, at, *_ in run] == sorted(at for _, at, *_ in run) for _, run in shape(3))


@needs_kafka
def test_faults_drawn_at_random_change_nothing(campaign):
    told: list[str] = []
    plan = next(plan for plan in wild_plans(SEED) if len(plan.points) == 2)
    result = campaign.run(plan.points, told.append, plan.workers)
    assert result.faults == [], told


@pytest.mark.parametrize(
    "found",
    [["a", "b"], ["a", "b", "c", "c"], ["a", "c", "b"], ["a", "b", "d"]],
    ids=["lost", "twice", "order", "other"],
)
def test_a_difference_is_found(found):
    expected = {"stream": ["a", "b", "c"], "same": ["x"]}
    (told,) = differences(expected, {"stream": found, "same": ["x"]})
    assert told.startswith("stream ")
    assert differences(expected, expected) == []


def test_a_missing_and_a_surplus_part_are_differences():
    assert len(differences({"a": ["1"]}, {"b": ["1"]})) == 2
