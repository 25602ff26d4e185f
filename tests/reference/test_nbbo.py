"""The reference's best quotes and the order of ticks in time, by hand."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reference.by_hand import BASE, S, beat, outputs, quote, trade
from tests.reference.market import Partition, ReferenceSettings, Tick
from tests.reference.streams import reference_settings, streams
from tests.reference.symbols import SymbolState, event_order
from tests.reference.vocabulary import Record


def test_nbbo_over_venues() -> None:
    ticks = (
        quote(0.1, "N", bid=10.0, bid_size=2.0, ask=12.0, ask_size=1.0),
        quote(0.2, "Q", bid=10.0, bid_size=3.0, ask=11.0, ask_size=4.0),
        quote(1.1, "Q", ask=11.0, ask_size=0.0),
        quote(2.1, "N", bid=9.0, bid_size=1.0),
        quote(3.1, "Q", bid=10.0, bid_size=0.0, ask=11.5, ask_size=1.0),
        quote(4.1, "N", bid=9.0, bid_size=0.0),
        beat(5),
    )
    fields = ("ts_ns", "bid", "bid_size", "ask", "ask_size")
    records = outputs(*ticks)["nbbo"]
    assert [tuple(record[name] for name in fields) for record in records] == [
        (1 * S, 10.0, 5.0, 11.0, 4.0),
        (2 * S, 10.0, 5.0, 12.0, 1.0),
        (3 * S, 10.0, 3.0, 12.0, 1.0),
        (4 * S, 9.0, 1.0, 11.5, 1.0),
        (5 * S, None, 0.0, 11.5, 1.0),
    ]
    assert records[0]["id"] == "A|0"


def test_the_nbbo_of_a_window_is_that_of_its_last_time_not_its_last_arrival() -> None:
    settings = replace(BASE, lateness_ns=S)
    ticks = (
        quote(0.5, "N", bid=1.0, bid_size=1.0),
        quote(0.5, "N", bid=2.0, bid_size=1.0),
        quote(0.4, "N", bid=3.0, bid_size=1.0),
        quote(1.0, "Q", bid=0.5, bid_size=1.0),
        beat(3),
    )
    assert [record["bid"] for record in outputs(*ticks, settings=settings)["nbbo"]] == [2.0, 2.0]


def bids(*ticks: Tick, settings: ReferenceSettings = BASE) -> list[float | None]:
    return [record["bid"] for record in outputs(*ticks, settings=settings)["nbbo"]]


LATENESS = replace(BASE, lateness_ns=S)


def test_an_older_quote_that_arrives_after_a_newer_one_of_its_venue_does_not_replace_it() -> None:
    ticks = (
        quote(0.5, "N", bid=10.0, bid_size=1.0),
        quote(0.4, "N", bid=11.0, bid_size=1.0, ask=12.0, ask_size=3.0),
        beat(2),
    )
    (record,) = outputs(*ticks, settings=LATENESS)["nbbo"]
    # The newer one said nothing of the ask, so the older one's holds.
    assert (record["bid"], record["ask"], record["ask_size"]) == (10.0, 12.0, 3.0)


def test_an_older_quote_of_another_venue_takes_its_place_in_time() -> None:
    ticks = (
        quote(1.1, "N", bid=9.0, bid_size=1.0),
        quote(0.5, "N", bid=8.0, bid_size=1.0),
        quote(0.6, "Q", bid=8.5, bid_size=1.0),
        beat(3),
    )
    assert bids(*ticks, settings=LATENESS) == [8.5, 9.0]


def test_quotes_of_one_time_are_applied_by_their_numbers_then_by_arrival() -> None:
    first, second = (quote(0.5, "N", bid=bid, bid_size=1.0) for bid in (1.0, 2.0))
    assert bids(first, second, beat(1)) == [2.0]
    assert bids(replace(first, seq=2), replace(second, seq=1), beat(1)) == [1.0]
    assert bids(replace(first, seq=0), second, beat(1)) == [1.0]  # without a number: before it


def test_a_retried_quote_behind_the_watermark_is_set_aside_though_its_window_is_open() -> None:
    bid = {"bid": 7.0, "bid_size": 1.0}
    result = outputs(
        quote(10, "N", ask=8.0, ask_size=1.0),
        beat(10.5),
        quote(10.5 - 1e-9, "Q", **bid, seq=5, retried=True),
        quote(10.5 - 1e-9, "Q", **bid, seq=5, retried=True),  # known by its number all the same
        beat(11),
    )
    (late,) = result["late"]
    assert (late["offset"], late["type"]) == (2, "quote")
    assert (late["watermark_ns"], late["reason"]) == (10.5 * S, "behind the watermark")
    assert [(record["bid"], record["ask"]) for record in result["nbbo"]] == [(None, 8.0)]


def test_a_retried_quote_that_is_not_behind_the_watermark_is_held_like_any_other() -> None:
    ticks = beat(10.5), quote(10.5, "Q", bid=7.0, bid_size=1.0, retried=True), beat(11)
    assert bids(*ticks) == [7.0]
    assert outputs(*ticks)["late"] == []


def test_a_quote_waits_in_its_window_while_the_window_before_closes() -> None:
    waiting = (
        quote(0.5, "N", bid=1.0, bid_size=1.0),
        quote(1.0, "N", bid=2.0, bid_size=1.0),
        beat(2),
    )
    assert bids(*waiting, settings=LATENESS) == [1.0]
    assert bids(*waiting, beat(3), settings=LATENESS) == [1.0, 2.0]


def test_a_quote_is_applied_when_the_watermark_has_passed_it_and_not_before() -> None:
    partition = Partition(BASE)
    partition.take(quote(5, "N", bid=1.0, bid_size=1.0))
    (life,) = partition.lives
    assert (life.book.best()["bid"], len(partition.held)) == (None, 1)
    partition.take(beat(5 + 1e-9))
    assert (life.book.best()["bid"], len(partition.held)) == (1.0, 0)


@pytest.mark.parametrize("rest", [{"retried": True}, {"condition": "odd"}])
def test_a_trade_behind_the_watermark_or_that_does_not_count_is_not_held(rest) -> None:
    partition = Partition(replace(BASE, excluded_conditions=frozenset({"odd"})))
    for tick in (beat(10.5), trade(10.5 - 1e-9 if "retried" in rest else 10.5, 1, **rest)):
        partition.take(tick)
    assert partition.held == []


def test_a_new_life_of_a_symbol_starts_with_an_empty_book() -> None:
    ticks = quote(0, "N", bid=1.0, bid_size=1.0), quote(100 + 1e-9, "Q", ask=2.0, ask_size=1.0)
    assert bids(*ticks, beat(101)) == [1.0, None]


PLACES = [(400, 3), (400, 1), (700, 2), (700, 7), (1100, 4), (1100, 8), (1300, 5), (1300, 6)]
"""Milliseconds and number of quotes."""


@given(st.permutations(PLACES))
def test_the_order_of_arrival_within_the_lateness_changes_no_nbbo(order) -> None:
    def of(places: Iterable[tuple[int, int]]) -> list[Record]:
        quotes = [
            quote(ms / 1000, "NQ"[seq % 2], bid=-seq % 5 + 1.0, bid_size=1.0, seq=seq)
            for ms, seq in places
        ]
        return outputs(*quotes, beat(3), settings=replace(LATENESS, quote_ttl_ns=S // 2))["nbbo"]

    assert of(order) == of(sorted(PLACES))


class Watched(Partition):
    """A partition that tells what its subclasses see."""

    def __init__(self, settings: ReferenceSettings) -> None:
        super().__init__(settings)
        self.now_ns = -math.inf
        self.applied: list[Tick] = []

    def _pass_time(self, until_ns: float) -> None:
        assert until_ns >= self.now_ns
        self.now_ns = until_ns

    def _apply(self, symbol: SymbolState, tick: Tick) -> None:
        assert tick.ts_ns == self.now_ns < self.watermark_ns
        super()._apply(symbol, tick)
        self.applied.append(tick)


@given(streams(reference_settings(1), ended=False))
def test_held_ticks_are_applied_in_one_order_whenever_they_are_released(stream) -> None:
    partition = Watched(reference_settings(1))
    for tick in stream.ticks:
        partition.take(tick)
    assert partition.applied == sorted(partition.applied, key=event_order)
    waiting = [tick for _, tick in partition.held]
    assert all(tick.ts_ns >= partition.watermark_ns for tick in waiting)
    quotes = [tick for tick in partition.applied + waiting if tick.kind == "quote"]
    assert Counter(quotes) == Counter(tick for life in partition.lives for tick in life.quotes)


def test_the_nbbo_is_sampled_at_the_shortest_interval() -> None:
    settings = replace(BASE, intervals_ns=(60 * S, S))
    result = outputs(quote(0.5, "N", bid=1.0, bid_size=1.0), beat(1), settings=settings)
    assert [record["ts_ns"] for record in result["nbbo"]] == [S]
