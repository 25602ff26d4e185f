"""What TimescaleDB does by itself, and when: compression, and hours kept as an aggregate."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime, timedelta

import psycopg

from connectors.postgres.client import Connection
from connectors.postgres.tables import Table

HOURS = "market_bars_1h"
"""The continuous aggregate, of `HOURS_OF`."""
HOURS_OF = "market_bars"

_LIVE = timedelta(days=1)
"""Hours younger than this are computed when asked for.

TimescaleDB shows what it has aggregated even where rows came since, until it looks again: so
a database or flow that stood still for less than this never shows half an hour's bars.
"""
_LEAST_AGGREGATED = timedelta(hours=2)
"""TimescaleDB refuses a refresh of fewer than two hours."""
_REFRESH_SECONDS = 60.0
_LOCK = 0x48_45_41_44_4A_4F_42_53  # "HEADJOBS"


def lift_limits(connection: Connection) -> None:
    """Let the session write as many late rows into compressed chunks as it has.

    The limit, on rows decompressed for the comparison of identities, would refuse the same
    batch for ever. It counts only in releases, or with settings, that have to decompress.
    """
    connection.execute(
        "SELECT set_config(name, '0', false) FROM pg_settings "
        "WHERE name = 'timescaledb.max_tuples_decompressed_per_dml_transaction'"
    )


def set_policies(
    connection: Connection,
    tables: Iterable[Table],
    retention: timedelta,
    compress_after: timedelta,
) -> None:
    """Make TimescaleDB's jobs follow the settings; a job that already does goes on."""
    for table in tables:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
            _set_compression(connection, table.name, compress_after)
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        _set_aggregation(connection, retention)


def refresh_hours(connection: Connection) -> None:
    """Bring the aggregated hours up to date with the rows that are there, now.

    TimescaleDB does so every ten minutes. The connection must be in autocommit mode and
    outside a transaction.
    """
    chunks = connection.execute(
        "SELECT range_start, least(range_end, time_bucket('1 hour', now() - %s::interval)) "
        "FROM timescaledb_information.chunks WHERE hypertable_name = %s ORDER BY 1",
        [_LIVE, HOURS_OF],
    ).fetchall()
    # One by one: between them may lie hours whose rows were dropped, which would be forgotten.
    for start, end in chunks:
        if start < end:
            _refresh(connection, start, end)


def _refresh(connection: Connection, start: datetime, end: datetime) -> None:
    deadline = time.monotonic() + _REFRESH_SECONDS
    while True:
        try:
            connection.execute(
                "CALL refresh_continuous_aggregate(%s::regclass, %s::timestamptz, %s::timestamptz)",
                [HOURS, start, end],
            )
        except psycopg.errors.LockNotAvailable:
            # A refresh does not queue behind another one, such as the job's.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _set_compression(connection: Connection, table: str, after: timedelta) -> None:
    current = connection.execute(
        "SELECT (config->>'compress_after')::interval FROM timescaledb_information.jobs "
        "WHERE proc_name = 'policy_compression' AND hypertable_name = %s",
        [table],
    ).fetchone()
    if current == (after,):
        return
    connection.execute("SELECT remove_compression_policy(%s::regclass, if_exists => true)", [table])
    connection.execute("SELECT add_compression_policy(%s::regclass, %s::interval)", [table, after])


def _set_aggregation(connection: Connection, retention: timedelta) -> None:
    current = connection.execute(
        "SELECT (config->>'start_offset')::interval, (config->>'end_offset')::interval "
        "FROM timescaledb_information.jobs "
        "WHERE proc_name = 'policy_refresh_continuous_aggregate' AND hypertable_name = %s",
        [HOURS],
    ).fetchone()
    # It must not look at what the retention has dropped: it would forget those hours.
    wanted = (retention, _LIVE) if retention - _LIVE >= _LEAST_AGGREGATED else None
    if current == wanted:
        return
    connection.execute(
        "SELECT remove_continuous_aggregate_policy(%s::regclass, if_exists => true)", [HOURS]
    )
    if wanted is not None:
        connection.execute(
            "SELECT add_continuous_aggregate_policy(%s::regclass, start_offset => %s::interval,"
            " end_offset => %s::interval, schedule_interval => interval '10 minutes')",
            [HOURS, *wanted],
        )
