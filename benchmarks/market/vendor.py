"""QuantConnect Lean's files read by polars: nothing here is shared with our importer."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from state.clock import NS

_UTC_BEHIND_NS = 4 * 3600 * NS
"""In October New York is four hours behind UTC."""
_TRADES = ("ms", "price", "size", "venue", "condition", "suspicious")
_BARS = ("ms", "open", "high", "low", "close", "volume")


def _price(name: str) -> pl.Expr:
    """Return Lean's ten-thousandths as the nearest doubles.

    Polars divides by a scalar with its reciprocal, which misses the last bit, but by a column
    as IEEE 754 says.
    """
    unit = pl.col(name) * 0 + 10_000
    return (pl.col(name) / unit).alias(name)


def trades(files: Iterable[Path]) -> pl.DataFrame:
    """Return the trades of tick archives, in October alone, in the order of the rows.

    Columns: symbol, ts_ns (int64, UTC), row, price and size (doubles), bits (the condition,
    uint32) and suspicious (bool).
    """
    frames = [_trades(path) for path in sorted(files)]
    return pl.concat(frames).with_row_index("row")


def _trades(path: Path) -> pl.DataFrame:
    symbol, midnight_ns = _named(path)
    return _csv(path, _TRADES, {"condition": pl.String}).select(
        symbol=pl.lit(symbol),
        ts_ns=midnight_ns + pl.col("ms") * 1_000_000,
        price=_price("price"),
        size=pl.col("size").cast(pl.Float64),
        bits=pl.col("condition").str.to_integer(base=16, dtype=pl.UInt32),
        suspicious=pl.col("suspicious") != 0,
    )


def second_bars(files: Iterable[Path]) -> pl.DataFrame:
    """Return the vendor's own bars: symbol, start_ns, open, high, low, close and volume."""
    frames = []
    for path in files:
        symbol, midnight_ns = _named(path)
        prices = [_price(name) for name in _BARS[1:5]]
        frames.append(
            _csv(path, _BARS, {}).select(
                pl.lit(symbol).alias("symbol"),
                (midnight_ns + pl.col("ms") * 1_000_000).alias("start_ns"),
                *prices,
                pl.col("volume").cast(pl.Float64),
            )
        )
    return pl.concat(frames)


def _named(path: Path) -> tuple[str, int]:
    """Return the symbol, and midnight in New York as ns since 1970 UTC."""
    *_, symbol, day, _ = path.stem.split("_")
    midnight = datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC)
    assert midnight.month == 10, f"{path} is not of October"
    return symbol.upper(), int(midnight.timestamp()) * NS + _UTC_BEHIND_NS


def _csv(path: Path, names: tuple[str, ...], types: dict[str, type[pl.DataType]]) -> pl.DataFrame:
    schema = {name: types.get(name, pl.Int64) for name in names}
    if "venue" in schema:
        schema["venue"] = pl.String
    with zipfile.ZipFile(path) as archive:
        (member,) = archive.namelist()
        return pl.read_csv(archive.read(member), has_header=False, schema=schema)
