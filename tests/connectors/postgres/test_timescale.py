"""History on a real TimescaleDB: hypertables, hours, compression, retention."""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from connectors.postgres.client import Connection, Database
from connectors.postgres.keeping import Keeping
from connectors.postgres.layouts import TIMESCALE
from connectors.postgres.migrate import FOLDER, layout, migrate, migrations, pending
from connectors.postgres.reader import promote, records
from connectors.postgres.sink import PostgresPartition
from state.clock import DAY_NS, NS
from state.market.outputs import OUTPUTS
from state.outputs import to_json
from tests.connectors.postgres.rows import MADE, ONE_OF_EACH, T0, TABLES, YEAR_NS, bar
from tests.connectors.postgres.writing import BARS, bars, block, count, partition
from tests.waiting import PATIENCE_S

DSN = os.environ.get("HEADRACE_TEST_TIMESCALE_DSN", "")
pytestmark = pytest.mark.skipif(
    not DSN,
    reason="needs TimescaleDB: set HEADRACE_TEST_TIMESCALE_DSN to the address of a role that may "
    "create databases",
)

HOUR_NS, MINUTE_NS = 3600 * NS, 60 * NS
DAY = T0 // DAY_NS * DAY_NS
LONG = 100 * YEAR_NS
MANUAL = Keeping(retention=LONG, compress_after=LONG)
"""So long that TimescaleDB's jobs leave alone what a test has written."""
RECOMPUTED = """
SELECT generation, symbol, date_bin(interval '1 hour', time, timestamptz 'epoch') AS time,
    (array_agg(open ORDER BY time))[1], max(high), min(low),
    (array_agg(close ORDER BY time DESC))[1],
    sum(volume), sum(vwap * volume) / nullif(sum(volume), 0), sum(trades)
FROM market_bars WHERE interval = '1m' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""


@pytest.fixture
def database() -> Iterator[str]:
    """The address of an empty database on the server with TimescaleDB; dropped in the end."""
    name = f"t{uuid.uuid4().hex[:12]}"
    with psycopg.connect(DSN, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        yield psycopg.conninfo.make_conninfo(DSN, dbname=name)
        patiently(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def writer(database: str) -> Iterator[PostgresPartition]:
    made = partition(database, keeping=MANUAL)
    yield made
    made.close()


def minutes(start_ns: int, number: int, generation: int = 1) -> Any:
    """Return bars of 1m of two symbols with numbers that tell hours apart."""
    made = [
        bar(symbol, start_ns + n * MINUTE_NS, "1m")
        | {"open": 0.1 + n, "high": 0.3 * n, "low": -n / 7, "close": 0.7 * n + symbol}
        | {"volume": 1.1 * (n % 7), "vwap": 0.9 * n, "trades": n % 9}
        for n in range(number)
        for symbol in range(2)
    ]
    return block("bars", made, generation)


def hours(connection: Connection) -> list[Any]:
    return connection.execute("SELECT * FROM market_bars_1h ORDER BY 1, 2, 3").fetchall()


def recomputed(connection: Connection) -> list[Any]:
    """Return the hours of the rows; volume and VWAP, sums in no order, within 1e-12."""
    return [
        (*row[:7], *(pytest.approx(value, rel=1e-12) for value in row[7:9]), row[9])
        for row in connection.execute(RECOMPUTED).fetchall()
    ]


def aggregated(connection: Connection) -> int:
    """Return how many hours TimescaleDB has stored."""
    (row,) = connection.execute(
        "SELECT materialization_hypertable_schema, materialization_hypertable_name "
        "FROM timescaledb_information.continuous_aggregates WHERE view_name = 'market_bars_1h'"
    ).fetchall()
    return count(connection, ".".join(row))


def patiently(connection: Connection, statement: str, *values: object) -> None:
    """Execute a statement again while TimescaleDB's own jobs are in its way."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            connection.execute(statement, values)
        except (psycopg.errors.LockNotAvailable, psycopg.errors.InsufficientPrivilege):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def jobs(connection: Connection, kind: str) -> list[tuple[int, str, dict[str, Any]]]:
    return connection.execute(
        "SELECT job_id, hypertable_name, config FROM timescaledb_information.jobs "
        "WHERE proc_name = %s ORDER BY hypertable_name",
        [f"policy_{kind}"],
    ).fetchall()


def run_refresh(connection: Connection) -> None:
    ((job, _, _),) = jobs(connection, "refresh_continuous_aggregate")
    patiently(connection, "CALL run_job(%s)", job)


def compress(connection: Connection, table: str = "market_bars") -> None:
    connection.execute("SELECT compress_chunk(c, true) FROM show_chunks(%s) c", [table])


def migrations_before(name: str, directory: Path) -> Path:
    """Return a folder that holds the migrations whose names come before this one."""
    before = directory / "migrations"
    before.mkdir()
    for path in FOLDER.glob("*.sql"):
        if path.name < name:
            shutil.copy(path, before)
    return before


def insert(connection: Connection, table: str, record: dict[str, Any], time_field: str) -> None:
    """Write a row of generation 1, as a release of before did."""
    statement = sql.SQL(
        "INSERT INTO {} (generation, time, {}) VALUES (1, to_timestamp({}::bigint / 1e9), {})"
    ).format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, record)),
        sql.Placeholder(time_field),
        sql.SQL(", ").join(map(sql.Placeholder, record)),
    )
    connection.execute(statement, {k: _json(v) for k, v in record.items()})


def _json(value: Any) -> Any:
    return orjson.dumps(value).decode() if isinstance(value, dict | list) else value


def test_the_layout_is_shown_with_the_version(connection: Connection) -> None:
    applied = migrate(connection, OUTPUTS)
    assert re.fullmatch(r"TimescaleDB 2\.\d+\.\d+", layout(connection))
    made = [f"table {name}" for name in MADE]
    assert applied == [*map(str, migrations(FOLDER, TIMESCALE)), *made]
    assert (migrate(connection, OUTPUTS), pending(connection, OUTPUTS)) == ([], [])
    stored = connection.execute("SELECT number, sha256 FROM headrace_migrations ORDER BY 1")
    assert stored.fetchall() == [(m.number, m.sha256) for m in migrations(FOLDER, TIMESCALE)]


def test_every_table_is_a_hypertable(connection: Connection) -> None:
    migrate(connection, OUTPUTS)
    rows = connection.execute(
        "SELECT hypertable_name, compression_enabled FROM timescaledb_information.hypertables"
    ).fetchall()
    assert {table.name: True for table in TABLES.values()}.items() <= dict(rows).items()


def test_programs_that_start_together_migrate_once(database: str) -> None:
    def start(_: int) -> None:
        made = partition(database, keeping=MANUAL)
        made.write_batch([bars(0, 10)])
        made.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(start, range(4)))
    with Database(SecretStr(database)).connect() as connection:
        assert count(connection, "headrace_migrations") == len(migrations(FOLDER, TIMESCALE))
        assert len(jobs(connection, "compression")) == len(TABLES)
        assert count(connection) == 10


def test_compressed_rows_of_before_retractions_are_migrated_and_written_again_once(
    database: str, tmp_path: Path
) -> None:
    with Database(SecretStr(database)).connect() as connection:
        migrate(connection, [], migrations_before("0014", tmp_path))
        for record in map(bar, range(10)):
            insert(connection, "market_bars", record, "start_ns")
        compress(connection)
        assert migrate(connection, OUTPUTS)[0] == "0014_retractions"
        made = partition(database, keeping=MANUAL)
        made.write_batch([bars(5, 10)])  # five of them again
        made.close()
        assert count(connection) == 15
        assert list(records(connection, BARS, 1)) == [bar(number) for number in range(15)]


@pytest.mark.parametrize(
    ("topic", "column", "before"),
    [("market.late", "venue", "0015"), ("market.pnl", "equity", "0016")],
)
def test_compressed_rows_of_before_a_column_are_migrated_and_written_again_once(
    database: str, tmp_path: Path, topic: str, column: str, before: str
) -> None:
    now = ONE_OF_EACH[topic]
    old = {name: value for name, value in now.items() if name != column}
    table = TABLES[topic]
    with Database(SecretStr(database)).connect() as connection:
        migrate(connection, [], migrations_before(before, tmp_path))
        insert(connection, table.name, old, "ts_ns")
        compress(connection, table.name)
        assert migrate(connection, OUTPUTS)[0].startswith(before)
        made = partition(database, keeping=MANUAL)
        made.write_batch([block(topic, [now, now | {"id": f"{now['id']}0"}])])
        made.close()
        first, second = records(connection, table, 1)
        assert {name: value for name, value in first.items() if value is not None} == {
            name: value for name, value in old.items() if value is not None
        }
        assert second == now | {"id": f"{now['id']}0"}


def test_records_come_back_byte_for_byte_and_once(
    writer: PostgresPartition, connection: Connection
) -> None:
    for _ in range(2):
        writer.write_batch([block(topic, [record]) for topic, record in ONE_OF_EACH.items()])
        for topic, record in ONE_OF_EACH.items():
            (found,) = records(connection, TABLES[topic], 1)
            assert to_json(found) == to_json(record)


def test_hours_equal_those_recomputed_from_the_minutes(
    writer: PostgresPartition, connection: Connection
) -> None:
    writer.write_batch([minutes(DAY + 13 * HOUR_NS + 30 * MINUTE_NS, 390)])
    assert len(hours(connection)) == 14
    assert hours(connection) == recomputed(connection)
    run_refresh(connection)
    assert aggregated(connection) == 14
    assert hours(connection) == recomputed(connection)


def test_late_minutes_are_in_their_hours_after_the_next_refresh(
    writer: PostgresPartition, connection: Connection
) -> None:
    writer.write_batch([minutes(DAY + 14 * HOUR_NS, 120)])
    run_refresh(connection)
    writer.write_batch([minutes(DAY + 13 * HOUR_NS, 90)])
    assert hours(connection) != recomputed(connection)
    run_refresh(connection)
    assert hours(connection) == recomputed(connection)


def test_hours_of_the_last_day_are_computed_when_asked_for(
    writer: PostgresPartition, connection: Connection
) -> None:
    hour = time.time_ns() // HOUR_NS * HOUR_NS
    writer.write_batch([minutes(hour - 3 * HOUR_NS, 90)])
    run_refresh(connection)
    writer.write_batch([minutes(hour - 4 * HOUR_NS, 240)])
    assert hours(connection) == recomputed(connection)


def test_a_generation_has_its_hours_as_soon_as_it_is_promoted(
    writer: PostgresPartition, connection: Connection
) -> None:
    writer.write_batch([minutes(DAY, 120)])
    run_refresh(connection)
    writer.write_batch([minutes(DAY, 240, generation=2)])
    assert count(connection, "market_bars_1h_current") == 4
    promote(connection, "market", 2)
    assert count(connection, "market_bars_1h_current") == 8
    assert hours(connection) == recomputed(connection)


def test_hours_outlive_their_minutes(database: str, connection: Connection) -> None:
    today = time.time_ns() // DAY_NS * DAY_NS
    writer = partition(database, keeping=Keeping(10 * DAY_NS, LONG))
    writer.write_batch([minutes(today - 6 * DAY_NS, 120), minutes(today - 2 * DAY_NS, 60)])
    run_refresh(connection)
    before = hours(connection)
    assert len(before) == 6
    writer.close()
    writer = partition(database, keeping=Keeping(3 * DAY_NS, LONG))
    writer.write_batch([block("bars", [bar(0, today, "1s")])])
    assert len(recomputed(connection)) == 2
    run_refresh(connection)
    promote(connection, "market", 1)
    assert hours(connection) == before
    writer.close()


def test_what_is_past_the_retention_in_event_time_is_dropped(
    database: str, connection: Connection
) -> None:
    writer = partition(database, keeping=Keeping(3 * DAY_NS, LONG))
    for number in range(6):
        writer.write_batch([block("bars", [bar(0, DAY + number * DAY_NS)])])
    found = [record["start_ns"] for record in records(connection, BARS, 1)]
    assert found == [DAY + number * DAY_NS for number in (2, 3, 4, 5)]
    assert count(connection, "show_chunks('market_bars')") == 4
    writer.close()


def test_the_jobs_follow_the_settings(database: str, connection: Connection) -> None:
    for retention, after in ((10, 2), (10, 2), (20, 2), (20, 5), (0, 0), (30, 7)):
        before = jobs(connection, "compression") if retention != 10 else []
        writer = partition(database, keeping=Keeping(retention * DAY_NS, after * DAY_NS))
        writer.write_batch([bars(0, 1)])
        writer.close()
        compression = jobs(connection, "compression")
        assert [name for _, name, _ in compression] == sorted(t.name for t in TABLES.values())
        for job, _, _ in compression:
            (held,) = connection.execute(
                "SELECT (config->>'compress_after')::interval FROM timescaledb_information.jobs "
                "WHERE job_id = %s",
                [job],
            ).fetchone() or (None,)
            assert held == timedelta(days=after)
        if (retention, after) == (20, 2):
            assert compression == before
        offsets = connection.execute(
            "SELECT (config->>'start_offset')::interval FROM timescaledb_information.jobs "
            "WHERE proc_name = 'policy_refresh_continuous_aggregate'"
        ).fetchall()
        assert offsets == ([(timedelta(days=retention),)] if retention else [])


def test_late_rows_go_into_compressed_chunks_once(
    writer: PostgresPartition, connection: Connection
) -> None:
    writer.write_batch([bars(0, 3000)])
    compress(connection)
    writer.write_batch([bars(0, 3000)])
    assert count(connection) == 3000
    writer.write_batch([bars(2000, 2000), bars(1500, 700)])
    assert list(records(connection, BARS, 1)) == [bar(number) for number in range(4000)]
    compress(connection)
    assert list(records(connection, BARS, 1)) == [bar(number) for number in range(4000)]


def test_late_rows_are_written_where_all_they_touch_has_to_be_decompressed(
    database: str, writer: PostgresPartition, connection: Connection
) -> None:
    """As releases do that compare identities only after they have decompressed."""
    writer.write_batch([bars(0, 2000)])
    compress(connection)
    for setting, value in (
        ("enable_dml_decompression_tuple_filtering", "off"),
        ("max_tuples_decompressed_per_dml_transaction", "10"),
    ):
        connection.execute(
            sql.SQL("ALTER DATABASE {} SET {} = {}").format(
                sql.Identifier(connection.info.dbname),
                sql.Identifier("timescaledb", setting),
                sql.Literal(value),
            )
        )
    late = partition(database, keeping=MANUAL)
    written = [bar(number) | {"id": f"{bar(number)['id']}, late"} for number in range(0, 2000, 100)]
    background(lambda: late.write_batch([block("bars", written)])).join(PATIENCE_S)
    assert count(connection) == 2020
    late.close()


def test_rows_written_while_chunks_are_compressed_are_there_once(
    database: str, writer: PostgresPartition, connection: Connection
) -> None:
    writer.write_batch([bars(0, 200)])
    attempts = threading.Semaphore(0)

    def write() -> None:
        for first in range(0, 4000, 200):
            writer.write_batch([bars(first, 200), bars(max(0, first - 400), 300)])
            attempts.release()

    thread = background(write)
    # A few: a compression that meets a writer waits for 5 s, and the writer with it.
    for _ in range(4):
        assert attempts.acquire(timeout=PATIENCE_S)
        # It may lose to the one that writes, never the other way round.
        with suppress(psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected):
            compress(connection)
    thread.join(PATIENCE_S)
    assert list(records(connection, BARS, 1)) == [bar(number) for number in range(4000)]


@pytest.mark.parametrize("compressed", [False, True], ids=["rows", "columns"])
def test_a_symbol_and_a_time_range_read_one_chunk(
    writer: PostgresPartition, connection: Connection, compressed: bool
) -> None:
    for day in range(3):
        start = DAY + day * DAY_NS + 13 * HOUR_NS
        rows = [bar(number, start + number * NS) for number in range(7000)]
        writer.write_batch([block("bars", rows)])
    if compressed:
        compress(connection)
    connection.execute("ANALYZE market_bars")
    plan = "\n".join(
        line
        for (line,) in connection.execute(
            "EXPLAIN SELECT * FROM market_bars_current WHERE symbol = 'S3' "
            "AND time >= '2013-10-08 14:00:00Z' AND time < '2013-10-08 14:05:00Z'"
        ).fetchall()
    )
    assert len(set(re.findall(r" on (_hyper_1_\d+_chunk)\b", plan))) == 1
    if compressed:
        assert re.search(r"on compress_hyper.*", plan)
        assert re.search(r"Filter: .*_time >= .*symbol = 'S3'", plan)
    else:
        assert re.search(r"Index Cond: .*symbol = 'S3'.* AND .*time.* >= .* AND .*time.* <", plan)


def background(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread
