"""Pages of history: the records of the current generation, by time.

Oldest first, so that a reader at the end goes on from there when more has come. What is paged over
is (time, id), and every value is a parameter. The connection's ``statement_timeout`` is the
caller's to set: a filter that few rows meet looks at all rows of the range.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from psycopg import sql

from connectors.postgres.client import Connection
from connectors.postgres.migrate import TIMESCALE, stored_layout
from connectors.postgres.reader import selected, to_record
from connectors.postgres.tables import TABLES, Table
from state.errors import Misuse

MAX_LIMIT = 10_000
HOUR_NS = 3600 * 10**9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMES = range(1 << 63)


class Position(NamedTuple):
    """A place behind a record: its event time (ns since 1970 UTC) and its id."""

    time_ns: int
    id: str


class Page(NamedTuple):
    """Records in order, and the position behind the last; None where no more are there now."""

    records: list[dict[str, Any]]
    next: Position | None


def page(
    connection: Connection,
    output: str,
    filters: Mapping[str, str],
    from_ns: int,
    to_ns: int,
    limit: int,
    after: Position | None = None,
) -> Page:
    """Return the records of an output with event times in [from_ns, to_ns), oldest first.

    ``output`` is its topic, such as ``market.bars``. ``filters`` are values of the table's
    `filters`, all of which a record has. Records are ordered by the microsecond of their event
    time, then by id as the database compares text. Raises Misuse for what cannot be asked.
    """
    query, values = page_query(output, filters, from_ns, to_ns, limit, after)
    table = TABLES[output]
    rows = _rows(connection, query, values)
    found = [to_record(table, row) for row in rows[:limit]]
    more = len(rows) > limit
    return Page(found, Position(found[-1][table.clock], found[-1]["id"]) if more else None)


def page_query(
    output: str,
    filters: Mapping[str, str],
    from_ns: int,
    to_ns: int,
    limit: int,
    after: Position | None = None,
) -> tuple[sql.Composed, list[Any]]:
    """Return the query of a `page`, which asks for one row more, and the values for it."""
    table = _table(output)
    _check(from_ns, to_ns, limit)
    conditions: list[sql.Composable] = [
        sql.SQL("{0} >= %s AND {0} < %s").format(sql.Identifier(table.clock))
    ]
    values: list[Any] = [from_ns, to_ns]
    for name, value in filters.items():
        if name not in table.filters:
            known = ", ".join(table.filters) or "none"
            raise Misuse(f"{output} has no filter {name[:50]!r}: there are {known}")
        conditions.append(sql.SQL("{} = %s").format(sql.Identifier(name)))
        values.append(_text(name, value))
    first_ns = from_ns
    if after is not None:
        first_ns = max(from_ns, _time("after", after.time_ns))
        conditions.append(sql.SQL("(time, id) > (%s, %s)"))
        values += [_moment(after.time_ns), _text("after", after.id)]
    # Said apart, for partitions are chosen by it, and not by the comparison of pairs.
    conditions.append(sql.SQL("time >= %s AND time <= %s"))
    values += [_moment(first_ns), _moment(to_ns - 1), limit + 1]
    query = sql.SQL("SELECT {} FROM {} WHERE {} ORDER BY time, id LIMIT %s").format(
        selected(table),
        sql.Identifier(f"{table.name}_current"),
        sql.SQL(" AND ").join(conditions),
    )
    return query, values


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


def _table(output: str) -> Table:
    if output not in TABLES:
        raise Misuse(f"there is no history of {output[:50]!r}: choose {', '.join(TABLES)}")
    return TABLES[output]


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
