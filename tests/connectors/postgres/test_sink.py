"""The history sink against a real PostgreSQL."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import bytewax.operators as op
import psutil  # type: ignore[import-untyped]  # it ships no types
import psycopg
import pytest
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSource, run_main

from connectors.postgres.client import Connection
from connectors.postgres.keeping import Keeping
from connectors.postgres.reader import current_generation, promote, records
from connectors.postgres.sink import PostgresPartition
from flows.servers import Postgres
from operators.audit import AuditChain, Verifier
from state.clock import DAY_NS
from state.errors import SettingsError, Stopped, Undelivered
from state.lifecycle import Lifecycle
from state.metrics import SINK_WAITING
from state.outputs import to_json
from state.shards import shard_names
from tests.connectors.postgres.rows import ONE_OF_EACH, T0, TABLES, YEAR_NS, bar
from tests.connectors.postgres.writing import BARS, bars, block, count, make_sink, partition
from tests.waiting import PATIENCE_S, eventually


@pytest.fixture
def writer(database: str) -> Iterator[PostgresPartition]:
    made = partition(database)
    yield made
    made.close()


def children(connection: Connection, table: str = "market_bars") -> list[str]:
    rows = connection.execute(
        "SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid "
        "WHERE inhparent = %s::regclass ORDER BY 1",
        [table],
    ).fetchall()
    return [name for (name,) in rows]


def test_records_come_back_byte_for_byte(writer: PostgresPartition, connection: Connection) -> None:
    writer.write_batch([block(topic, [record]) for topic, record in ONE_OF_EACH.items()])
    for topic, record in ONE_OF_EACH.items():
        (found,) = records(connection, TABLES[topic], 1)
        assert to_json(found) == to_json(record)


def test_time_is_the_microsecond_of_the_exact_event_time(
    writer: PostgresPartition, connection: Connection
) -> None:
    late = [ONE_OF_EACH["market.late"] | {"id": str(ns), "ts_ns": ns} for ns in (0, 999, 1000, T0)]
    writer.write_batch([block("late", late)])
    rows = connection.execute(
        "SELECT ts_ns, extract(epoch FROM time) * 1000000 FROM market_late"
    ).fetchall()
    assert dict(rows) == {ns: ns // 1000 for ns in (0, 999, 1000, T0)}


def test_records_come_back_in_canonical_order(
    writer: PostgresPartition, connection: Connection
) -> None:
    written = [bar(number) for number in range(300)]
    writer.write_batch([block("bars", written[200:]), block("bars", written[:200])])
    found = list(records(connection, BARS, 1))
    assert found == sorted(written, key=lambda r: (r["start_ns"], r["id"]))


def test_the_query_of_the_page_finds_bars_as_they_were_corrected(
    writer: PostgresPartition, connection: Connection
) -> None:
    page = Path(__file__).parents[3] / "docs" / "outputs.md"
    [query] = re.findall(r"```sql\n(.*?)```", page.read_text(), re.DOTALL)
    whole = bar(3)
    more = {"corrected_ns": T0, "cause": "market.ticks/0/7/0"}
    corrected = [
        whole | more | {"id": f"{whole['id']}|{version}", "version": version, "open": open_}
        for version, open_ in ((2, 7.0), (10, 8.0), (9, None))
    ]
    writer.write_batch([block("bars", [whole, bar(4)]), block("corrected_bars", corrected)])
    found = {row[:3]: (row[3], row[-1]) for row in connection.execute(query.encode())}
    assert {key[2]: value for key, value in found.items()} == {
        whole["start_ns"]: (8.0, 10),
        bar(4)["start_ns"]: (bar(4)["open"], 1),
    }


def test_the_same_rows_twice_are_there_once(
    writer: PostgresPartition, connection: Connection
) -> None:
    every = [block(topic, [record]) for topic, record in ONE_OF_EACH.items()]
    writer.write_batch([*every, bars(0, 50)])
    before = [count(connection, table.name) for table in TABLES.values()]
    writer.write_batch([*every, bars(0, 50)])
    writer.write_batch([bars(0, 20), bars(10, 30), *every, *every])
    assert [count(connection, table.name) for table in TABLES.values()] == before


def test_batches_cut_anew_leave_each_row_once(
    writer: PostgresPartition, connection: Connection
) -> None:
    for first, length in ((0, 7), (7, 3), (10, 30), (5, 20), (25, 75)):
        writer.write_batch([bars(first, length)])
    assert list(records(connection, BARS, 1)) == [bar(number) for number in range(100)]


def test_shards_write_through_bytewax(database: str, connection: Connection) -> None:
    names = shard_names(2)
    items = [(names[turn % 2], bars(turn * 10, 10)) for turn in range(20)]
    flow = Dataflow("test")
    op.output("postgres", op.input("in", flow, TestingSource(items, 3)), make_sink(database))
    run_main(flow)
    assert count(connection) == 200


def test_generations_live_side_by_side_and_views_switch_at_once(
    writer: PostgresPartition, connection: Connection
) -> None:
    writer.write_batch([bars(0, 10), bars(0, 25, generation=2)])
    assert current_generation(connection, "market") == 1
    assert count(connection, "market_bars_current") == 10
    promote(connection, "market", 2)
    assert current_generation(connection, "market") == 2
    assert count(connection, "market_bars_current") == 25
    assert count(connection) == 35


def test_minutes_are_seen_as_hours(writer: PostgresPartition, connection: Connection) -> None:
    hour = T0 // (3600 * 10**9) * 3600 * 10**9
    minutes = [
        bar(0, hour + n * 60 * 10**9, "1m")
        | {"open": 1.0 + n, "high": 2.0 + n, "low": 0.5 + n, "close": 1.5 + n}
        | {"volume": 1.0 + n, "vwap": 1.0 + n, "trades": n}
        for n in range(61)
    ]
    writer.write_batch([block("bars", minutes), bars(0, 5)])
    rows = connection.execute(
        "SELECT extract(epoch FROM time)::bigint, open, high, low, close, volume, vwap, trades "
        "FROM market_bars_1h_current WHERE symbol = 'S0' ORDER BY time"
    ).fetchall()
    volume = sum(range(1, 61))
    vwap = sum(n * n for n in range(1, 61)) / volume
    assert [(*row[:6], pytest.approx(row[6]), int(row[7])) for row in rows] == [
        (hour // 10**9, 1.0, 61.0, 0.5, 60.5, volume, vwap, sum(range(60))),
        (hour // 10**9 + 3600, 61.0, 62.0, 60.5, 61.5, 61.0, 61.0, 60),
    ]


def test_partitions_are_made_as_needed(writer: PostgresPartition, connection: Connection) -> None:
    day = T0 // DAY_NS * DAY_NS
    for start in (day, day + DAY_NS - 1, day + DAY_NS, day + 40 * DAY_NS):
        writer.write_batch(
            [
                block("bars", [bar(0, start)]),
                block("signals", [ONE_OF_EACH["market.signals"] | {"ts_ns": start}]),
            ]
        )
    assert children(connection) == [
        "market_bars_p20131007",
        "market_bars_p20131008",
        "market_bars_p20131116",
    ]
    assert children(connection, "market_signals") == [
        "market_signals_p20131001",
        "market_signals_p20131101",
    ]


def test_history_of_a_trade_a_day_takes_few_partitions(
    writer: PostgresPartition, connection: Connection
) -> None:
    day = T0 // DAY_NS * DAY_NS
    writer.write_batch([block("bars", [bar(0, day)])])  # a day of its own, within a month
    years = [bar(0, day + number * DAY_NS) for number in range(-3650, 3650, 1)]
    for first in range(0, len(years), 400):
        writer.write_batch([block("bars", years[first : first + 400])])
    assert count(connection) == len(years)
    made = children(connection)
    assert len(made) < 20 * 12 + 2 * 31
    assert {"market_bars_p20131007", "market_bars_p20131008", "market_bars_p201311"} <= set(made)


def test_decades_at_once_are_partitions_of_a_year(
    writer: PostgresPartition, connection: Connection
) -> None:
    years = [bar(0, T0 + number * 30 * DAY_NS) for number in range(-240, 1)]
    writer.write_batch([block("bars", years)])
    assert children(connection) == [f"market_bars_p{year}" for year in range(1994, 2014)]
    writer.write_batch([bars(0, 10)])
    assert count(connection) == len(years) + 10


def test_partitions_of_any_size_go_once_all_of_them_is_past_the_retention(
    database: str, connection: Connection
) -> None:
    writer = partition(database, keeping=Keeping(YEAR_NS, DAY_NS))
    start = 1_388_534_400 * 10**9  # 2014
    spread = [bar(0, start - (n + 1) * 50 * DAY_NS) for n in range(40)]
    writer.write_batch([block("bars", [*spread, *(bar(0, start - n * DAY_NS) for n in range(40))])])
    assert {len(name.rpartition("_p")[2]) for name in children(connection)} == {4}
    writer.write_batch([block("bars", [bar(0, start + 300 * DAY_NS)])])
    assert children(connection)[0] == "market_bars_p2013"
    writer.write_batch([block("bars", [bar(0, start + 366 * DAY_NS)])])
    assert [name for name in children(connection) if name.endswith("p2013")] == []
    writer.close()


def test_what_is_past_the_retention_in_event_time_is_dropped(
    database: str, connection: Connection
) -> None:
    writer = partition(database, keeping=Keeping(3 * DAY_NS, DAY_NS))
    day = T0 // DAY_NS * DAY_NS
    for number in range(6):
        writer.write_batch([block("bars", [bar(0, day + number * DAY_NS)])])
    assert children(connection) == [f"market_bars_p201310{d:02}" for d in (9, 10, 11, 12)]
    assert count(connection) == 4
    writer.write_batch([block("bars", [bar(0, day)])])
    assert count(connection) == 5
    writer.close()


def test_each_table_is_judged_by_its_own_newest_row(database: str, connection: Connection) -> None:
    writer = partition(database, keeping=Keeping(3 * DAY_NS, DAY_NS))
    today, pnl = [block("bars", [bar(0, time.time_ns())])], ONE_OF_EACH["market.pnl"]
    writer.write_batch([*today, block("pnl", [pnl])])
    writer.write_batch(today)
    assert (count(connection), count(connection, "market_pnl")) == (1, 1)
    for later in (-100 * DAY_NS, 2 * DAY_NS):
        writer.write_batch([block("pnl", [pnl | {"ts_ns": T0 + later}])])
    assert children(connection, "market_pnl") == ["market_pnl_p20131001"]
    assert (count(connection), count(connection, "market_pnl")) == (1, 2)
    writer.close()


def test_audits_outlive_the_retention_and_verify(database: str, connection: Connection) -> None:
    writer = partition(database, keeping=Keeping(3 * DAY_NS, DAY_NS))
    chain = AuditChain("trading")
    for day in range(0, 400, 50):
        entry = chain.append(T0 + day * DAY_NS, {"number": day, "value": float(day), "big": 1e22})
        state = ONE_OF_EACH["trading.state"] | {"ts_ns": entry["ts_ns"]}
        writer.write_batch([block("trading.audit", [entry]), block("trading.state", [state])])
    writer.close()
    assert count(connection, "trading_state_current") == 1
    verifier = Verifier()
    kept = records(connection, TABLES["trading.audit"], 1)
    assert len(list(verifier.read(to_json(entry) + b"\n" for entry in kept))) == 8
    assert verifier.heads == {"trading": chain.head}


@pytest.mark.parametrize("fields", [{}, {"marginal": None}, {"marginal": {"BAC": 1.0}}])
def test_a_field_that_may_be_missing_comes_back_as_it_was(
    fields: dict[str, object], writer: PostgresPartition, connection: Connection
) -> None:
    record = ONE_OF_EACH["market.risk"] | fields
    writer.write_batch([block("risk", [record])])
    (found,) = records(connection, TABLES["market.risk"], 1)
    assert to_json(found) == to_json(record)


def test_a_clock_that_ran_ahead_drops_nothing(database: str, connection: Connection) -> None:
    writer = partition(database, keeping=Keeping(YEAR_NS, DAY_NS))
    now = time.time_ns()
    writer.write_batch([block("bars", [bar(0, now)])])
    writer.write_batch([block("bars", [bar(0, now + 100 * YEAR_NS)])])
    assert count(connection) == 2
    writer.close()


def test_a_partition_that_someone_dropped_is_made_again(
    writer: PostgresPartition, connection: Connection
) -> None:
    writer.write_batch([bars(0, 5)])
    connection.execute("DROP TABLE market_bars_p20131007")
    writer.write_batch([bars(3, 5)])
    assert list(records(connection, BARS, 1)) == [bar(number) for number in range(3, 8)]


def test_a_symbol_and_a_time_range_use_an_index(
    writer: PostgresPartition, connection: Connection
) -> None:
    writer.write_batch([bars(0, 20_000)])
    connection.execute("ANALYZE market_bars")
    plan = "\n".join(
        line
        for (line,) in connection.execute(
            "EXPLAIN SELECT * FROM market_bars_current WHERE symbol = 'S3' "
            "AND time >= '2013-10-07 14:00:00Z' AND time < '2013-10-07 14:05:00Z'"
        ).fetchall()
    )
    assert re.search(r"Index Cond: .*symbol = 'S3'.* AND .*time.* >= .* AND .*time.* <", plan)
    assert "Seq Scan on market_bars" not in plan


def in_background(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def waits(lifecycle: Lifecycle) -> bool:
    return bool(
        eventually(
            lambda: "postgres" in lifecycle.waiting and SINK_WAITING.labels("postgres")._value.get()
        )
    )


def test_a_writer_waits_for_a_crashed_server_and_loses_nothing(own_postgres: Postgres) -> None:
    lifecycle = Lifecycle()
    writer = partition(own_postgres.dsn, lifecycle)
    written = 0

    def work() -> None:
        nonlocal written
        while written < 20_000:
            writer.write_batch([bars(written, 200)])
            written += 200
        writer.close()

    thread = in_background(work)
    while written < 1000:
        time.sleep(0.001)
    own_postgres.kill()
    assert waits(lifecycle)
    stuck = written
    assert stuck < 20_000
    time.sleep(0.3)
    assert written == stuck
    own_postgres.start()
    thread.join(PATIENCE_S)
    assert written == 20_000
    assert lifecycle.waiting == {}
    with psycopg.connect(own_postgres.dsn) as connection:
        assert count(connection) == 20_000


def test_a_session_that_is_ended_costs_no_wait(
    writer: PostgresPartition, connection: Connection
) -> None:
    writer.write_batch([bars(0, 5)])
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    writer.write_batch([bars(3, 5)])
    assert count(connection) == 8


def test_a_writer_that_waits_can_be_stopped_and_does_not_tell_the_password(
    own_postgres: Postgres,
) -> None:
    lifecycle, dsn = Lifecycle(), own_postgres.dsn
    password = psycopg.conninfo.conninfo_to_dict(dsn)["password"]
    writer = partition(dsn, lifecycle)
    own_postgres.kill()
    stopped: list[Exception] = []

    def work() -> None:
        with pytest.raises(Stopped) as caught:
            writer.write_batch([bars(0, 1)])
        stopped.append(caught.value)

    thread = in_background(work)
    assert waits(lifecycle)
    assert str(password) not in str(lifecycle.waiting)
    lifecycle.stopping.set()
    thread.join(PATIENCE_S)
    assert len(stopped) == 1


def test_rows_that_the_database_refuses_stop_the_flow_without_telling_them(
    writer: PostgresPartition, connection: Connection
) -> None:
    writer.write_batch([bars(0, 1)])
    connection.execute("ALTER TABLE market_bars DROP COLUMN vwap CASCADE")
    with pytest.raises(Undelivered, match=r"market_bars was refused .*UndefinedColumn") as refused:
        writer.write_batch([bars(5, 1)])
    assert "S0" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_wrong_password_stops_the_flow_and_is_not_told(postgres: Postgres) -> None:
    right = str(psycopg.conninfo.conninfo_to_dict(postgres.dsn)["password"])
    with pytest.raises(SettingsError, match="refuses the login") as refused:
        partition(postgres.dsn.replace(right, "s3cret-w0rd")).write_batch([bars(0, 1)])
    assert "s3cret" not in str(refused.value) + repr(refused.value)


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://u:s3cret@w0rd@localhost/db",
        "postgresql://u:s3cret/w0rd@localhost/db",
        "postgresql://u:12/s3cret@localhost/db",
        "host=localhost password=a s3cret",
        "postgresql://localhost/db?s3cret=1",
    ],
)
def test_an_address_that_does_not_parse_is_not_repeated(dsn: str) -> None:
    with pytest.raises(SettingsError, match="does not parse") as refused:
        make_sink(dsn)
    assert "s3cret" not in str(refused.value)
    assert refused.value.__context__ is None


def test_a_server_that_hangs_is_named_broken_off_and_waited_for(own_postgres: Postgres) -> None:
    lifecycle = Lifecycle()
    made = partition(own_postgres.dsn, lifecycle)
    made.write_batch([bars(0, 10)])
    server = psutil.Process(own_postgres.pid)
    hung = [server, *server.children(recursive=True)]
    for process in hung:
        process.suspend()
    made._limit_s = 0.5
    writing = threading.Thread(target=made.write_batch, args=([bars(10, 10)],))
    try:
        writing.start()
        eventually(lambda: lifecycle.awaited(time.monotonic() + 60))
        assert set(lifecycle.awaited(time.monotonic() + 60)) == {"postgres"}
        eventually(lambda: "postgres" in lifecycle.waiting)
    finally:
        for process in hung:
            process.resume()
    writing.join(PATIENCE_S)
    assert not writing.is_alive()
    assert lifecycle.awaited(time.monotonic() + 60) == {}
    with psycopg.connect(own_postgres.dsn) as connection:
        assert count(connection) == 20
    made.close()
