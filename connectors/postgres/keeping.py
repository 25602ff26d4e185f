"""How long rows stay: native partitions, and retention in both layouts.

Retention goes by event time, for each table by its own: what is older than its newest row
seen less the retention goes. So a recording of another year can be written and read, beside
rows of today in other tables, which a rule by the wall clock would drop at once; but a clock
that ran ahead drops nothing either, for the newest time never counts beyond now.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import psycopg
from psycopg import sql

from connectors.postgres.client import Connection
from connectors.postgres.layouts import NATIVE
from connectors.postgres.tables import Table
from state.clock import DAY_NS, now_ns

LOG = logging.getLogger(__name__)

_EPOCH = date(1970, 1, 1)
_SLACK_NS = 62 * DAY_NS
"""Two of the longest partitions: a row stays until all of its partition is past the retention.

A retraction that went before its rows would bring them back into the table's last values.
"""
_LOCK = 0x48_45_41_44_50_41_52_54  # "HEADPART"
_PARTITION = re.compile(r".*_p(\d{8})")


@dataclass(frozen=True, slots=True)
class Keeping:
    """After how long (ns) rows are dropped, and compressed."""

    retention: int
    compress_after: int


def partition_start(table: Table, day: int) -> date:
    """Return the first day of the native partition that holds a day (counted from 1970)."""
    start = _EPOCH + timedelta(days=day)
    return start if table.unit == "day" else start.replace(day=1)


def create_partitions(connection: Connection, table: Table, starts: Collection[date]) -> None:
    """Make the native partitions that begin on these days, where they do not exist."""
    for start in sorted(starts):
        name = f"{table.name}_p{start:%Y%m%d}"
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
            there = connection.execute("SELECT to_regclass(%s)", [name]).fetchone()
            if there != (None,):
                continue
            # Attached, not created in place: that would lock out all readers of the table.
            parent, child = sql.Identifier(table.name), sql.Identifier(name)
            connection.execute(
                sql.SQL(
                    "CREATE TABLE {} (LIKE {} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"
                ).format(child, parent)
            )
            connection.execute(
                sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
                    parent, child, _moment(start), _moment(_partition_end(table, start))
                )
            )


def drop_old(
    connection: Connection, layout: str, keeping: Keeping, newest_ns: Mapping[Table, int]
) -> list[str]:
    """Drop what ended before the retention; return the names of what was dropped.

    ``newest_ns``: the newest time of each table to be looked at. Where a reader holds a table for
    more than a second, it is left for the next time.
    """
    dropped = []
    for table, table_ns in newest_ns.items():
        if table.kept:
            continue
        cutoff_ns = max(0, min(table_ns, now_ns()) - keeping.retention)
        try:
            with connection.transaction():
                connection.execute("SET LOCAL lock_timeout = '1s'")
                if layout == NATIVE:
                    dropped += _drop_partitions(connection, table, cutoff_ns)
                else:
                    dropped += _drop_chunks(connection, table, cutoff_ns)
                connection.execute(
                    "DELETE FROM headrace_retractions WHERE output = %s AND ts_ns < %s",
                    [table.output.topic, cutoff_ns - _SLACK_NS],
                )
        except psycopg.errors.LockNotAvailable:
            LOG.warning("%s is in use: what is past its retention stays for now", table.name)
    if dropped:
        LOG.info("past their retention, dropped: %s", ", ".join(dropped))
    return dropped


def _drop_partitions(connection: Connection, table: Table, cutoff_ns: int) -> list[str]:
    rows = connection.execute(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
        "WHERE i.inhparent = %s::regclass ORDER BY 1",
        [table.name],
    ).fetchall()
    dropped = []
    for (name,) in rows:
        match = _PARTITION.fullmatch(name)
        if match is None:
            continue
        end = _partition_end(table, date.fromisoformat(match[1]))
        if (end - _EPOCH).days * DAY_NS <= cutoff_ns:
            connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))
            dropped.append(name)
    return dropped


def _drop_chunks(connection: Connection, table: Table, cutoff_ns: int) -> list[str]:
    cutoff = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=cutoff_ns // 1000)
    rows = connection.execute(
        "SELECT drop_chunks(%s::regclass, older_than => %s::timestamptz)", [table.name, cutoff]
    ).fetchall()
    return [name for (name,) in rows]


def _partition_end(table: Table, start: date) -> date:
    if table.unit == "day":
        return start + timedelta(days=1)
    return (start + timedelta(days=31)).replace(day=1)


def _moment(day: date) -> sql.Literal:
    return sql.Literal(datetime(day.year, day.month, day.day, tzinfo=UTC))
