"""Tables of daily closing prices: CSV files, plain or gzipped.

One row a day: a date (the column ``date`` or ``Date``, else the first), with or without a time,
and one price for each asset. A cell that is empty or ``nan`` is a gap: it carries the asset's last
price, or leaves the asset out before its first one.
"""

from __future__ import annotations

import csv
import gzip
import math
import zlib
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple

from state.errors import Misuse

_GAPS = ("", "nan")
_OF_ONE_ASSET = {"open", "high", "low", "close", "adj close", "volume"}
"""Headers of a table that holds the bars of one asset."""
_FIRST_YEAR = 1970


class Day(NamedTuple):
    """One row: its place in the file, its date, and the prices of the assets that have one."""

    where: str
    date: date
    prices: dict[str, float]


class PriceTable:
    """A file of daily prices, read once from its begin to its end."""

    def __init__(self, path: Path, column: str = "", symbol: str = "") -> None:
        """Open the file and read its header; raises Misuse.

        With ``column`` that one is read alone, as the prices of ``symbol``.
        """
        self._path = path
        self._rows = csv_rows(path)
        where, header = next(self._rows, (str(path), []))
        names = [name.strip() for name in header]
        self._date = next((i for i, name in enumerate(names) if name in ("date", "Date")), 0)
        self._width = len(names)
        self._columns = [i for i in range(len(names)) if i != self._date]
        if column:
            self._columns = [i for i in self._columns if names[i] == column]
            if not self._columns:
                raise Misuse(f"{where} has no column {column!r}: it has {', '.join(names)}")
        elif {"open", "close"} <= {name.lower() for name in names}:
            bars = [name for name in names if name.lower() in _OF_ONE_ASSET]
            raise Misuse(
                f"{where}: {', '.join(bars)} look like the bars of one asset: choose the prices by "
                "--column Close --symbol NAME"
            )
        self.symbols = [symbol] if column else [names[i] for i in self._columns]
        """The assets, in the order of their columns."""
        self.gaps = 0
        """How many gaps have carried the last price so far."""
        if not self.symbols:
            raise Misuse(f"{where} names no asset: it needs a column of dates and one for each")
        if "" in self.symbols:
            raise Misuse(f"{where} has a column without a name")
        if len(set(self.symbols)) < len(self.symbols):
            twice = next(name for name in self.symbols if self.symbols.count(name) > 1)
            raise Misuse(f"{where} has two columns {twice!r}")

    def days(self) -> Iterator[Day]:
        """Yield each day on which an asset has a price; raises Misuse, naming the line."""
        prices: dict[str, float] = {}
        before: date | None = None
        for where, cells in self._rows:
            if len(cells) != self._width:
                raise Misuse(f"{where} has {len(cells)} cells, the header has {self._width}")
            day = _date(cells[self._date], where)
            if before is not None and day <= before:
                raise Misuse(f"{where}: {day} does not come after {before}")
            before = day
            self._take(prices, cells, where)
            if prices:
                yield Day(where, day, dict(prices))
        if not prices:
            raise Misuse(f"{self._path} holds no price")

    def _take(self, prices: dict[str, float], cells: list[str], where: str) -> None:
        for symbol, column in zip(self.symbols, self._columns, strict=True):
            cell = cells[column]
            if cell.strip().lower() in _GAPS:
                self.gaps += symbol in prices
                continue
            prices[symbol] = number(cell, f"{where}, {symbol}")
            if prices[symbol] <= 0.0:
                raise Misuse(f"{where}, {symbol}: a price must be above 0, found {cell.strip()}")


def csv_rows(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the rows of a CSV file that are not blank, each behind its place; raises Misuse."""
    opener: Callable[..., Any] = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            for cells in reader:
                if cells:
                    yield f"{path}:{reader.line_num}", cells
    except OSError as error:
        raise Misuse(f"cannot read {path}: {error.strerror or error}") from error
    except (UnicodeDecodeError, csv.Error, EOFError, zlib.error) as error:
        raise Misuse(f"{path} is no CSV file: {error}") from error


def number(cell: str, where: str) -> float:
    """Return a finite number; raises Misuse."""
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise Misuse(f"{where}: {cell[:40]!r} is no number")
    return value


def _date(cell: str, where: str) -> date:
    try:
        day = datetime.fromisoformat(cell.strip()).date()
    except ValueError as error:
        raise Misuse(f"{where}: {cell[:40]!r} is no date: write it as 1990-01-02") from error
    if day.year < _FIRST_YEAR:
        raise Misuse(f"{where}: {day} is before {_FIRST_YEAR}, where event times begin")
    return day
