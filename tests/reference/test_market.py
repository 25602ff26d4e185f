"""The reference satisfies examples computed by hand."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reference.market import OUTPUTS, Partition, ReferenceSettings, Tick, is_excluded, run
from tests.reference.streams import reference_settings, streams
from tests.reference.symbols import SymbolState, event_order
from tests.reference.vocabulary import DAY_NS, Record, interval_name

S = 1_000_000_000
Z99 = 2.3263478740408408  # the standard normal quantile at 99 %
PHI_Z99 = 0.02665214220345808  # the density there

BASE = ReferenceSettings(
    topic="t",
    lateness_ns=0,
    symbol_ttl_ns=100 * S,
    intervals_ns=(S,),
    risk_interval_ns=S,
    min_observations=1,
)


def trade(ts_s: float, price: float, size: float = 1.0, **rest: object) -> Tick:
    return Tick(0, 0, "trade", round(ts_s * S), symbol="A", price=price, size=size, **rest)  # type: ignore[arg-type]  # reason: keyword shorthand of the tests


def quote(ts_s: float, venue: str, **sides: object) -> Tick:
    return Tick(0, 0, "quote", round(ts_s * S), symbol="A", venue=venue, **sides)  # type: ignore[arg-type]  # reason: keyword shorthand of the tests


def beat(ts_s: float, partition: int = 0) -> Tick:
    return Tick(partition, 0, "heartbeat", round(ts_s * S))


def numbered(ticks: Iterable[Tick]) -> list[Tick]:
    """Give the ticks the offsets of their order of arrival in each partition."""
    offsets = [count() for _ in range(4)]
    return [replace(tick, offset=next(offsets[tick.partition])) for tick in ticks]


def outputs(*ticks: Tick, settings: ReferenceSettings = BASE) -> dict[str, list[Record]]:
    return run(numbered(ticks), settings)


def test_no_input_gives_every_output_empty() -> None:
    assert run([], BASE) == {name: [] for name in OUTPUTS}


def test_bar_of_a_window() -> None:
    bars = outputs(trade(0.2, 10, 1), trade(0.2, 12, 2), trade(0.9, 9, 1), beat(1))["bars"]
    assert bars == [
        {
            "id": "A|1s|0",
            "symbol": "A",
            "interval": "1s",
            "start_ns": 0,
            "open": 10,
            "high": 12,
            "low": 9,
            "close": 9,
            "volume": 4.0,
            "vwap": 43 / 4,
            "trades": 3,
        }
    ]


def test_at_equal_times_the_first_arrival_opens_and_the_last_closes() -> None:
    settings = replace(BASE, lateness_ns=S // 2)
    ticks = trade(0.5, 1), trade(0.5, 2), trade(0.3, 3), trade(0.3, 4), trade(0.5, 5), beat(2)
    (bar,) = outputs(*ticks, settings=settings)["bars"]
    assert (bar["open"], bar["close"]) == (3, 5)


def test_a_window_closes_when_the_watermark_reaches_its_end_and_not_before() -> None:
    settings = replace(BASE, lateness_ns=S // 2)
    before = outputs(trade(0.1, 1), beat(1.5 - 1e-9), settings=settings)
    at = outputs(trade(0.1, 1), beat(1.5), settings=settings)
    assert (len(before["bars"]), len(at["bars"])) == (0, 1)


def test_the_end_of_input_closes_nothing() -> None:
    assert outputs(trade(0.1, 1), quote(0.2, "N", bid=1.0, bid_size=1.0))["bars"] == []


def test_every_interval_has_its_own_windows() -> None:
    settings = replace(BASE, intervals_ns=(S, 60 * S))
    bars = outputs(trade(1, 1), trade(2, 2), beat(60), settings=settings)["bars"]
    assert [bar["id"] for bar in bars] == [f"A|1m|{0}", f"A|1s|{S}", f"A|1s|{2 * S}"]


@pytest.mark.parametrize(
    ("interval_ns", "name"),
    [
        (S, "1s"),
        (60 * S, "1m"),
        (90 * S, "90s"),
        (7200 * S, "2h"),
        (86400 * S, "1d"),
        (90000 * S, "25h"),
        (S // 4, "250ms"),
    ],
)
def test_an_interval_is_named_in_its_largest_unit(interval_ns: int, name: str) -> None:
    assert interval_name(interval_ns) == name


def test_a_tick_behind_the_watermark_is_late_and_one_at_it_is_not() -> None:
    result = outputs(beat(2), trade(2 - 1e-9, 1), trade(2, 1), beat(3))
    assert result["late"] == [
        {
            "id": "t/0/1/0",
            "ts_ns": 2 * S - 1,
            "topic": "t",
            "partition": 0,
            "offset": 1,
            "sequence": 0,
            "symbol": "A",
            "venue": "",
            "type": "trade",
            "watermark_ns": 2 * S,
            "reason": "behind the watermark",
        }
    ]
    assert [bar["trades"] for bar in result["bars"]] == [1]


def test_a_duplicate_vanishes_and_a_late_duplicate_too() -> None:
    result = outputs(trade(5, 1, seq=7), trade(5, 1, seq=7), trade(1, 1, seq=7), beat(6))
    assert [bar["trades"] for bar in result["bars"]] == [1]
    assert result["late"] == []


def test_a_repeat_of_the_number_that_moved_the_head_is_a_duplicate() -> None:
    result = outputs(trade(5, 1, seq=1), trade(5, 1, seq=2), trade(5, 1, seq=2), beat(6))
    assert [bar["trades"] for bar in result["bars"]] == [2]


def test_a_repeated_number_of_another_venue_or_kind_is_no_duplicate() -> None:
    ticks = (
        trade(5, 1, seq=7, venue="N"),
        trade(5, 1, seq=7, venue="Q"),
        quote(5, "N", bid=1.0, bid_size=1.0, seq=7),
        beat(6),
    )
    result = outputs(*ticks)
    assert (result["bars"][0]["trades"], len(result["nbbo"])) == (2, 1)


def test_a_gap_is_told_by_the_tick_that_reveals_it() -> None:
    (gap,) = outputs(trade(1, 1, seq=3, venue="N"), trade(2, 1, seq=7, venue="N"))["gaps"]
    assert gap == {
        "id": "t/0/1/0",
        "ts_ns": 2 * S,
        "symbol": "A",
        "venue": "N",
        "type": "trade",
        "first_missing": 4,
        "last_missing": 6,
        "count": 3,
    }


def test_a_late_tick_reveals_a_gap_too() -> None:
    result = outputs(trade(5, 1, seq=3), trade(1, 1, seq=5))
    assert (len(result["gaps"]), len(result["late"])) == (1, 1)


def test_the_window_remembers_256_numbers() -> None:
    ticks = trade(5, 1, seq=1000), trade(5, 1, seq=745), trade(5, 1, seq=745), trade(5, 1, seq=744)
    result = outputs(*ticks, beat(6))
    assert result["bars"][0]["trades"] == 2
    (late,) = result["late"]
    assert (late["offset"], late["reason"]) == (3, "sequence too old")


def test_a_record_set_aside_tells_the_watermark_after_its_tick() -> None:
    (late,) = outputs(trade(5, 1, seq=1000), trade(7, 1, seq=1))["late"]
    assert (late["reason"], late["watermark_ns"]) == ("sequence too old", 7 * S)


def test_numbers_that_start_again_on_a_later_day_are_new() -> None:
    day = DAY_NS // S
    settings = replace(BASE, symbol_ttl_ns=2 * DAY_NS)
    ticks = trade(day - 1, 1, seq=1000), trade(day, 1, seq=1), trade(day, 1, seq=2)
    result = outputs(*ticks, beat(day + 1), settings=settings)
    assert [bar["trades"] for bar in result["bars"]] == [1, 2]
    assert (result["gaps"], result["late"]) == ([], [])


def test_excluded_conditions_and_bits() -> None:
    settings = replace(BASE, excluded_conditions=frozenset({"odd"}), excluded_bits=0x10)
    words = ["", "odd", "x:odd", "odder", "10", "x:1F", "0F", "g10", "0x10"]
    excluded = [word for word in words if is_excluded(word, settings)]
    assert excluded == ["odd", "x:odd", "10", "x:1F"]


def test_an_excluded_trade_still_moves_the_watermark_and_the_sequence() -> None:
    settings = replace(BASE, excluded_conditions=frozenset({"odd"}))
    ticks = trade(1, 1, seq=1), trade(2, 9, seq=5, condition="odd")
    result = outputs(*ticks, settings=settings)
    assert ([bar["high"] for bar in result["bars"]], len(result["gaps"])) == ([1], 1)


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


def test_volatility_var_and_es_of_a_symbol() -> None:
    settings = replace(BASE, horizons=(4,), min_observations=2)
    ticks = trade(0, 100), trade(1, 101), trade(5, 99.99), beat(6)
    first, second = outputs(*ticks, settings=settings)["risk"]
    r1, r2 = 101 / 100 - 1, 99.99 / 101 - 1
    assert first["id"] == f"symbol:A|ewma-normal|1s|0.99|4|{2 * S}"
    assert (first["ts_ns"], first["valid"], second["valid"]) == (2 * S, False, True)
    assert first["var"] == pytest.approx(Z99 * 2 * abs(r1), rel=1e-12)
    assert first["es"] == pytest.approx(2 * abs(r1) * PHI_Z99 / 0.01, rel=1e-12)
    sigma = math.sqrt(0.94 * r1**2 + 0.06 * r2**2)
    assert second["var"] == pytest.approx(Z99 * 2 * sigma, rel=1e-12)
    assert (second["components"], second["scope"]) == (None, "symbol:A")


def test_a_breach_is_signalled_once_a_direction_and_forecast() -> None:
    # The forecast after two bars: reference 101, sigma 1 %, threshold 2.326 %.
    ticks = [trade(0, 100), trade(1, 101)]
    ticks += [trade(2.1, 103), trade(2.2, 104), trade(2.3, 98), trade(2.4, 110), trade(2.5, 90)]
    signals = outputs(*ticks)["signals"]
    assert [(signal["id"], signal["kind"]) for signal in signals] == [
        ("t/0/3/0", "breach_up"),
        ("t/0/4/0", "breach_down"),
    ]
    assert signals[0]["value"] == pytest.approx(3 / 101, rel=1e-12)
    assert signals[0]["threshold"] == pytest.approx(Z99 * 0.01, rel=1e-12)
    assert signals[1]["threshold"] == -signals[0]["threshold"]


def test_the_next_forecast_allows_the_next_breach() -> None:
    # After 2 s: reference 101, threshold 2.3 %; after 3 s: reference 104, threshold 2.7 %.
    ticks = trade(0, 100), trade(1, 101), trade(2.1, 104), trade(3.1, 110), trade(3.2, 120)
    assert [signal["id"] for signal in outputs(*ticks)["signals"]] == ["t/0/2/0", "t/0/3/0"]


def test_the_trade_that_closes_a_bar_is_judged_by_the_new_forecast() -> None:
    settings = replace(BASE, min_observations=2)
    flat = trade(0, 100), trade(1, 100), trade(2, 100)
    (signal,) = outputs(*flat, trade(3, 101), settings=settings)["signals"]
    assert (signal["value"], signal["threshold"]) == (101 / 100 - 1, 0.0)
    assert outputs(*flat[1:], trade(3, 101), settings=settings)["signals"] == []


def test_an_excluded_trade_makes_no_breach() -> None:
    settings = replace(BASE, excluded_conditions=frozenset({"odd"}))
    ticks = trade(0, 100), trade(1, 101), trade(2, 200, condition="odd")
    assert outputs(*ticks, settings=settings)["signals"] == []


def test_a_symbol_silent_for_longer_than_its_ttl_starts_anew() -> None:
    kept = outputs(trade(0, 100, seq=1), trade(100, 101, seq=5), beat(101))
    anew = outputs(trade(0, 100, seq=1), trade(100 + 1e-9, 101, seq=5), beat(102))
    assert (len(kept["gaps"]), len(kept["risk"])) == (1, 1)
    assert (len(anew["gaps"]), len(anew["risk"])) == (0, 0)
    assert len(anew["bars"]) == 2


def test_late_ticks_do_not_keep_a_symbol_alive() -> None:
    ticks = trade(0, 1, seq=1), beat(70), trade(60, 1, seq=2)
    result = outputs(*ticks, trade(100.5, 1, seq=9))
    assert result["gaps"] == []
    assert [late["offset"] for late in result["late"]] == [2]


def test_a_duplicate_keeps_its_symbol_alive() -> None:
    ticks = trade(0, 1, seq=1), trade(50, 1, seq=1), trade(100.5, 1, seq=3)
    assert len(outputs(*ticks)["gaps"]) == 1


def test_an_older_tick_does_not_make_its_symbol_older() -> None:
    settings = replace(BASE, lateness_ns=2 * S)
    ticks = trade(10, 1, seq=1), trade(8.5, 1, seq=2), trade(109, 1, seq=4)
    assert len(outputs(*ticks, settings=settings)["gaps"]) == 1


def test_a_retried_tick_is_not_late_and_joins_the_windows_still_open() -> None:
    settings = replace(BASE, intervals_ns=(S, 60 * S))
    result = outputs(beat(10), trade(5, 1, retried=True), beat(60), settings=settings)
    assert [bar["id"] for bar in result["bars"]] == ["A|1m|0"]
    assert result["late"] == []


def test_a_retried_tick_without_an_open_window_is_set_aside() -> None:
    result = outputs(
        beat(10),
        trade(5, 1, retried=True),
        quote(5, "N", bid=1.0, bid_size=1.0, retried=True),
        quote(10, "Q", ask=2.0, ask_size=1.0),
        beat(11),
    )
    reasons = [(late["offset"], late["type"], late["reason"]) for late in result["late"]]
    assert reasons == [(1, "trade", "window closed"), (2, "quote", "behind the watermark")]
    assert [(record["bid"], record["ask"]) for record in result["nbbo"]] == [(None, 2.0)]


def test_partitions_do_not_touch_each_other() -> None:
    settings = replace(BASE, partitions=2)
    result = outputs(beat(50, partition=1), trade(5, 1), beat(6), settings=settings)
    assert (len(result["bars"]), result["late"]) == (1, [])


def test_a_symbol_in_two_partitions_is_refused() -> None:
    with pytest.raises(ValueError, match="more than one partition"):
        outputs(
            trade(1, 1),
            replace(trade(1, 1), partition=1),
            settings=replace(BASE, partitions=2),
        )


TWO = replace(BASE, partitions=2, portfolios={"P": {"A": 0.5, "B": 0.25}})


def other(ts_s: float, price: float) -> Tick:
    return replace(trade(ts_s, price), partition=1, symbol="B")


def of_portfolio(records: list[Record]) -> list[Record]:
    return [record for record in records if record["scope"] == "portfolio:P"]


def test_portfolio_var_and_its_components() -> None:
    ticks = trade(0, 100), trade(1, 102), other(0, 100), other(1, 101), beat(2), beat(2, 1)
    (record,) = of_portfolio(outputs(*ticks, settings=TWO)["risk"])
    # r = (2 %, 1 %), S = rr', w'Sw = (0.5 * 2 % + 0.25 * 1 %)^2 = (1.25 %)^2
    assert record["id"] == f"portfolio:P|ewma-normal|1s|0.99|1|{2 * S}"
    assert record["var"] == pytest.approx(Z99 * 0.0125, rel=1e-12)
    assert record["es"] == pytest.approx(0.0125 * PHI_Z99 / 0.01, rel=1e-12)
    assert record["components"] == {
        "A": pytest.approx(Z99 * 0.01, rel=1e-12),
        "B": pytest.approx(Z99 * 0.0025, rel=1e-12),
    }
    assert record["valid"] is True


def test_portfolio_risk_grows_with_the_root_of_the_horizon() -> None:
    settings = replace(TWO, horizons=(1, 4))
    ticks = trade(0, 100), trade(1, 102), beat(2), beat(2, 1)
    one, four = of_portfolio(outputs(*ticks, settings=settings)["risk"])
    assert (one["horizon"], four["horizon"]) == (1, 4)
    assert four["var"] == pytest.approx(2 * one["var"], rel=1e-12)
    assert four["es"] == pytest.approx(2 * one["es"], rel=1e-12)
    assert four["components"]["A"] == pytest.approx(2 * one["components"]["A"], rel=1e-12)


def test_a_covariance_of_two_bars() -> None:
    ticks = [trade(0, 100), trade(1, 102), trade(2, 102), other(0, 100), other(2, 101)]
    risk = of_portfolio(outputs(*ticks, beat(3), beat(3, 1), settings=TWO)["risk"])
    # At 2 s only A returns 2 %; at 3 s A returns 0 and B 1 %: S = diag(.94 * 4e-4, .06 * 1e-4).
    sigma = math.sqrt(0.94 * 4e-4 * 0.25 + 0.06 * 1e-4 * 0.0625)
    assert [record["valid"] for record in risk] == [False, True]
    assert risk[1]["var"] == pytest.approx(Z99 * sigma, rel=1e-12)
    assert sum(risk[1]["components"].values()) == pytest.approx(risk[1]["var"], rel=1e-12)


def test_a_silent_partition_holds_the_portfolios_back() -> None:
    ticks = trade(0, 100), trade(1, 102), trade(2, 103)
    assert of_portfolio(outputs(*ticks, settings=TWO)["risk"]) == []
    assert len(of_portfolio(outputs(*ticks, beat(2, 1), settings=TWO)["risk"])) == 1


def test_a_portfolio_without_a_bar_at_that_time_makes_no_forecast() -> None:
    settings = replace(TWO, portfolios={"P": {"A": 0.5}, "Q": {"B": 0.5}})
    ticks = trade(0, 100), trade(1, 101), other(0, 100), beat(2), beat(2, 1)
    risk = outputs(*ticks, settings=settings)["risk"]
    assert [record["scope"] for record in risk] == ["portfolio:P", "symbol:A"]


def test_a_first_bar_has_no_return_but_brings_its_portfolio_a_forecast() -> None:
    ticks = trade(0, 100), trade(1, 102), other(1, 50), beat(2), beat(2, 1)
    settings = replace(TWO, portfolios={"P": {"A": 0.5}, "Q": {"B": 0.5}})
    risk = outputs(*ticks, settings=settings)["risk"]
    assert [(record["scope"], record["valid"]) for record in risk] == [
        ("portfolio:P", True),
        ("portfolio:Q", False),
        ("symbol:A", True),
    ]


def test_a_portfolio_breach_upwards() -> None:
    settings = replace(TWO, portfolios={"P": {"A": 0.5}})
    ticks = trade(0, 100), trade(1, 101), trade(2, 111.1), beat(3), beat(3, 1)
    (signal,) = of_portfolio(outputs(*ticks, settings=settings)["signals"])
    assert signal["kind"] == "breach_up"
    assert signal["value"] == pytest.approx(0.05, rel=1e-12)
    assert signal["threshold"] == pytest.approx(Z99 * 0.005, rel=1e-12)


def test_a_forecast_that_is_not_valid_makes_no_portfolio_breach() -> None:
    settings = replace(TWO, portfolios={"P": {"A": 0.5}}, min_observations=2)
    ticks = trade(0, 100), trade(1, 101), trade(2, 111.1), beat(3), beat(3, 1)
    assert of_portfolio(outputs(*ticks, settings=settings)["signals"]) == []


def test_a_flat_portfolio_has_components_of_zero() -> None:
    ticks = trade(0, 100), trade(1, 100), beat(2), beat(2, 1)
    (record,) = of_portfolio(outputs(*ticks, settings=TWO)["risk"])
    assert (record["var"], record["components"]) == (0.0, {"A": 0.0, "B": 0.0})


def test_a_portfolio_breach_is_judged_by_the_forecast_before_it() -> None:
    settings = replace(TWO, portfolios={"P": {"A": 0.5}})
    ticks = trade(0, 100), trade(1, 101), trade(2, 90.9), beat(3), beat(3, 1)
    (signal,) = of_portfolio(outputs(*ticks, settings=settings)["signals"])
    assert signal == {
        "id": f"portfolio:P|{3 * S}",
        "ts_ns": 3 * S,
        "scope": "portfolio:P",
        "kind": "breach_down",
        "method": "ewma-normal",
        "value": pytest.approx(-0.05, rel=1e-12),
        "threshold": pytest.approx(-Z99 * 0.005, rel=1e-12),
    }
