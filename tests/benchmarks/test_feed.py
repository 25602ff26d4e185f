"""The benchmark of the feed in its small form."""

from __future__ import annotations

import pytest

from benchmarks.machine import Cores
from benchmarks.report import Report
from benchmarks.web import bare, broadcast, resume, stopped
from benchmarks.web.readers import SUBSCRIBED, TOKEN
from benchmarks.web.resume import Outcome, Plan
from benchmarks.web.rig import Load, rig
from benchmarks.web.writer import quote
from connectors.web import frames
from connectors.web.channels import sources_of
from connectors.web.frames import JSON, Record
from state.market.outputs import MARKET
from state.outputs import to_json

SMALL = Load(clients=50, rate=100, seconds=2)


@pytest.fixture(scope="module")
def servers():
    with rig(Cores.here()) as made:
        yield made


def test_the_bare_broadcast_sends_the_bytes_that_the_feed_sends():
    values = quote("S7", 1_700_000_000_000_000_123)
    value = to_json(values)
    source = sources_of(MARKET)["market.nbbo"]
    record = Record((5, 1), "S7", source.values(values), value)
    frame = frames.records(JSON, "delta", "market.nbbo?symbol=S7", "1:5-1", [record])
    symbol, text = bare.delta("5-1", value)
    assert symbol == "S7"
    assert frame.endswith(text.encode())
    assert len(frame) - len(text) == 4  # the head of a frame of 126 bytes or more


def test_both_servers_deliver_every_message(servers):
    # A token that fits into what is kept of the chunk before would be counted twice.
    assert len(SUBSCRIBED) == len(TOKEN)
    feeds, bares = broadcast.measure(servers, SMALL, repeats=1)
    # Of each update a tenth of the clients gets one message, by chance a little more or less.
    assert feeds[0].messages == bares[0].messages
    assert 800 < feeds[0].messages < 1200
    for trial in feeds + bares:
        assert 0.0 < trial.p50_ms <= trial.p99_ms
        assert trial.cpu_s > 0.0


def test_the_stopped_client_is_conflated_while_the_others_are_measured(servers):
    pair = stopped.measure(servers, SMALL, stopped_first=True)
    assert pair.conflated >= SMALL.rate * SMALL.seconds
    assert pair.without_ms > 0.0
    assert pair.with_ms > 0.0


def test_a_killed_client_is_resumed_from_memory_and_from_redis(servers):
    plan = Plan(seconds=5, rate=20_000, kills=10, seed=3)
    report = Report(json=True, facts={})
    assert resume.run(servers, plan, report)
    found = {figure.name: figure.value for figure in report.figures}
    assert found["resumed from memory"] > 0
    assert found["resumed from Redis"] > 0
    assert found["resumed from memory"] + found["resumed from Redis"] == plan.kills
    assert found["resets"] == 0


@pytest.mark.parametrize(
    ("killed", "resumed", "resets"),
    [
        ([0, 1, 1, 2, 3], 1, []),
        ([0, 1, 3], 1, []),
        ([0, 1, 2, 3], 0, []),
        ([0, 1, 2, 3], 1, ["trimmed"]),
    ],
    ids=["a repeat", "a gap", "not resumed", "a reset"],
)
def test_what_differs_is_a_failure(killed, resumed, resets):
    plan = Plan(seconds=1, rate=4, kills=1, seed=1)
    assert Outcome([0, 1, 2, 3], [0, 1, 2, 3], 1, [], 1.0).same(plan)
    assert not Outcome([0, 1, 2, 3], killed, resumed, resets, 1.0).same(plan)
