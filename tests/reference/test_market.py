"""The reference satisfies examples computed by hand: bars, late ticks, gaps, lives of symbols."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.reference.by_hand import BASE, S, beat, outputs, quote, trade
from tests.reference.market import OUTPUTS, is_excluded, run
from tests.reference.vocabulary import DAY_NS, interval_name


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
