"""Portfolios, positions and the kill switch: through a real Kafka."""

from __future__ import annotations

import socket
import time
import uuid
from unittest.mock import ANY

import httpx2
import orjson
import pytest
from confluent_kafka import Consumer, TopicPartition

from connectors.kafka.topics import ensure_topics, offset_bounds
from connectors.market.events import event_of
from flows.engine.cluster import cluster_of
from flows.market.trading_settings import Trading
from flows.settings.settings import Settings
from operators.market.controls.controls import Controls
from operators.market.controls.entries import Entry
from state.clock import NS
from state.records import Coordinates
from tests import servers
from tests.conftest import empty_redis
from tests.connectors.web.rest.rig import Issuer, expect_problem, serving, settings, write
from tests.waiting import PATIENCE_S

TOPICS = ("market.portfolios", "market.positions", "market.control")


@pytest.fixture(scope="module")
def given(spare_kafka):
    servers.empty(spare_kafka)  # nobody else writes to these topics there
    found = settings(bootstrap=spare_kafka.bootstrap)
    ensure_topics(cluster_of(found.kafka), dict.fromkeys(TOPICS, 1), {"retention.ms": "-1"})
    return found


@pytest.fixture(scope="module")
def feed(given):
    with serving(given) as client:
        yield client


def message(given: Settings, told: dict):
    """Return the message at the coordinates that an answer tells."""
    consumer = Consumer({"bootstrap.servers": given.kafka.bootstrap, "group.id": "t"})
    consumer.assign([TopicPartition(told["topic"], told["partition"], told["offset"])])
    found = consumer.poll(PATIENCE_S)
    consumer.close()
    assert found is not None
    value = found.value()
    assert isinstance(value, bytes)
    assert (found.offset(), found.partition()) == (told["offset"], told["partition"])
    return found.key(), orjson.loads(value)


def name() -> str:
    return f"p{uuid.uuid4().hex[:8]}"


def test_a_portfolio_is_in_kafka_when_it_is_answered(feed, given):
    book = name()
    answer = feed.post(
        "/api/v1/portfolios", json={"portfolio": book, "weights": {"IBM": 0.5}, "ts_ns": "17"}
    )
    assert answer.status_code == 202
    told = answer.json()
    assert (told["topic"], told["ts_ns"]) == ("market.portfolios", "17")
    high = offset_bounds(cluster_of(given.kafka), told["topic"])[told["partition"]][1]
    assert high == told["offset"] + 1
    key, event = message(given, told)
    assert key == book.encode()
    assert event == event_of(event)
    assert (event["type"], event["ts_ns"], event["weights"]) == ("portfolio", 17, {"IBM": 0.5})


def test_what_was_answered_is_seen_at_once(feed):
    book = name()
    before = time.time_ns()
    feed.post("/api/v1/portfolios", json={"portfolio": book, "weights": {"IBM": 1.0}})
    mine = [r for r in feed.get("/api/v1/portfolios").json()["records"] if r["portfolio"] == book]
    (found,) = mine
    assert before <= int(found["ts_ns"]) <= time.time_ns()
    assert (found["weights"], found["value"], found["rebalance"]) == ({"IBM": 1.0}, 1.0, "daily")
    feed.post("/api/v1/portfolios", json={"portfolio": book, "weights": {}})
    now = feed.get("/api/v1/portfolios").json()["records"]
    assert book not in [r["portfolio"] for r in now]


def test_cash_is_the_last_of_each_portfolio(feed):
    for amount in (5.0, -700.5):
        asked = {"portfolio": "cashed", "amount": amount}
        assert feed.post("/api/v1/cash", json=asked).status_code == 202
    found = [r for r in feed.get("/api/v1/cash").json()["records"] if r["portfolio"] == "cashed"]
    assert [r["amount"] for r in found] == [-700.5]
    assert not [r for r in feed.get("/api/v1/positions").json()["records"] if "amount" in r]
    problem = feed.post("/api/v1/cash", json={"portfolio": "cashed", "amount": "much"})
    assert (problem.status_code, problem.json()["field"]) == (400, "amount")


def test_positions_are_the_last_of_each_symbol(feed):
    book = name()
    for symbol, quantity in (("A", 5), ("B", 7), ("A", -2), ("B", 0)):
        asked = {"portfolio": book, "symbol": symbol, "quantity": quantity}
        assert feed.post("/api/v1/positions", json=asked).status_code == 202
    found = [r for r in feed.get("/api/v1/positions").json()["records"] if r["portfolio"] == book]
    assert [(r["symbol"], r["quantity"]) for r in found] == [("A", -2.0)]


def test_an_event_that_the_flow_would_refuse_is_refused(feed, given):
    before = offset_bounds(cluster_of(given.kafka), "market.portfolios")
    for field, change in (
        ("portfolio", {"portfolio": ""}),
        ("portfolio", {"portfolio": "a|b"}),
        ("weights", {"weights": {"A": "1"}}),
        ("weights", {"weights": {"A": 1e9}}),
        ("value", {"value": 0}),
        ("rebalance", {"rebalance": "hourly"}),
        ("ts_ns", {"ts_ns": "soon"}),
        ("ts_ns", {"ts_ns": 0}),
        ("ts_ns", {"ts_ns": str(time.time_ns() + 60 * 10**9)}),
        ("type", {"type": "position"}),
    ):
        body = {"portfolio": "p", "weights": {}} | change
        found = expect_problem(feed.post("/api/v1/portfolios", json=body), 400, field)
        assert found["detail"]
    expect_problem(feed.post("/api/v1/portfolios", json=[]), 400)
    headers = {"Content-Type": "application/json"}
    expect_problem(feed.post("/api/v1/portfolios", content=b"{", headers=headers), 400)
    expect_problem(feed.post("/api/v1/portfolios", content=b"{}"), 415)
    assert offset_bounds(cluster_of(given.kafka), "market.portfolios") == before


def test_the_controls_understand_the_kill_switch(feed, given):
    controls = Controls(given.of(Trading).controls())
    for kind, state in (("kill", "HALTED"), ("resume", "ACTIVE")):
        asked = {"account": "*", "reason": "fire drill"}
        answer = feed.post(f"/api/v1/trading/{kind}", json=asked)
        assert answer.status_code == 202
        told = answer.json()
        key, event = message(given, told)
        assert (key, event["by"], event["type"]) == (b"*", "anyone", kind)
        at = Coordinates("market.sequenced", 0, told["offset"])
        source = Coordinates(told["topic"], told["partition"], told["offset"])
        emitted = controls.apply(Entry(at, source, event["ts_ns"], "market.control", event))
        assert {e.record["state"] for e in emitted if e.output == "state"} == {state}
        assert {e.record["reason"] for e in emitted} == {"fire drill"}


def state(account: str, ts_ns: int) -> dict:
    """Return a heartbeat of trading."""
    return {"id": f"{account}{ts_ns}", "ts_ns": ts_ns, "account": account, "state": "ACTIVE"}


def test_an_account_that_trading_does_not_know_is_not_found(given, valkey):
    url = empty_redis(valkey)

    def beat(first: int, ago_ns: int) -> None:
        accounts = ["*", "known"]
        records = [state(account, time.time_ns() - ago_ns) for account in accounts]
        write(url, "state", records, accounts, first, system="trading")

    with serving(settings(url, bootstrap=given.kafka.bootstrap)) as client:

        def kill(account: str, **more: object) -> httpx2.Response:
            return client.post("/api/v1/trading/kill", json={"account": account, **more})

        assert kill("knwon").status_code == 202, "nobody has heard trading"
        beat(1, 3600 * NS)
        assert kill("knwon").status_code == 202, "trading was not heard lately"
        beat(3, -3600 * NS)
        before = offset_bounds(cluster_of(given.kafka), "market.control")[0][1]
        assert "refuses" in expect_problem(kill("knwon"), 404, "account")["detail"]
        for good in (kill("known"), kill("*"), kill(" known "), kill("knwon", new=True)):
            assert good.status_code == 202
        assert message(given, kill(" known ").json()) == (
            b"known",
            message(given, kill("known").json())[1] | {"ts_ns": ANY},
        )
        # The flow decides on what was not found here, too.
        told = {"topic": "market.control", "partition": 0, "offset": before}
        assert message(given, told)[1]["account"] == "knwon"


@pytest.mark.parametrize("hangs", [False, True])
def test_a_kill_needs_no_redis(given, hangs):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1] if hangs else 1
        redis_url = f"redis://127.0.0.1:{port}/0"
        with serving(settings(redis_url, bootstrap=given.kafka.bootstrap)) as client:
            for account in ("*", "anybody"):
                answer = client.post("/api/v1/trading/kill", json={"account": account})
                assert answer.status_code == 202


def test_a_control_event_is_checked(feed):
    for field, body in (
        ("account", {}),
        ("account", {"account": ""}),
        ("account", {"account": "a|b"}),
        ("account", {"account": " * "}),
        ("account", {"account": "a\u200b"}),
        ("new", {"account": "a", "new": 1}),
        ("reason", {"account": "*", "reason": "x" * 201}),
        ("by", {"account": "*", "by": "somebody else"}),
        ("ts_ns", {"account": "*", "ts_ns": "1"}),
    ):
        expect_problem(feed.post("/api/v1/trading/kill", json=body), 400, field)


def test_writers_are_held_to_their_scope_and_rows(given, tmp_path):
    issuer = Issuer(tmp_path)
    with serving(given, issuer.tokens) as client:
        desk = issuer.header("write:portfolios control", rows={"portfolio": ["mine"]})
        mine = {"portfolio": "mine", "weights": {"IBM": 1.0}}
        assert client.post("/api/v1/portfolios", json=mine, headers=desk).status_code == 202
        other = mine | {"portfolio": "other"}
        expect_problem(client.post("/api/v1/portfolios", json=other, headers=desk), 403)
        expect_problem(
            client.post("/api/v1/trading/kill", json={"account": "*"}, headers=desk), 403
        )
        found = client.get("/api/v1/portfolios", headers=desk).json()["records"]
        assert [r["portfolio"] for r in found] == ["mine"]
        trader = issuer.header("control", sub="bob", rows={"account": ["acc"]})
        expect_problem(
            client.post("/api/v1/trading/kill", json={"account": "*"}, headers=trader), 403
        )
        answer = client.post("/api/v1/trading/kill", json={"account": "acc"}, headers=trader)
        assert message(given, answer.json())[1]["by"] == "bob"


def test_a_topic_that_is_missing_is_named(own_kafka):
    with serving(settings(bootstrap=own_kafka.bootstrap)) as client:
        for path, topic in (
            ("/api/v1/portfolios", "market.portfolios"),
            ("/api/v1/positions", "market.positions"),
            ("/api/v1/cash", "market.positions"),
        ):
            assert client.get(path).json() == {"records": [], "missing": topic}
        dead = client.get("/api/v1/dead/market").json()
        assert dead == {"total": 0, "complete": True, "records": [], "missing": "market.dead"}
        for path, body, said in (
            ("/positions", {"portfolio": "p", "symbol": "A", "quantity": 1}, "market.positions"),
            ("/trading/kill", {"account": "*"}, "headrace run trading makes it"),
        ):
            answer = client.post(f"/api/v1{path}", json=body)
            assert said in expect_problem(answer, 503)["detail"]
        ensure_topics(cluster_of(settings(bootstrap=own_kafka.bootstrap).kafka), {TOPICS[1]: 1})
        assert client.get("/api/v1/positions").json() == {"records": []}


def test_nothing_is_acknowledged_while_kafka_is_down(own_kafka):
    given = settings(bootstrap=own_kafka.bootstrap)
    ensure_topics(cluster_of(given.kafka), dict.fromkeys(TOPICS, 1), {"retention.ms": "-1"})
    asked = {"portfolio": "p", "weights": {"IBM": 1.0}}
    with serving(given) as client:
        assert client.post("/api/v1/portfolios", json=asked).status_code == 202
        own_kafka.stop()
        answer = client.post("/api/v1/portfolios", json=asked)
        assert "Kafka" in expect_problem(answer, 503)["detail"]
        expect_problem(client.get("/api/v1/portfolios"), 503)
        expect_problem(client.get("/api/v1/dead/market"), 503)
        assert client.get("/live").status_code == 200
        own_kafka.start()
        again = client.post("/api/v1/portfolios", json=asked)
        assert again.status_code == 202
        assert client.get("/api/v1/portfolios").json()["records"][0]["portfolio"] == "p"
        assert client.get("/api/v1/dead/market").json()["records"] == []
