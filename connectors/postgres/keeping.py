"""How long rows stay: retention in both layouts.

Retention goes by event time, for each table by its own: what is older than its newest row
seen less the retention goes. So a recording of another year can be written and read, beside
rows of today in other tables, which a rule by the wall clock would drop at once; but a clock
that ran ahead drops nothing either, for the newest time never counts beyond now.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
from psycopg import sql

from connectors.postgres.client import Connection
from connectors.postgres.layouts import NATIVE
from connectors.postgres.partitions import partitions
from connectors.postgres.tables import Table
from state.clock import DAY_NS, now_ns

LOG = logging.getLogger(__name__)

_SLACK_NS = 732 * DAY_NS
"""Two of the longest partitions: a row stays until all of its partition is past the retention.

A retraction that went before its rows would bring them back into the table's last values.
"""


@dataclass(frozen=True, slots=True)
class Keeping:
    """After how long (ns) rows are dropped, and compressed."""

    retention: int
    compress_after: int


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
    dropped = []
    for name, span in partitions(connection, table).items():
        if span.end_day() * DAY_NS <= cutoff_ns:
            connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))
            dropped.append(name)
    return dropped


def _drop_chunks(connection: Connection, table: Table, cutoff_ns: int) -> list[str]:
    cutoff = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=cutoff_ns // 1000)
    rows = connection.execute(
        "SELECT drop_chunks(%s::regclass, older_than => %s::timestamptz)", [table.name, cutoff]
    ).fetchall()
    return [name for (name,) in rows]
