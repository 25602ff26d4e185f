"""Native partitions: which there are, and which rows need.

A table's partitions are days or months, as its output says. Rows of many of them at once are of an
illiquid symbol's history: a partition for each day would take longer to make than all rows to
write, and each question would have to pass over thousands. So where a write needs many, it makes
months or years of them, beside the smaller ones that there are already.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from psycopg import sql

from connectors.postgres.client import Connection
from connectors.postgres.tables import Table

MOST = 31
"""So many new partitions of one size a write makes, before it takes a larger size."""
UNITS = ("day", "month", "year")
_EPOCH = date(1970, 1, 1)
_LOCK = 0x48_45_41_44_50_41_52_54  # "HEADPART"
_NAME = re.compile(r".*_p(\d{4})(\d{2})?(\d{2})?")


class Span(NamedTuple):
    """The days of one partition: from ``start`` to before ``end``."""

    start: date
    end: date

    def overlaps(self, other: Span) -> bool:
        """Return whether both have a day."""
        return self.start < other.end and other.start < self.end

    def end_day(self) -> int:
        """Return the day behind it, counted from 1970."""
        return (self.end - _EPOCH).days


def span_of(unit: str, day: int) -> Span:
    """Return the span of a unit that holds a day (counted from 1970)."""
    start = _EPOCH + timedelta(days=day)
    if unit == "day":
        return Span(start, start + timedelta(days=1))
    if unit == "month":
        start = start.replace(day=1)
        return Span(start, (start + timedelta(days=31)).replace(day=1))
    return Span(date(start.year, 1, 1), date(start.year + 1, 1, 1))


def partitions(connection: Connection, table: Table) -> dict[str, Span]:
    """Return the partitions of a table by name."""
    rows = connection.execute(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
        "WHERE i.inhparent = %s::regclass ORDER BY 1",
        [table.name],
    ).fetchall()
    found = {name: _parsed(table, name) for (name,) in rows}
    return {name: span for name, span in found.items() if span is not None}


def _parsed(table: Table, name: str) -> Span | None:
    """Return what a name says: its year, its year and month, or its first day."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    year, month, day = match.groups()
    unit = "year" if month is None else "month" if day is None else table.unit
    first = date(int(year), int(month or 1), int(day or 1))
    return span_of(unit, (first - _EPOCH).days)


def _name(table: Table, unit: str, span: Span) -> str:
    form = "%Y%m%d" if unit == table.unit else {"month": "%Y%m", "year": "%Y"}[unit]
    return f"{table.name}_p{span.start:{form}}"


def create_partitions(connection: Connection, table: Table, days: Collection[int]) -> None:
    """Make the native partitions that hold these days (from 1970), where there are none."""
    there = list(partitions(connection, table).values())
    missing = sorted(day for day in days if not _is_held(day, there))
    for day in missing:
        if not _is_held(day, there):
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
                there = list(partitions(connection, table).values())
                if not _is_held(day, there):
                    there.append(_create(connection, table, day, missing, there))


def _is_held(day: int, spans: Collection[Span]) -> bool:
    wanted = span_of("day", day)
    return any(span.overlaps(wanted) for span in spans)


def _create(
    connection: Connection, table: Table, day: int, missing: Collection[int], there: list[Span]
) -> Span:
    unit, span = next(
        (unit, span)
        for unit, span in _candidates(table, day, missing)
        if not any(span.overlaps(other) for other in there)
    )
    # Attached, not created in place: that would lock out all readers of the table.
    parent, child = sql.Identifier(table.name), sql.Identifier(_name(table, unit, span))
    connection.execute(
        sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)").format(
            child, parent
        )
    )
    connection.execute(
        sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
            parent, child, _moment(span.start), _moment(span.end)
        )
    )
    return span


def _candidates(table: Table, day: int, missing: Collection[int]) -> Iterator[tuple[str, Span]]:
    """Yield the sizes of which ``missing`` needs few enough, the largest first."""
    units = UNITS[UNITS.index(table.unit) :]
    few = [u for u in units if len({span_of(u, each) for each in missing}) <= MOST]
    largest = few[0] if few else "year"
    for unit in reversed(units[: units.index(largest) + 1]):
        yield unit, span_of(unit, day)


def _moment(day: date) -> sql.Literal:
    return sql.Literal(datetime(day.year, day.month, day.day, tzinfo=UTC))
