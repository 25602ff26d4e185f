"""What there is to choose from, from a real Redis."""

from __future__ import annotations

import pytest
import redis

from connectors.redis.keys import Keys
from connectors.redis.reader import promote
from tests.connectors.web.rest.rig import CATALOG, Issuer, expect_problem, serving, settings, write

PATH = "/api/v1/values/market/risk/"
RISKS = [
    {
        "id": f"{scope}|{interval}",
        "ts_ns": 1,
        "scope": scope,
        "method": "ewma",
        "interval": interval,
        "confidence": 0.99,
        "horizon": 1,
    }
    for scope in ("symbol:S2", "symbol:S1", "symbol:odd|name", "portfolio:P")
    for interval in ("1m", "1s")
]


@pytest.fixture
def filled(redis_url):
    """A Redis with risk figures, under the keys that the flow gives them."""
    write(
        redis_url, "risk", RISKS, [CATALOG.sources["market.risk"].table_key(risk) for risk in RISKS]
    )
    return redis_url


@pytest.fixture
def feed(filled):
    with serving(settings(filled)) as client:
        yield client


def test_each_value_is_told_once(feed):
    expected = ["portfolio:P", "symbol:S1", "symbol:S2", "symbol:odd|name"]
    assert feed.get(PATH + "scope").json() == {"values": expected}
    assert feed.get(PATH + "interval").json() == {"values": ["1m", "1s"]}
    assert feed.get(PATH + "confidence").json() == {"values": ["0.99"]}


def test_an_answer_is_not_sent_twice(feed):
    tag = feed.get(PATH + "scope").headers["etag"]
    assert feed.get(PATH + "scope", headers={"If-None-Match": tag}).status_code == 304


def test_no_record_is_read(feed, filled):
    # In the place of records is what is none: reading them would fail.
    connection = redis.Redis.from_url(filled)
    table = Keys("market", 1).latest("risk")
    for key in connection.hkeys(table):
        connection.hset(table, key, "no record")
    assert len(feed.get(PATH + "scope").json()["values"]) == 4
    promote(connection, "market", 2)
    assert feed.get(PATH + "scope").json() == {"values": []}
    connection.close()


def test_what_is_no_field_of_the_key_is_not_found(feed):
    expect_problem(feed.get(PATH + "valid"), 404, "field")
    expect_problem(feed.get(PATH + "symbol"), 404, "field")
    expect_problem(feed.get("/api/v1/values/market/signals/scope"), 404, "field")
    expect_problem(feed.get("/api/v1/values/trading/risk/scope"), 404, "output")


def test_rows_of_a_token_are_all_that_is_seen(filled, tmp_path):
    issuer = Issuer(tmp_path)
    with serving(settings(filled), issuer.tokens) as client:
        desk = issuer.header("read:market.*", rows={"portfolio": ["P"]})
        assert client.get(PATH + "scope", headers=desk).json() == {"values": ["portfolio:P"]}
        one = issuer.header("read:market.risk", rows={"symbol": ["S1", "S3"]})
        assert client.get(PATH + "scope", headers=one).json() == {"values": ["symbol:S1"]}
        expect_problem(client.get("/api/v1/values/market/nbbo/symbol", headers=one), 403)
        expect_problem(client.get("/api/v1/values/market/bars/symbol", headers=desk), 403)
