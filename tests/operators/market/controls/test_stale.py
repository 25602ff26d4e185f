"""Marks and bands: how old they are, and which of them count."""

from __future__ import annotations

from state.clock import NS
from tests.operators.market.controls.stage import Stage, quoted


def test_stale_data_refuse_orders_until_enough_has_come_again() -> None:
    s = quoted()
    s.wait(5)
    s.beat()
    assert s.order("1")["reason"] == "NONE", "just old enough"
    s.wait(0.000_000_001)
    s.beat()
    found = [s.order("2")]
    for i in range(3):
        s.quote()
        found.append(s.order(f"{3 + i}"))
    assert [f["reason"] for f in found] == ["STALE_DATA"] * 3 + ["NONE"]


def test_data_that_stop_again_while_fresh_ones_are_counted_begin_anew() -> None:
    s = quoted()
    s.wait(6)
    s.quote()
    s.quote()
    s.wait(6)
    s.quote()
    s.quote()
    assert s.order("1")["reason"] == "STALE_DATA"
    s.quote()
    assert s.order("2")["reason"] == "NONE"


def test_data_are_stale_without_a_beat_of_the_timer_too() -> None:
    s = quoted()
    s.wait(5.1)
    assert s.order("1")["reason"] == "STALE_DATA"


def test_a_mark_is_as_old_as_its_event_time_whenever_it_was_heard() -> None:
    s = Stage()
    s.quote(age=7200)
    assert s.order("1")["reason"] == "STALE_DATA"
    s.quote(age=5)
    s.quote(age=5)
    assert s.order("2")["reason"] == "STALE_DATA", "two of three fresh ones"
    s.quote(age=5)
    assert s.order("3")["reason"] == "NONE"
    s.wait(0.000_000_001)
    assert s.order("4")["reason"] == "STALE_DATA"


def test_an_older_mark_does_not_replace_a_newer_one() -> None:
    s = quoted()
    s.quote(149.0, 151.0, age=1)
    assert s.order("1")["mark_source"] == "market.nbbo/0/0"
    s.put("market.bars", symbol="X", interval="1m", start_ns=s.now_ns - 61 * NS, close=150.0)
    assert s.order("2")["mark"] == 100.0
    s.put("market.bars", symbol="X", interval="1m", start_ns=s.now_ns - 60 * NS, close=101.0)
    assert s.order("3")["mark"] == 101.0


def test_a_price_that_is_not_above_zero_is_no_mark() -> None:
    s = quoted()
    unknown = s.order("1", symbol="never heard of")["reason"]
    s.put("market.bars", symbol="X", interval="1m", start_ns=s.now_ns - 60 * NS, close=-37.63)
    s.quote(149.0, 151.0, age=1)
    refused = s.order("2")
    assert (refused["decision"], refused["reason"]) == ("reject", unknown)
    s.quote(-1.0, 3.0)
    assert s.order("3")["mark"] == 1.0


def test_a_mark_of_the_future_is_one_of_now() -> None:
    s = quoted()
    s.quote(age=-3600)
    s.wait(1)
    s.quote(101.0, 103.0)
    assert s.order("1")["mark"] == 102.0
    s.wait(5.1)
    assert s.order("2")["reason"] == "STALE_DATA"


def test_older_bands_do_not_replace_newer_ones() -> None:
    s = quoted()
    open_ = {"symbol": "X", "state": "open", "lower": 90.0, "upper": 110.0}
    s.put("market.bands", ts_ns=s.now_ns - NS, **open_)
    s.put("market.bands", ts_ns=s.now_ns - 7200 * NS, **(open_ | {"state": "paused"}))
    found = s.order("1")
    assert (found["reason"], found["band_source"]) == ("NONE", "market.bands/0/0")


def test_marks_and_bands_are_those_of_the_generation_in_use() -> None:
    s = Stage()
    s.put("clock", type="clock", ts_ns=s.now_ns, generation=1)
    s.quote(99.0, 101.0, generation=1)
    s.quote(119.0, 121.0, generation=2)
    s.put("market.bands", 2, symbol="X", ts_ns=s.now_ns, state="paused", lower=1.0, upper=2.0)
    assert s.order("1")["mark_source"] == "market.nbbo/0/0"
    s.put("clock", type="clock", ts_ns=s.now_ns, generation=2)
    assert s.order("2")["reason"] == "SYMBOL_PAUSED"
    s.put("market.bands", 1, symbol="X", ts_ns=s.now_ns, state="open", lower=1.0, upper=2.0)
    found = s.order("3")
    assert (found["reason"], found["mark"]) == ("SYMBOL_PAUSED", 120.0)


def test_one_sided_quotes_keep_no_mark_fresh() -> None:
    s = quoted()
    for _ in range(6):
        s.wait(1)
        s.quote(99.0, None)
    assert s.order("1")["reason"] == "STALE_DATA"
