"""What a generation remembers of its settings, and what a later start refuses."""

from __future__ import annotations

import uuid
from functools import partial
from pathlib import Path

import pytest

from connectors.kafka.client import Cluster
from connectors.kafka.topics import ensure_topics, look_at_each
from flows.config import load
from flows.engine import preparing
from flows.engine.context import flow_hash, shards_of
from flows.engine.flows import find_flow
from flows.engine.generation import Generation, Start
from flows.engine.preparing import check_start
from flows.market.settings import Market
from flows.settings.part import differing, settings_hash
from flows.settings.settings import Settings
from state.errors import Misuse, SnapshotRefused


class NextMarket(Market):
    """Market of a release that has one more setting."""

    brand_new: float = 1.5


def settings(**variables: str) -> Settings:
    return load(None, {f"HEADRACE_{name}": value for name, value in variables.items()}).settings


def start(of: Settings) -> Start:
    flow = find_flow("market")
    said = differing(flow.table(of), shards_of(flow, of))
    return Start(flow.name, 1, flow_hash(flow, of), {"market.ticks": {0: 0}}, said)


def test_a_setting_that_a_release_adds_changes_no_hash() -> None:
    before = settings_hash(Market(symbol_ttl=10**15), 4)
    assert settings_hash(NextMarket(symbol_ttl=10**15), 4) == before
    assert settings_hash(NextMarket(symbol_ttl=10**15, brand_new=2.0), 4) != before


def test_a_start_keeps_what_the_settings_say_beyond_their_defaults(tmp_path: Path) -> None:
    generation = Generation(tmp_path, 1)
    generation.directory.mkdir()
    written = start(settings(MARKET__LATENESS="2s", MARKET__RISK__LAMBDA="0.9"))
    generation.store(written)
    assert generation.load() == written
    assert written.settings == {"lateness": 2 * 10**9, "risk": {"lambda": 0.9}, "shards": 4}


@pytest.mark.parametrize(
    ("then", "now", "said"),
    [
        ({}, {"MARKET__RISK__LAMBDA": "0.9"}, ["market.risk.lambda", "its default", "0.9"]),
        ({"MARKET__LATENESS": "2s"}, {}, ["market.lateness", "2000000000", "its default"]),
        ({}, {"KAFKA__SHARDS": "5"}, ["market.shards", "4", "5"]),
        (
            {"MARKET__PORTFOLIOS": '{"a": {"X": 1}}'},
            {"MARKET__PORTFOLIOS": '{"a": {"X": 2}}'},
            ["market.portfolios.a.X", "1.0", "2.0"],
        ),
    ],
)
def test_a_refusal_names_the_setting_and_both_values(
    then: dict[str, str], now: dict[str, str], said: list[str]
) -> None:
    before = start(settings(**then))
    check_start(before, find_flow("market"), settings(**then))
    with pytest.raises(SnapshotRefused) as refused:
        check_start(before, find_flow("market"), settings(**now))
    for part in said:
        assert part in str(refused.value)


def test_settings_of_other_flows_change_nothing() -> None:
    before, now = settings(), settings(TRADING__ORDER_IDS="5")
    assert start(now) == start(before)
    check_start(start(before), find_flow("market"), now)


def test_an_output_topic_that_kafka_does_not_know_stops_the_first_start(kafka, monkeypatch):
    """Its place would be missing for good: what a death writes twice there would go unseen."""
    cluster = Cluster(kafka.bootstrap)
    there, gone = (f"t.{uuid.uuid4().hex[:12]}" for _ in range(2))
    ensure_topics(cluster, {there: 2})
    monkeypatch.setattr(preparing, "look_at_each", partial(look_at_each, timeout_s=0.3))
    assert preparing._places(cluster, [there], lambda: False)[there][1] == {0: 0, 1: 0}
    with pytest.raises(Misuse, match=f"has no topic {gone}"):
        preparing._places(cluster, [there, gone], lambda: False)
