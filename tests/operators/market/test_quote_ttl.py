"""Quotes that grow old: those of a venue that fell silent do not make the NBBO."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import polars as pl
import pytest

from flows.market.settings import Market, Risk
from operators.market.kernels import nbbo as kernel
from operators.market.lookup import Lookup
from state.clock import NS
from tests.contracts import operators as contract
from tests.driver import Driver
from tests.flows.runs import ROOT
from tests.reference.vocabulary import Record, Tick

DAY = ROOT.parent / "shared/data/market/us_equity_tick/bac_20131008_quote.zip"
OPEN_MS, CLOSE_MS = 34_200_000, 57_600_000


def market(quote_ttl: int) -> Market:
    return Market(
        lateness=0, intervals=(NS,), risk=Risk(interval=NS), symbol_ttl=99 * NS, quote_ttl=quote_ttl
    )


def quote(second: int, venue: str, bid: float = 0.0, ask: float = 0.0) -> Tick:
    return Tick(
        0, second, "quote", second * NS, symbol="A", venue=venue,
        bid=bid, bid_size=1.0, ask=ask, ask_size=1.0,
    )  # fmt: skip


TICKS = [
    quote(1, "silent", bid=10.0, ask=10.1),
    quote(2, "busy", bid=9.0),
    quote(3, "busy", ask=9.1),
    quote(4, "busy", bid=9.0),
    quote(5, "busy", bid=9.0),
    Tick(0, 6, "heartbeat", 9 * NS),
]


def sides(quote_ttl: int) -> list[tuple[float | None, float | None]]:
    found: list[Record] = Driver(market(quote_ttl), 1).run(TICKS)["nbbo"]
    return [(record["bid"], record["ask"]) for record in found]


def test_without_a_lifetime_a_quote_stands_until_it_is_replaced() -> None:
    assert sides(0) == [(10.0, 10.1), (10.0, 10.1), (10.0, 9.1), (10.0, 9.1), (10.0, 9.1)]


def test_a_side_counts_up_to_its_lifetime_and_no_longer() -> None:
    assert sides(2 * NS) == [(10.0, 10.1), (10.0, 10.1), (10.0, 9.1), (9.0, 9.1), (9.0, 9.1)]
    assert sides(2 * NS - 1) == [(10.0, 10.1), (10.0, 10.1), (9.0, 9.1), (9.0, 9.1), (9.0, None)]


def test_the_operators_keep_the_contract() -> None:
    contract.check(contract.none, contract.MARKET.model_copy(update={"quote_ttl": NS}))


def crossed(ttl: int) -> float:
    """Return after which share of the quotes in BAC's session the bid is above the ask."""
    with zipfile.ZipFile(DAY) as archive:
        raw = archive.read(archive.namelist()[0])
    rows = pl.read_csv(io.BytesIO(raw), has_header=False, columns=range(6), infer_schema_length=0)
    numbers = rows[:, :5].cast(pl.Float64).fill_null(0.0).to_numpy()
    time_ms, bid, bid_size, ask, ask_size = (np.ascontiguousarray(c) for c in numbers.T)
    venue = np.unique(rows[:, 5].to_numpy().astype(str), return_inverse=True)[1].astype(np.int32)
    n, books = len(rows), Lookup()
    books.reserve(64)
    after = np.empty((n, 4))
    kernel.consolidate(
        (np.zeros(n, np.int32), venue, np.ones(n, np.bool_), time_ms.astype(np.int64) * 1_000_000,
         bid, bid_size, ask, ask_size),
        ttl,
        (books.keys, books.values, books.entry_key),
        0,
        (np.zeros((64, 4)), np.zeros((64, 2), np.int64), np.full(1, -1, np.int32),
         np.zeros(64, np.int32), np.zeros((1, 4))),
        after,
    )  # fmt: skip
    mine = (time_ms >= OPEN_MS) & (time_ms < CLOSE_MS) & (after[:, 0] > 0) & (after[:, 2] > 0)
    return float((after[mine, 0] > after[mine, 2]).mean())


@pytest.mark.skipif(not DAY.is_file(), reason="there is no ../shared/data/market")
def test_a_real_day_without_withdrawals_is_crossed_unless_quotes_grow_old() -> None:
    """The figures of docs/outputs.md."""
    assert round(crossed(0), 3) == 0.968
    assert round(crossed(10 * NS), 3) == 0.002
