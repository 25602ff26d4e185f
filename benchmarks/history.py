"""How long a page of a day of bars takes to read from PostgreSQL, and by which index."""

from __future__ import annotations

import argparse
import random
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from psycopg import sql
from pydantic import SecretStr

from benchmarks.machine import facts
from benchmarks.report import Goal, Report, percentile_line
from connectors.postgres.client import Connection, Database
from connectors.postgres.decode import Row
from connectors.postgres.history import Filters, Position, hours, page, page_query
from connectors.postgres.keeping import Keeping
from connectors.postgres.tables import tables_of
from connectors.postgres.writer import Writer
from flows.servers import Postgres
from replay import arguments
from state.clock import DAY_NS, NS
from state.market.outputs import OUTPUTS

OPEN_NS = 1_381_152_600 * NS
"""7 October 2013, 13:30 UTC: the session is of 23,400 s."""
END_NS = OPEN_NS + DAY_NS
RETENTION = Keeping(retention=100 * 365 * DAY_NS, compress_after=DAY_NS)
BARS = tables_of(OUTPUTS)["market.bars"]
BATCH = 20_000
LIMIT = 1000
PAGES = 3
"""How many pages follow each other from a random second on."""
P99_MS = Goal(50.0, most=True)
SEED = 1


@dataclass(frozen=True, slots=True)
class Options:
    """How much there is to read, and how many runs of pages are read of each kind."""

    symbols: int = 100
    seconds: int = 23_400
    runs: int = 150


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --symbols, --seconds, --runs and --json."""
    of = Options()
    for name, default in (("symbols", of.symbols), ("seconds", of.seconds), ("runs", of.runs)):
        parser.add_argument(
            f"--{name}", type=arguments.positive, default=default, metavar="N", help=f"({default})"
        )
    arguments.add_json(parser, "all figures")


def run(args: argparse.Namespace) -> int:
    """Measure and print; a goal that is missed is printed as missed, and is no failure."""
    measure(Options(args.symbols, args.seconds, args.runs), Report(args.json, facts()))
    return 0


def measure(options: Options, report: Report) -> None:
    """Write a session of bars to a server of its own, read pages of it, and report."""
    report.begin()
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as name:
        server = Postgres(Path(name))
        server.start()
        server.wait()
        try:
            with Database(SecretStr(server.dsn)).connect() as connection:
                _measure(connection, options, report)
        finally:
            server.stop()
    report.end()


def _measure(connection: Connection, options: Options, report: Report) -> None:
    rows = _fill(connection, options)
    report.part(
        "a",
        f"Pages of {LIMIT:,} of {rows:,} bars: 1s and 1m, {options.symbols} symbols, one session",
        "page() in one process: the query, its rows and their records; no HTTP",
    )
    chance = random.Random(SEED)  # which pages are read is no secret

    def symbol() -> str:
        return _symbol(chance.randrange(options.symbols))

    def one(value: str) -> frozenset[str]:
        return frozenset([value])

    asked: dict[str, Callable[[], Filters]] = {
        "a symbol, 1s": lambda: {"symbol": one(symbol()), "interval": one("1s")},
        "a symbol, 1m": lambda: {"symbol": one(symbol()), "interval": one("1m")},
        "a symbol, all intervals": lambda: {"symbol": one(symbol())},
        "all symbols": dict,
    }
    for what, filters in asked.items():
        taken: list[int] = []
        for _ in range(options.runs):
            start_ns = OPEN_NS + chance.randrange(options.seconds) * NS
            taken += _pages(connection, filters(), start_ns)
        _report(report, what, taken)
        report.note("a", f"  by {_index(connection, filters())}")
    _report(
        report, "hours of a symbol", [_hours(connection, symbol()) for _ in range(options.runs)]
    )


def _report(report: Report, what: str, taken_ns: list[int]) -> None:
    values = np.array(taken_ns, np.int64)
    report.figure("a", f"{what}: p99", "ms", [float(np.percentile(values, 99)) / 1e6], P99_MS)
    report.note("a", f"  {percentile_line(f'{len(taken_ns)} pages', values)}")


def _pages(connection: Connection, filters: Filters, start_ns: int) -> Iterator[int]:
    """Read pages from a time on; yield how long each took, in ns."""
    after: Position | None = None
    for _ in range(PAGES):
        begin = time.perf_counter_ns()
        found = page(connection, BARS, filters, start_ns, END_NS, LIMIT, after)
        yield time.perf_counter_ns() - begin
        after = found.next
        if after is None:
            return


def _hours(connection: Connection, symbol: str) -> int:
    begin = time.perf_counter_ns()
    hours(connection, symbol, OPEN_NS - DAY_NS, END_NS, LIMIT)
    return time.perf_counter_ns() - begin


def _index(connection: Connection, filters: Filters) -> str:
    """Return the index by which the planner reads a page of bars, or the plan without one."""
    after = Position(OPEN_NS + 60 * NS, "")
    query, values = page_query(BARS, filters, OPEN_NS, END_NS, LIMIT, after)
    rows = connection.execute(sql.SQL("EXPLAIN {}").format(query), values).fetchall()
    plan = "\n".join(line for (line,) in rows)
    found = re.search(r"Index (?:Only )?Scan (?:using|on) (market_bars\S+)", plan)
    return found[1] if found else plan


def _fill(connection: Connection, options: Options) -> int:
    """Write the bars as the history flow does, in the order in which they end; return how many."""
    writer = Writer(connection, OUTPUTS, RETENTION)
    count, batch = 0, list[Row]()
    for row in _rows(options):
        batch.append(row)
        if len(batch) == BATCH:
            writer.write({BARS: batch})
            count, batch = count + BATCH, []
    if batch:
        writer.write({BARS: batch})
    connection.execute("ANALYZE")
    return count + len(batch)


def _rows(options: Options) -> Iterator[Row]:
    for second in range(options.seconds):
        start_ns = OPEN_NS + second * NS
        for number in range(options.symbols):
            yield _row(number, "1s", start_ns)
        if second % 60 == 59:
            for number in range(options.symbols):
                yield _row(number, "1m", start_ns - 59 * NS)


def _row(number: int, interval: str, start_ns: int) -> Row:
    symbol = _symbol(number)
    price = 100.0 + start_ns // NS % 977 / 100
    prices = (price, price + 0.02, price - 0.01, price + 0.01)
    identity = f"{symbol}|{interval}|{start_ns}"
    return (1, identity, symbol, interval, start_ns, *prices, 1200.0, price + 0.00123, 7, None)


def _symbol(number: int) -> str:
    return f"S{number:03}"
