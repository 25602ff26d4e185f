"""The last records, from a real Redis."""

from __future__ import annotations

import pytest
import redis
from pydantic import SecretStr

from connectors.redis.keys import generation_key
from connectors.redis.reader import RedisReader, promote
from tests.connectors.postgres.rows import bar
from tests.connectors.web.rest.rig import CATALOG, Issuer, expect_problem, serving, settings, write

PATH = "/api/v1/latest/market/bars"


@pytest.fixture
def feed(redis_url):
    bars = [bar(number) for number in range(10)]
    write(redis_url, "bars", bars, [f"{b['symbol']}|1s" for b in bars])
    with serving(settings(redis_url)) as client:
        yield client


def test_each_key_has_its_last_record_with_times_as_text(feed):
    found = feed.get(PATH).json()
    assert [r["symbol"] for r in found["records"]] == ["S0", "S1", "S2", "S3", "S4"]
    expected = [bar(number) for number in range(5, 10)]
    assert found["records"] == [b | {"start_ns": str(b["start_ns"])} for b in expected]


def test_the_position_is_the_newest_of_the_stream(feed, redis_url):
    reader = RedisReader(SecretStr(redis_url), "market")
    newest = list(reader.entries("bars"))[-1].stream_id
    reader.close()
    assert feed.get(PATH).json()["position"] == f"1:{newest}"


def test_filters_take_any_of_several_values(feed):
    found = feed.get(PATH, params={"symbol": "S1,S3,none", "interval": "1s"}).json()
    assert [r["symbol"] for r in found["records"]] == ["S1", "S3"]
    assert feed.get(PATH, params={"interval": "1m"}).json()["records"] == []
    expect_problem(feed.get(PATH, params={"scope": "symbol:S1"}), 400, "scope")
    expect_problem(feed.get(PATH, params={"symbol": ""}), 400, "symbol")


def test_an_answer_is_not_sent_twice(feed, redis_url):
    first = feed.get(PATH)
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == "private, no-cache"
    for asked in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = feed.get(PATH, headers={"If-None-Match": asked})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
    write(redis_url, "bars", [bar(10)], ["S0|1s"], first=11)
    changed = feed.get(PATH, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.json()["records"][0]["start_ns"] == str(bar(10)["start_ns"])


def test_an_output_that_is_no_table_tells_the_newest(redis_url):
    signals = [
        {"id": str(n), "scope": "symbol:S1", "kind": "breach_up", "method": "m", "ts_ns": n}
        for n in range(150)
    ]
    write(redis_url, "signals", signals, [""] * len(signals))
    with serving(settings(redis_url)) as client:
        found = client.get("/api/v1/latest/market/signals").json()["records"]
    assert [r["id"] for r in found] == [str(n) for n in range(50, 150)]


def test_nothing_yet_is_an_empty_answer(redis_url):
    with serving(settings(redis_url)) as client:
        assert client.get(PATH).json() == {"position": "1:0-0", "records": []}


def test_readers_follow_the_generation(feed, redis_url):
    connection = redis.Redis.from_url(redis_url)
    promote(connection, "market", 7)
    assert connection.get(generation_key("market")) == b"7"
    assert feed.get(PATH).json() == {"position": "7:0-0", "records": []}
    connection.close()


def test_rows_of_a_token_are_all_that_is_seen(redis_url, tmp_path):
    bars = [bar(number) for number in range(5)]
    write(redis_url, "bars", bars, [b["symbol"] for b in bars])
    risks = [
        {"id": scope, "scope": scope, "ts_ns": 1, "method": "m"}
        for scope in ("portfolio:P", "portfolio:Q", "symbol:S1")
    ]
    issuer = Issuer(tmp_path)
    with serving(settings(redis_url), issuer.tokens) as client:
        write_risk(redis_url, risks)
        one = issuer.header("read:market.*", rows={"symbol": ["S1", "S2"]})
        found = client.get(PATH, headers=one).json()["records"]
        assert [r["symbol"] for r in found] == ["S1", "S2"]
        found = client.get(PATH, headers=one, params={"symbol": "S2,S3"}).json()["records"]
        assert [r["symbol"] for r in found] == ["S2"]
        desk = issuer.header("read:market.risk", rows={"portfolio": ["P"]})
        found = client.get("/api/v1/latest/market/risk", headers=desk).json()["records"]
        assert [r["scope"] for r in found] == ["portfolio:P"]
        expect_problem(client.get(PATH, headers=desk), 403)
        bars_only = issuer.header("read:market.*", rows={"portfolio": ["P"]})
        expect_problem(client.get(PATH, headers=bars_only), 403)


def write_risk(url, risks):
    assert "scope" in CATALOG.sources["market.risk"].fields
    write(url, "risk", risks, [r["scope"] for r in risks])


def test_a_server_that_goes_and_comes_back_needs_no_new_feed(own_valkey):
    bars = [bar(0)]
    write(own_valkey.url, "bars", bars, ["S0"])
    with serving(settings(own_valkey.url)) as client:
        assert len(client.get(PATH).json()["records"]) == 1
        assert client.get("/ready").json() == {"ready": True}
        own_valkey.stop()
        expect_problem(client.get(PATH), 503)
        expect_problem(client.get("/ready"), 503)
        own_valkey.start()
        assert len(client.get(PATH).json()["records"]) == 1


def test_the_trading_state_says_when_nobody_confirms_it(redis_url):
    with serving(settings(redis_url)) as client:
        found = client.get("/api/v1/trading/state").json()
        assert found == {"position": "1:0-0", "records": [], "heard_ns": "0", "silent": True}
