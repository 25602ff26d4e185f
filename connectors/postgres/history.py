"""Pages of history: the records of the current generation, by time.

Oldest first, so that a reader at the end goes on from there when more has come. What is paged over
is (time, id), and every value is a parameter. The connection's ``statement_timeout`` is the
caller's to set: a filter that few rows meet looks at all rows of the range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from psycopg import sql

from connectors.postgres.client import Connection
from connectors.postgres.ddl import key_text
from connectors.postgres.layouts import TIMESCALE
from connectors.postgres.migrate import stored_layout
from connectors.postgres.reader import (
    retraction_selected,
    selected,
    to_record,
    to_retraction,
)
from connectors.postgres.tables import Table
from state.errors import Misuse
from state.retraction import RETRACTED

MAX_LIMIT = 10_000
HOUR_NS = 3600 * 10**9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMES = range(1 << 63)


Filters = Mapping[str, frozenset[str]]
"""Column -> values, any of which a record has."""


class Position(NamedTuple):
    """A place behind a record: its event time (ns since 1970 UTC) and its id.

    ``retracted`` tells a retraction from a record with the same time and id, before it.
    """

    time_ns: int
    id: str
    retracted: bool = False


class Page(NamedTuple):
    """Records in order, and the position behind the last; None where no more are there now."""

    records: list[dict[str, Any]]
    next: Position | None


def page(
    connection: Connection,
    table: Table,
    filters: Filters,
    from_ns: int,
    to_ns: int,
    limit: int,
    after: Position | None = None,
    *,
    retractions: bool = False,
) -> Page:
    """Return the records of an output with event times in [from_ns, to_ns), oldest first.

    ``filters`` are values of the table's `filters`, all of which a record has. Records are ordered
    by the microsecond of their event time, then by id as the database compares text. With
    ``retractions`` the records that take a key away stand among those that it was given to; under
    filters, those of a key of which a record that passes was there. Raises Misuse for what cannot
    be asked.
    """
    query, values = page_query(
        table, filters, from_ns, to_ns, limit, after, retractions=retractions
    )
    rows = _rows(connection, query, values)
    found = [_told(table, row) for row in rows[:limit]]
    if len(rows) <= limit:
        return Page(found, None)
    last = found[-1]
    return Page(found, Position(last[table.clock], last["id"], RETRACTED in last))


def page_query(
    table: Table,
    filters: Filters,
    from_ns: int,
    to_ns: int,
    limit: int,
    after: Position | None = None,
    *,
    retractions: bool = False,
) -> tuple[sql.Composed, list[Any]]:
    """Return the query of a `page`, which asks for one row more, and the values for it."""
    _check(from_ns, to_ns, limit)
    chosen, chosen_values = _chosen(table, filters)
    conditions, values = _within(table.clock, from_ns, to_ns, after, ">")
    query = sql.SQL(
        "SELECT {}, time, NULL::text AS gone_key FROM {} WHERE {} ORDER BY time, id LIMIT %s"
    )
    rows = query.format(
        selected(table),
        sql.Identifier(f"{table.name}_current"),
        sql.SQL(" AND ").join([*chosen, *conditions]),
    )
    values = [*chosen_values, *values, limit + 1]
    if not retractions:
        return rows, values
    same = ">" if after is not None and after.retracted else ">="
    conditions, more = _within("ts_ns", from_ns, to_ns, after, same)
    gone = sql.SQL(
        "SELECT {}, time, key AS gone_key FROM headrace_retractions WHERE output = %s "
        "AND generation = (SELECT current FROM headrace_generations WHERE system = %s) "
        "AND {} ORDER BY time, id LIMIT %s"
    ).format(
        retraction_selected(table), sql.SQL(" AND ").join([*conditions, _of_keys(table, chosen)])
    )
    both = sql.SQL(
        "SELECT * FROM (({}) UNION ALL ({})) both_kinds ORDER BY time, id, gone_key IS NOT NULL "
        "LIMIT %s"
    ).format(rows, gone)
    system = [table.output.topic, table.output.system]
    return both, [*values, *system, *more, *chosen_values, limit + 1, limit + 1]


def hours(connection: Connection, symbol: str, from_ns: int, to_ns: int, limit: int) -> Page:
    """Return bars of an hour, made of those of ``1m``, that begin in [from_ns, to_ns).

    A record has ``symbol``, ``interval`` (``1h``), ``start_ns`` and what a bar has but an id. The
    next page begins at ``next.time_ns``. TimescaleDB keeps them; elsewhere they are computed from
    the minutes of these hours. Raises Misuse as `page` does.
    """
    _check(from_ns, to_ns, limit)
    first_ns, end_ns = (-(-ns // HOUR_NS) * HOUR_NS for ns in (from_ns, to_ns))
    bounds = [_text("symbol", symbol), _moment(first_ns), _moment(end_ns)]
    query = _KEPT if stored_layout(connection) == TIMESCALE else _COMPUTED
    rows = _rows(connection, query, [*bounds, limit + 1])
    found = [dict(zip(_HOUR, row, strict=True)) for row in rows]
    if len(found) > limit:
        return Page(found[:limit], Position(found[limit]["start_ns"], ""))
    return Page(found, None)


_HOUR = (
    "symbol", "interval", "start_ns", "open", "high", "low", "close", "volume", "vwap", "trades",
)  # fmt: skip
_KEPT = sql.SQL(
    "SELECT symbol, '1h', (extract(epoch FROM time) * 1000000000)::bigint,"
    " open, high, low, close, volume, vwap, trades::bigint FROM market_bars_1h_current "
    "WHERE symbol = %s AND time >= %s AND time < %s ORDER BY time LIMIT %s"
)
# Not the view: its hours cannot say which partitions and rows of the index they are made of.
_COMPUTED = sql.SQL(
    "SELECT symbol, '1h', start_ns / 3600000000000 * 3600000000000 AS hour,"
    " (array_agg(open ORDER BY time))[1], max(high), min(low),"
    " (array_agg(close ORDER BY time DESC))[1], sum(volume),"
    " sum(vwap * volume) / nullif(sum(volume), 0), sum(trades)::bigint FROM market_bars_current "
    "WHERE symbol = %s AND interval = '1m' AND time >= %s AND time < %s "
    "GROUP BY symbol, hour ORDER BY hour LIMIT %s"
)


def _rows(connection: Connection, query: sql.SQL | sql.Composed, values: list[Any]) -> list[Any]:
    with connection.cursor(binary=True) as cursor:
        # Never prepared: a plan for any values could not choose partitions and indexes by them.
        return cursor.execute(query, values, prepare=False).fetchall()


def _told(table: Table, row: Sequence[Any]) -> dict[str, Any]:
    """Return the record of a row of `page_query`, whose last column is a retraction's key."""
    *fields, _, gone = row
    return to_record(table, fields) if gone is None else to_retraction(table, fields, gone)


def _chosen(table: Table, filters: Filters) -> tuple[list[sql.Composable], list[Any]]:
    """Return the conditions of filters on a table's rows, and the values for them."""
    conditions: list[sql.Composable] = []
    values: list[Any] = []
    for name, wanted in filters.items():
        if name not in table.filters:
            known = ", ".join(table.filters) or "none"
            topic = table.output.topic
            raise Misuse(f"{topic} has no filter {name[:50]!r}: there are {known}")
        texts = [_text(name, value) for value in sorted(wanted)]
        # One is said as such, for an index by it gives rows in the order of time.
        one = len(texts) == 1
        conditions.append(
            sql.SQL("{} = %s" if one else "{} = ANY(%s)").format(sql.Identifier(name))
        )
        values.append(texts[0] if one else texts)
    return conditions, values


def _within(
    clock: str, from_ns: int, to_ns: int, after: Position | None, behind: str
) -> tuple[list[sql.Composable], list[Any]]:
    """Return the conditions of a range of time that goes on ``behind`` a place, and the values."""
    conditions: list[sql.Composable] = [
        sql.SQL("{0} >= %s AND {0} < %s").format(sql.Identifier(clock))
    ]
    values: list[Any] = [from_ns, to_ns]
    first_ns = from_ns
    if after is not None:
        first_ns = max(from_ns, _time("after", after.time_ns))
        conditions.append(sql.SQL("(time, id) {} (%s, %s)").format(sql.SQL(behind)))
        values += [_moment(after.time_ns), _text("after", after.id)]
    # Said apart, for partitions are chosen by it, and not by the comparison of pairs.
    conditions.append(sql.SQL("time >= %s AND time <= %s"))
    return conditions, [*values, _moment(first_ns), _moment(to_ns - 1)]


def _of_keys(table: Table, chosen: Sequence[sql.Composable]) -> sql.Composable:
    """Return the condition that a record which passes had the retraction's key before."""
    if not chosen:
        return sql.SQL("true")
    if not table.key:
        return sql.SQL("false")
    return sql.SQL(
        "EXISTS (SELECT FROM {} held WHERE {} AND {} = headrace_retractions.key "
        "AND held.time <= headrace_retractions.time)"
    ).format(
        sql.Identifier(f"{table.name}_current"),
        sql.SQL(" AND ").join(chosen),
        key_text(table, "held"),
    )


def _check(from_ns: int, to_ns: int, limit: int) -> None:
    _time("from", from_ns)
    _time("to", to_ns)
    if not 1 <= limit <= MAX_LIMIT:
        raise Misuse(f"limit is no number from 1 to {MAX_LIMIT}")


def _time(name: str, time_ns: int) -> int:
    if time_ns not in _TIMES:
        raise Misuse(f"{name} is no time in ns from 0 to {_TIMES[-1]}")
    return time_ns


def _text(name: str, value: str) -> str:
    if "\0" in value:
        raise Misuse(f"{name} holds a NUL character")
    return value


def _moment(time_ns: int) -> datetime:
    """Return the microsecond of a time, as the column ``time`` has it."""
    return _EPOCH + timedelta(microseconds=time_ns // 1000)
