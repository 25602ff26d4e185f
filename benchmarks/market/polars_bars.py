"""Bars recomputed by polars, for data too large for the reference."""

from __future__ import annotations

import polars as pl


def polars_bars(trades: pl.DataFrame, interval_ns: int) -> pl.DataFrame:
    """Return the bars of all windows that hold a trade, sorted by symbol and start.

    ``trades`` has symbol, ts_ns (int64 ns), row (order of arrival), price and size. The
    result has symbol, start_ns, open, high, low, close, volume, notional, vwap and trades.
    Open and close are the first and last trade by (time, arrival). Polars sums in an
    order of its own: volume, notional and vwap equal a sum in order of arrival to 1e-12.
    """
    start_ns = pl.col("ts_ns") - pl.col("ts_ns") % interval_ns
    return (
        trades.sort("symbol", "ts_ns", "row")
        .with_columns(start_ns=start_ns, value=pl.col("price") * pl.col("size"))
        .group_by("symbol", "start_ns", maintain_order=True)
        .agg(
            open=pl.col("price").first(),
            high=pl.col("price").max(),
            low=pl.col("price").min(),
            close=pl.col("price").last(),
            volume=pl.col("size").sum(),
            notional=pl.col("value").sum(),
            trades=pl.len(),
        )
        .with_columns(vwap=pl.col("notional") / pl.col("volume"))
        .select(
            "symbol",
            "start_ns",
            "open",
            "high",
            "low",
            "close",
            "volume",
            "notional",
            "vwap",
            "trades",
        )
    )
