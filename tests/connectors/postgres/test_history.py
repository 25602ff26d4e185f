"""Pages of history: every record once, in order, by an index; and hours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from psycopg import sql

from connectors.postgres import history
from connectors.postgres.client import Connection
from connectors.postgres.history import HOUR_NS, Filters, Page, Position, hours, page, page_query
from connectors.postgres.reader import promote
from connectors.postgres.sink import PostgresPartition
from state.clock import DAY_NS
from state.errors import Misuse
from state.outputs import to_json
from tests.connectors.postgres.rows import ONE_OF_EACH, T0, TABLES, bar
from tests.connectors.postgres.writing import BARS, bars, block, partition

SECOND = 10**9
FIRST = T0 // SECOND * SECOND
LATE = TABLES["market.late"]
EVER = (0, 2**63 - 1)


@pytest.fixture
def writer(database: str) -> Iterator[PostgresPartition]:
    made = partition(database)
    yield made
    made.close()


def only(**filters: str) -> Filters:
    return {name: frozenset([value]) for name, value in filters.items()}


def every_page(connection: Connection, limit: int, **filters: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    wanted = only(**filters)
    after: Position | None = None
    while True:
        records, after = page(connection, BARS, wanted, *EVER, limit, after)
        found += records
        if after is None:
            return found
        assert len(records) == limit


@pytest.mark.parametrize("topic", ONE_OF_EACH)
def test_a_record_is_read_byte_for_byte(
    topic: str, writer: PostgresPartition, connection: Connection
) -> None:
    writer.write_batch([block(topic, [ONE_OF_EACH[topic]])])
    (found,), after = page(connection, TABLES[topic], {}, *EVER, 10)
    assert to_json(found) == to_json(ONE_OF_EACH[topic])
    assert after is None


@pytest.mark.parametrize("limit", [1, 7, 100, 1000])
def test_pages_hold_every_record_once_in_order(
    limit: int, writer: PostgresPartition, connection: Connection
) -> None:
    # Eight of each instant, some days apart: pages end within an instant and within a partition.
    written = [
        bar(number, FIRST + number // 8 * SECOND + number // 24 * DAY_NS) | {"id": f"{number:03}"}
        for number in range(100)
    ]
    writer.write_batch([block("bars", written[::-1])])
    assert every_page(connection, limit) == written
    only = every_page(connection, limit, symbol="S3", interval="1s")
    assert only == [record for record in written if record["symbol"] == "S3"]
    assert every_page(connection, limit, symbol="S3", interval="1m") == []


def test_a_range_is_exact_to_the_nanosecond(
    writer: PostgresPartition, connection: Connection
) -> None:
    written = [ONE_OF_EACH["market.late"] | {"id": f"{ns}", "ts_ns": T0 + ns} for ns in range(5)]
    writer.write_batch([block("late", written)])
    assert page(connection, LATE, {}, T0 + 1, T0 + 4, 10).records == written[1:4]
    assert page(connection, LATE, {}, T0 + 1, T0 + 1, 10) == Page([], None)


def test_only_the_current_generation_is_read(
    writer: PostgresPartition, connection: Connection
) -> None:
    writer.write_batch([bars(0, 3), bars(0, 5, generation=2)])
    assert len(every_page(connection, 10)) == 3
    promote(connection, "market", 2)
    assert len(every_page(connection, 10)) == 5


@pytest.mark.parametrize(
    ("output", "filters", "times", "limit", "reason"),
    [
        ("market.bars", {"open": "1"}, EVER, 10, "no filter 'open': there are symbol, interval"),
        ("market.bars", {"id; DROP": "1"}, EVER, 10, "no filter 'id; DROP'"),
        ("market.bars", {"symbol": "\0"}, EVER, 10, "symbol holds a NUL"),
        ("market.bars", {}, (-1, 5), 10, "from is no time"),
        ("market.bars", {}, (0, 2**63), 10, "to is no time"),
        ("market.bars", {}, EVER, 0, "limit is no number from 1 to 10000"),
        ("market.bars", {}, EVER, 10_001, "limit is no number"),
    ],
)
def test_what_cannot_be_asked_is_said(
    output: str,
    filters: dict[str, str],
    times: tuple[int, int],
    limit: int,
    reason: str,
    writer: PostgresPartition,
    connection: Connection,
) -> None:
    writer.write_batch([bars(0, 1)])
    with pytest.raises(Misuse, match=reason):
        page(connection, TABLES[output], only(**filters), *times, limit)


def test_hours_are_made_of_their_minutes(writer: PostgresPartition, connection: Connection) -> None:
    begin = FIRST // HOUR_NS * HOUR_NS
    minutes = [
        bar(0, begin + n * 60 * SECOND, "1m")
        | {"open": 1.0 + n, "high": 2.0 + n, "low": 0.5 + n, "close": 1.5 + n}
        | {"volume": 1.0 + n, "vwap": 1.0 + n, "trades": n}
        for n in range(121)
    ]
    writer.write_batch([block("bars", minutes), bars(0, 50)])
    first, after = hours(connection, "S0", begin, begin + DAY_NS, 2)
    assert after == Position(begin + 2 * HOUR_NS, "")
    volume = sum(range(1, 61))
    assert first[0] == {
        "symbol": "S0", "interval": "1h", "start_ns": begin, "open": 1.0, "high": 61.0, "low": 0.5,
        "close": 60.5, "volume": volume, "vwap": sum(n * n for n in range(1, 61)) / volume,
        "trades": sum(range(60)),
    }  # fmt: skip
    last, end = hours(connection, "S0", after.time_ns, begin + DAY_NS, 2)
    assert end is None
    assert [hour["start_ns"] for hour in first + last] == [begin + n * HOUR_NS for n in range(3)]
    # Those that begin in the range, whole: not the parts of hours that lie within it.
    assert hours(connection, "S0", begin + 1, begin + HOUR_NS + 1, 9).records == first[1:]


def test_hours_are_those_of_the_view(writer: PostgresPartition, connection: Connection) -> None:
    minutes = [bar(n * 5, FIRST + n * 60 * SECOND, "1m") for n in range(400)]
    writer.write_batch([block("bars", minutes)])
    with connection.cursor(binary=True) as cursor:
        kept = cursor.execute(history._KEPT, ["S0", *map(history._moment, EVER), 100]).fetchall()
    assert len(kept) == 8
    found = hours(connection, "S0", *EVER, 100).records
    assert [tuple(hour.values()) for hour in found] == kept


SYMBOL = r"Index Cond: .*generation = .*symbol = 'S3'.*time.* >= .*time.* <= .*interval.* = '1s'"


@pytest.mark.parametrize(
    ("filters", "condition"),
    [
        ({"symbol": "S3", "interval": "1s"}, SYMBOL),
        ({}, r"Index Cond: .*generation = .*ROW\(.*time.*, id\) > ROW"),
    ],
    ids=["of a symbol", "of all"],
)
def test_a_page_is_read_by_an_index(
    filters: dict[str, str], condition: str, writer: PostgresPartition, connection: Connection
) -> None:
    writer.write_batch([bars(0, 20_000)])
    connection.execute("ANALYZE market_bars")
    wanted = only(**filters)
    from_ns, to_ns = FIRST + 3000 * SECOND, FIRST + 9000 * SECOND
    query, values = page_query(
        TABLES["market.bars"], wanted, from_ns, to_ns, 100, Position(from_ns, "")
    )
    rows = connection.execute(sql.SQL("EXPLAIN {}").format(query), values).fetchall()
    plan = "\n".join(line for (line,) in rows)
    assert re.search(condition, plan), plan
    assert "Seq Scan on market_bars" not in plan
