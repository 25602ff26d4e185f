"""The fit of the micro-price on a day of real quotes."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from operators.market.signals.fit_micro_price import fit_micro_price

DATA = Path(__file__).resolve().parents[5] / "shared/data/market/us_equity_tick"
TICK = 0.01
OPEN_MS, CLOSE_MS = 34_200_000, 57_600_000

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="there is no ../shared/data/market")


def quotes(symbol: str) -> NDArray[np.float64]:
    """Return (bid, size, ask, size) after each quote of a day's regular session.

    A row of these files is the national best of one side: the last row of each side, whatever its
    exchange, makes a book that is hardly ever crossed.
    """
    with zipfile.ZipFile(DATA / f"{symbol}_20131008_quote.zip") as archive:
        (member,) = archive.namelist()
        raw = archive.read(member)
    rows = pl.read_csv(io.BytesIO(raw), has_header=False, columns=range(5)).to_numpy()
    rows = rows[(rows[:, 0] >= OPEN_MS) & (rows[:, 0] < CLOSE_MS)].astype(np.float64)
    rows[:, [1, 3]] /= 10_000
    last = np.maximum.accumulate(np.where(rows[:, [1, 3]] > 0, np.arange(len(rows))[:, None], 0), 0)
    bid, ask = last.T
    return np.column_stack([rows[bid, 1], rows[bid, 2], rows[ask, 3], rows[ask, 4]])


def test_the_adjustment_rises_with_the_imbalance_at_each_spread() -> None:
    """More on the bid means that the mid will rise, and by less than a tick."""
    best = quotes("ibm")
    assert ((best[:, 0] > best[:, 2]).mean()) < 0.01
    table = fit_micro_price(best, TICK)[:, :3]
    assert (np.diff(table, axis=0) > 0).all()
    assert (table[-1] > 0.002).all()
    assert np.abs(table).max() < TICK


def test_a_stock_of_one_tick_has_a_table_of_its_first_column() -> None:
    table = fit_micro_price(quotes("bac"), TICK)
    assert (np.diff(table[:, 0]) > 0).all()
    assert np.abs(table[:, 0]).max() < TICK / 2
