"""Pages of history over a real PostgreSQL."""

from __future__ import annotations

import pytest

from connectors.web.rest.history import END_NS, time_ns
from state.market.outputs import OUTPUTS
from state.retraction import retraction
from tests.conftest import empty_database
from tests.connectors.postgres.rows import ONE_OF_EACH, bar
from tests.connectors.postgres.wards import filled
from tests.connectors.postgres.writing import bars, block, partition
from tests.connectors.web.rest.rig import Issuer, expect_problem, serving, settings

PATH = "/api/v1/history/market/bars"
COUNT = 50


@pytest.fixture(scope="module")
def dsn(postgres):
    found = empty_database(postgres)
    made = partition(found)
    made.write_batch([bars(0, COUNT)])
    made.write_batch([block("risk", [ONE_OF_EACH["market.risk"]])])
    minutes = [bar(n, start_ns=n * 60 * 10**9, interval="1m") | {"symbol": "M"} for n in range(180)]
    made.write_batch([block("bars", [m | {"id": f"M|1m|{m['start_ns']}"} for m in minutes])])
    made.snapshot()
    made.close()
    return found


@pytest.fixture(scope="module")
def feed(dsn):
    with serving(settings(dsn=dsn)) as client:
        yield client


def pages(feed, **asked):
    """Return all records, over as many pages as there are."""
    found: list[dict] = []
    cursor: dict[str, str] = {}
    while True:
        page = feed.get(PATH, params=asked | cursor).json()
        found += page["records"]
        if page["next"] is None:
            return found
        assert len(page["records"]) == asked.get("limit", 1000)
        cursor = {"cursor": page["next"]}


def test_an_output_that_came_after_the_last_migration_says_what_makes_its_table(feed):
    """The feed may be of a newer release than the history flow that wrote last."""
    answer = feed.get("/api/v1/history/adt/beds")
    assert "`headrace run history` makes it" in expect_problem(answer, 404)["detail"]


def as_told(record):
    return record | {"start_ns": str(record["start_ns"])}


@pytest.mark.parametrize("limit", [1, 7, 50, 1000])
def test_pages_have_every_record_once_in_order(feed, limit):
    found = pages(feed, limit=limit, interval="1s")
    assert found == [as_told(bar(number)) for number in range(COUNT)]


def test_a_range_holds_its_start_and_not_its_end(feed):
    first, last = bar(10)["start_ns"], bar(20)["start_ns"]
    found = pages(feed, **{"from": first, "to": last, "interval": "1s"})
    assert found == [as_told(bar(number)) for number in range(10, 20)]
    found = pages(feed, **{"from": "2013-10-07T13:30:10Z", "to": "2013-10-07T15:30:20+02:00"})
    assert found == [as_told(bar(number)) for number in range(10, 20)]


def test_filters_choose_records(feed):
    found = pages(feed, symbol="S3", limit=3)
    assert found == [as_told(bar(number)) for number in range(3, COUNT, 5)]
    several = [n for n in range(COUNT) if n % 5 in (1, 3)]
    assert pages(feed, symbol="S3,S1", limit=3) == [as_told(bar(number)) for number in several]
    risk = "/api/v1/history/market/risk"
    assert len(feed.get(risk, params={"portfolio": "é"}).json()["records"]) == 1
    asked = {"portfolio": "é", "scope": "portfolio:other"}
    assert feed.get(risk, params=asked).json()["records"] == []
    expect_problem(feed.get(PATH, params={"scope": "symbol:S3"}), 400, "scope")


def test_hours_are_made_of_minutes_by_page(feed):
    asked = {"symbol": "M", "bucket": "1h", "limit": 2}
    first = feed.get(PATH, params=asked).json()
    assert [r["start_ns"] for r in first["records"]] == ["0", str(3600 * 10**9)]
    rest = feed.get(PATH, params=asked | {"cursor": first["next"]}).json()
    assert [r["start_ns"] for r in rest["records"]] == [str(7200 * 10**9)]
    assert rest["next"] is None
    expect_problem(feed.get(PATH, params={"bucket": "1h"}), 400, "bucket")
    expect_problem(feed.get("/api/v1/history/market/risk", params=asked), 400, "bucket")
    expect_problem(feed.get(PATH, params=asked | {"symbol": "M,S3"}), 400, "bucket")


def test_what_cannot_be_asked_names_the_field(feed):
    for field, value in (
        ("from", "yesterday"),
        ("from", "2013-10-07T13:30:10"),
        ("to", "-1"),
        ("to", "9" * 30),
        ("limit", "100000"),
        ("cursor", "AAAA"),
        ("cursor", "!"),
        ("bucket", "2h"),
    ):
        expect_problem(feed.get(PATH, params={field: value}), 400, field)
    expect_problem(feed.get(PATH, params={"symbol": "a\0b"}), 400)
    expect_problem(feed.get("/api/v1/history/market/nothing"), 404, "output")


def test_retractions_are_told_where_they_are_asked_for(database):
    bars_table = next(output for output in OUTPUTS if output.topic == "market.bars")
    first = bar(1)
    taken = retraction(bars_table, first["start_ns"] + 10**9, "gone|S1", "S1|1s")
    made = partition(database)
    made.write_batch([filled(bars_table, [first, bar(2), taken])])
    made.close()
    with serving(settings(dsn=database)) as client:
        assert len(client.get(PATH).json()["records"]) == 2
        asked = {"retractions": "true", "symbol": "S1", "limit": "1"}
        page = client.get(PATH, params=asked).json()
        assert page["records"] == [as_told(first)]
        last = client.get(PATH, params=asked | {"cursor": page["next"]}).json()
        assert last == {"records": [as_told(taken)], "next": None}
        expect_problem(client.get(PATH, params={"retractions": "maybe"}), 400, "retractions")


def test_a_page_has_an_entity_tag(feed):
    first = feed.get(PATH, params={"limit": 3})
    again = feed.get(PATH, params={"limit": 3}, headers={"If-None-Match": first.headers["etag"]})
    assert (first.status_code, again.status_code) == (200, 304)


def test_rows_of_a_token_limit_what_is_asked_for(dsn, tmp_path):
    issuer = Issuer(tmp_path)
    with serving(settings(dsn=dsn), issuer.tokens) as client:
        one = issuer.header("read:market.*", rows={"symbol": ["S3"]})
        found = client.get(PATH, headers=one).json()["records"]
        assert {r["symbol"] for r in found} == {"S3"}
        expect_problem(client.get(PATH, headers=one, params={"symbol": "S4"}), 403, "symbol")
        two = issuer.header("read:market.*", rows={"symbol": ["S3", "S4"]})
        found = client.get(PATH, headers=two).json()["records"]
        assert {r["symbol"] for r in found} == {"S3", "S4"}
        found = client.get(PATH, headers=two, params={"symbol": "S4,S1"}).json()["records"]
        assert {r["symbol"] for r in found} == {"S4"}
        found = client.get(PATH, headers=two, params={"symbol": "S4"}).json()["records"]
        assert {r["symbol"] for r in found} == {"S4"}
        risk = "/api/v1/history/market/risk"
        desk = issuer.header("read:market.*", rows={"portfolio": ["é"]})
        found = client.get(risk, headers=desk).json()["records"]
        assert [r["scope"] for r in found] == ["portfolio:é"]
        other = issuer.header("read:market.*", rows={"portfolio": ["other"]})
        assert client.get(risk, headers=other).json()["records"] == []
        expect_problem(
            client.get(risk, headers=other, params={"scope": "portfolio:é"}), 403, "scope"
        )
        expect_problem(client.get(PATH, headers=desk), 403)
        none = issuer.header("read:market.*", rows={"symbol": []})
        assert client.get(PATH, headers=none).json()["records"] == []


def test_a_database_that_goes_and_comes_back_needs_no_new_feed(own_postgres):
    made = partition(own_postgres.dsn)
    made.write_batch([bars(0, 3)])
    made.snapshot()
    made.close()
    with serving(settings(dsn=own_postgres.dsn)) as client:
        assert len(client.get(PATH).json()["records"]) == 3
        own_postgres.stop()
        assert "PostgreSQL" in expect_problem(client.get(PATH), 503)["detail"]
        own_postgres.start()
        assert len(client.get(PATH).json()["records"]) == 3


def test_times_are_read_to_the_nanosecond():
    assert time_ns("1381152600000000123") == 1_381_152_600_000_000_123
    assert time_ns("2013-10-07T13:30:00.000001Z") == 1_381_152_600_000_001_000
    assert time_ns(str(END_NS)) == END_NS
