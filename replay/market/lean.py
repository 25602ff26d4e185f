"""QuantConnect Lean's US equity ticks into a recording of ``market.ticks``.

Trade rows: milliseconds since midnight New York, price × 10⁴, size, exchange, condition
(hexadecimal), suspicious. Quote rows: milliseconds, bid × 10⁴, bid size, ask × 10⁴, ask
size, exchange, condition, suspicious; each is of one exchange and usually one-sided.
Milliseconds and sizes may have decimals. Source: Lean's ``Data/equity`` readme.

Messages are in the order (time, kind, symbol, row), trades before quotes: a trade met a
quote that stood before. A suspicious trade's condition becomes ``suspicious:<hex>``. What
the JSON of a quote has no place for, its condition, is dropped.
"""

from __future__ import annotations

import io
import itertools
import re
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
from numpy.typing import NDArray

from connectors.market.json_ticks import ticks_json
from connectors.market.tick_columns import TickColumns
from replay.heartbeats import end_partitions
from replay.partitioner import partition_of
from replay.writer import GROUP_ROWS, RecordingWriter, content
from state.clock import NS
from state.errors import Misuse
from state.market.ticks import QUOTE, TRADE

TOPIC = "market.ticks"
_UNIT = 10_000
"""Lean's prices are in ten-thousandths."""
_NEW_YORK = ZoneInfo("America/New_York")
_MS, _HOUR_NS, _DAY_MS = 1_000_000, 3600 * NS, 86_400_000
_MEMBER = re.compile(r"(?i)(?P<date>\d{8})_(?P<symbol>[\w.\-]+?)_(?P<kind>trade|quote)_tick\.csv")
_ARCHIVE = re.compile(r"(?i)(?P<symbol>[\w.\-]+?)_(?P<date>\d{8})_(?P<kind>trade|quote)\.zip")

Kind = Literal["trade", "quote"]
_TEXT, _INT, _FLOAT = pa.string(), pa.int64(), pa.float64()
_COLUMNS: dict[Kind, dict[str, pa.DataType]] = {
    "trade": {
        "ms": _FLOAT,
        "price": _FLOAT,
        "size": _FLOAT,
        "venue": _TEXT,
        "condition": _TEXT,
        "suspicious": _INT,
    },
    "quote": {
        "ms": _FLOAT,
        "bid": _FLOAT,
        "bid_size": _FLOAT,
        "ask": _FLOAT,
        "ask_size": _FLOAT,
        "venue": _TEXT,
        "condition": _TEXT,
        "suspicious": _INT,
    },
}


@dataclass(frozen=True, slots=True, order=True)
class LeanFile:
    """One archive: the ticks of one kind, symbol (upper case) and New York day."""

    day: date
    order: int
    symbol: str
    path: Path
    member: str
    kind: Kind


def lean_file(path: Path) -> LeanFile:
    """Return what an archive holds, by its member's name or its own; raises Misuse."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
    except FileNotFoundError as error:
        raise Misuse(f"there is no file {path}") from error
    except (OSError, zipfile.BadZipFile) as error:
        raise Misuse(f"{path} is no zip file: {error}") from error
    if len(members) != 1:
        raise Misuse(f"{path} holds {len(members)} files; a Lean tick archive holds one")
    match = _MEMBER.fullmatch(members[0]) or _ARCHIVE.fullmatch(path.name)
    if match is None:
        raise Misuse(
            f"{path}: neither its name nor {members[0]} says symbol, date and kind "
            "(SYMBOL_YYYYMMDD_trade.zip or YYYYMMDD_SYMBOL_Trade_Tick.csv)"
        )
    try:
        day = datetime.strptime(match["date"], "%Y%m%d").date()  # noqa: DTZ007 - a date has no zone
    except ValueError as error:
        raise Misuse(f"{path}: {match['date']} is no date") from error
    kind: Kind = "trade" if match["kind"].lower() == "trade" else "quote"
    return LeanFile(day, int(kind == "quote"), match["symbol"].upper(), path, members[0], kind)


def import_lean(
    paths: Iterable[Path],
    out: Path,
    partitions: int,
    advance: Callable[[int], None] = lambda count: None,
) -> int:
    """Write the ticks of ``paths`` to ``out`` and return how many there were.

    Works through one day at a time; each partition ends with a heartbeat (`closing_ns`).
    ``advance(1)`` is called for each file. Raises Misuse.
    """
    files = sorted(lean_file(path) for path in paths)
    days: dict[date, list[LeanFile]] = defaultdict(list)
    for before, after in itertools.pairwise(files):
        if (before.day, before.kind, before.symbol) == (after.day, after.kind, after.symbol):
            raise Misuse(f"{before.path} and {after.path} hold the same ticks: give one of them")
    for file in files:
        days[file.day].append(file)
    last_ns = 0
    offsets = [0] * partitions
    with RecordingWriter(out, {TOPIC: partitions}) as writer:
        for day in sorted(days):
            homes: dict[int, list[LeanFile]] = defaultdict(list)
            for file in days[day]:
                homes[partition_of(file.symbol.encode(), partitions)].append(file)
            for partition in sorted(homes):
                ticks = _day(homes[partition], advance)
                _write(writer, partition, offsets[partition], ticks)
                offsets[partition] += len(ticks)
                last_ns = max(last_ns, int(ticks.ts_ns.max(initial=0)))
        end_partitions(writer, TOPIC, offsets, last_ns)
    return sum(offsets)


class _Words:
    """Texts and their codes, in the order of their first appearance; '' is 0."""

    def __init__(self) -> None:
        self.texts = [""]
        self._codes = {"": 0}

    def encode(self, column: pa.ChunkedArray, prefix: str = "") -> NDArray[np.int32]:
        """Return the code of each row's text behind ``prefix``."""
        found = column.combine_chunks().dictionary_encode()
        codes = [self._code(prefix + text) for text in found.dictionary.to_pylist()]
        rows: NDArray[np.intp] = found.indices.to_numpy()
        return np.array(codes, np.int32)[rows]

    def _code(self, text: str) -> int:
        if text not in self._codes:
            self._codes[text] = len(self.texts)
            self.texts.append(text)
        return self._codes[text]


def _day(files: list[LeanFile], advance: Callable[[int], None]) -> TickColumns:
    """Return a day's ticks by (time, kind, symbol, row); ``files`` come by (kind, symbol)."""
    symbols, venues, conditions = _Words(), _Words(), _Words()
    parts: list[dict[str, NDArray[Any]]] = []
    for file in files:
        table = _read(file)
        suspicious = table.column("suspicious").to_numpy() != 0
        plain = conditions.encode(table.column("condition"))
        flagged = conditions.encode(table.column("condition"), "suspicious:")
        symbol = symbols.encode(pa.chunked_array([pa.repeat(file.symbol, len(table))]))
        parts.append(
            {
                "kind": np.full(len(table), TRADE if file.kind == "trade" else QUOTE),
                "symbol": symbol,
                "ts_ns": utc_ns(file.day, table.column("ms").to_numpy(), file.path),
                "venue": venues.encode(table.column("venue")),
                "condition": np.where(suspicious, flagged, plain),
                **_sides(table),
            }
        )
        advance(1)
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    ticks = TickColumns.of(
        **columns, symbols=symbols.texts, venues=venues.texts, conditions=conditions.texts
    )
    return ticks.take(np.argsort(ticks.ts_ns, kind="stable"))


def _sides(table: pa.Table) -> dict[str, NDArray[np.float64]]:
    """Return prices and sizes; a trade's, or a quote's bid, are ``price`` and ``size``."""

    def column(name: str) -> NDArray[np.float64]:
        values: NDArray[np.float64] = table.column(name).to_numpy().astype(np.float64)
        return values

    if "price" in table.column_names:
        nothing = np.zeros(len(table))
        price, size, ask, ask_size = column("price"), column("size"), nothing, nothing
    else:
        price, size, ask, ask_size = map(column, ("bid", "bid_size", "ask", "ask_size"))
    return {"price": price / _UNIT, "size": size, "ask": ask / _UNIT, "ask_size": ask_size}


def _write(writer: RecordingWriter, partition: int, first: int, ticks: TickColumns) -> None:
    """Write ticks from offset ``first`` on."""
    keys = pa.array([symbol.encode() for symbol in ticks.symbols], pa.binary())
    for start in range(0, len(ticks), GROUP_ROWS):
        part = ticks.take(slice(start, start + GROUP_ROWS))
        offset = np.arange(first + start, first + start + len(part))
        key = keys.take(pa.array(part.symbol))
        value = ticks_json(part)
        writer.write(TOPIC, partition, content(offset, part.ts_ns, key, value))


def _read(file: LeanFile) -> pa.Table:
    columns = _COLUMNS[file.kind]
    try:
        with zipfile.ZipFile(file.path) as archive:
            return csv.read_csv(
                io.BytesIO(archive.read(file.member)),
                read_options=csv.ReadOptions(column_names=list(columns), use_threads=False),
                convert_options=csv.ConvertOptions(column_types=columns, strings_can_be_null=False),
            )
    except (pa.ArrowInvalid, zipfile.BadZipFile) as error:
        message = str(error).splitlines()[0]
        raise Misuse(f"{file.path} holds no Lean {file.kind} ticks: {message}") from error


def utc_ns(day: date, ms: NDArray[np.float64], path: Path) -> NDArray[np.int64]:
    """Return ns since 1970 UTC of milliseconds on New York's clock since midnight.

    In the hour that is passed twice in autumn, the first pass is meant. Raises Misuse
    where a row lies outside its day.
    """
    if not ((ms >= 0) & (ms < _DAY_MS)).all():  # not a number is no time either
        raise Misuse(
            f"{path} has a row outside its day: milliseconds must be from 0 to below {_DAY_MS}"
        )
    midnight = datetime.combine(day, time())
    hours = []
    for hour in range(24):
        # An hour that spring leaves out still gets a time: the one past the gap.
        local = (midnight + timedelta(hours=hour)).replace(tzinfo=_NEW_YORK)
        hours.append(int(local.astimezone(UTC).timestamp()) * NS)
    # A day's milliseconds as doubles are exact to 15 picoseconds.
    ns = np.rint(ms * _MS).astype(np.int64)
    of = np.minimum(ns // _HOUR_NS, 23)  # what rounds to midnight is of the last hour
    times: NDArray[np.int64] = np.array(hours, np.int64)[of] + (ns - of * _HOUR_NS)
    return times
