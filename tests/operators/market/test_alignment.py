"""Windows that begin anew at each border of sessions."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from flows.market.calendar import NO_SESSIONS, aligned, bar_ends, sessions_of
from flows.market.settings import Market
from operators.market.alignment import Alignment
from state.clock import NS
from tests.driver import Driver
from tests.operators.market.test_against_reference import driver_by_seed, market_settings, vary
from tests.reference import market as reference
from tests.reference.compare import first_difference
from tests.reference.streams import START_NS, random_stream
from tests.reference.vocabulary import ReferenceSettings, Tick

MINUTE_NS, HOUR_NS = 60 * NS, 3600 * NS
OPEN_NS = 1_704_465_000 * NS
"""2024-01-05 14:30 UTC, when New York opens at 9:30; the session is six and a half hours long."""


@given(
    interval_ns=st.integers(1, 50),
    borders=st.sets(st.integers(1, 200), max_size=8),
    ts_ns=st.lists(st.integers(1, 300), min_size=1),
)
def test_windows_are_those_of_the_definition(
    interval_ns: int, borders: set[int], ts_ns: list[int]
) -> None:
    definition = ReferenceSettings(borders_ns=tuple(sorted(borders)))
    windows = Alignment(interval_ns, np.array(sorted(borders), np.int64))
    times = np.array(ts_ns)
    found = list(zip(windows.starts(times).tolist(), windows.ends(times).tolist(), strict=True))
    assert found == [definition.window_of(ts, interval_ns) for ts in ts_ns]


@given(
    interval_ns=st.integers(1, 50),
    borders=st.sets(st.integers(1, 200), max_size=8),
    span_ns=st.integers(0, 60),
)
def test_windows_are_numbered_one_after_another(
    interval_ns: int, borders: set[int], span_ns: int
) -> None:
    windows = Alignment(interval_ns, np.array(sorted(borders), np.int64))
    times = np.arange(1, 400)
    numbers, starts = windows.numbers(times), windows.starts(times)
    assert (np.diff(numbers) == (np.diff(starts) > 0)).all()
    touched = windows.numbers(times + span_ns) - numbers + 1
    assert touched.max() <= windows.most_within(span_ns)


@pytest.mark.parametrize("seed", range(12))
def test_bars_and_nbbo_of_sessions_equal_the_definition(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)
    nearby = [START_NS + rng.randint(-5 * NS, 60 * NS) for _ in range(rng.choice([10, 40]))]
    ours = replace(vary(seed), borders_ns=tuple(sorted({*nearby, START_NS + 3 * NS})))
    monkeypatch.setattr("flows.market.flow.sessions_of", lambda _calendar: NO_SESSIONS)
    borders = np.array(ours.borders_ns)
    monkeypatch.setattr("flows.market.calendar.window_borders", lambda *_sessions: borders)
    market = market_settings(ours).model_copy(update={"align": "session", "calendar": "XNYS"})
    stream = random_stream(seed, 1000, ours)
    driver = driver_by_seed(market, ours.partitions, seed, rng, restarts=0.2)
    found, right = driver.run(stream.ticks), reference.run(stream.ticks, ours)
    assert first_difference(right, found) is None
    assert any(bar["start_ns"] % NS for bar in found["bars"])


def test_hours_of_new_york_begin_at_the_open_and_end_with_the_close() -> None:
    market = Market(calendar="XNYS", align="session", intervals=(NS, 60 * NS, HOUR_NS))
    bars = aligned(market, HOUR_NS)
    times = OPEN_NS + np.array([0, HOUR_NS, 6 * HOUR_NS, 6 * HOUR_NS + 29 * MINUTE_NS])
    close_ns = OPEN_NS + 6 * HOUR_NS + 30 * MINUTE_NS
    assert (bars.starts(times) - OPEN_NS).tolist() == [0, HOUR_NS, 6 * HOUR_NS, 6 * HOUR_NS]
    assert bars.ends(times).tolist()[1:] == [OPEN_NS + 2 * HOUR_NS, close_ns, close_ns]
    assert bars.starts(np.array([close_ns])).tolist() == [close_ns]


def test_a_day_is_a_session() -> None:
    market = Market(calendar="XNYS", align="session", intervals=(NS, 60 * NS, 24 * HOUR_NS))
    opens_ns, closes_ns = sessions_of("XNYS")
    days = aligned(market, 24 * HOUR_NS)
    assert (days.starts(closes_ns - 1) == opens_ns).all()
    assert (days.ends(opens_ns) == closes_ns).all()


def test_the_bar_before_a_border_closes_with_it() -> None:
    market = Market(calendar="XNYS", align="session", intervals=(NS, 60 * NS, HOUR_NS), lateness=0)
    close_ns = OPEN_NS + 6 * HOUR_NS + 30 * MINUTE_NS
    times = [close_ns - 90 * MINUTE_NS, close_ns - MINUTE_NS, close_ns - 1, close_ns]
    ticks = [
        Tick(0, i, "trade", ts_ns, symbol="A", price=10.0 + i, size=1.0)
        for i, ts_ns in enumerate(times)
    ]
    bars = [bar for bar in Driver(market, 1).run(ticks)["bars"] if bar["interval"] == "1h"]
    found = [(bar["start_ns"] - close_ns, bar["open"], bar["close"]) for bar in bars]
    assert found == [(-90 * MINUTE_NS, 10.0, 10.0), (-30 * MINUTE_NS, 11.0, 12.0)]


def test_trading_dates_a_bar_that_a_session_cuts_by_its_end() -> None:
    close_ns = OPEN_NS + 6 * HOUR_NS + 30 * MINUTE_NS
    start_ns = close_ns - 30 * MINUTE_NS
    assert bar_ends(Market(calendar="XNYS", align="session"))(start_ns, HOUR_NS) == close_ns
    assert bar_ends(Market())(start_ns, HOUR_NS) == start_ns + HOUR_NS


def test_sessions_need_a_calendar() -> None:
    with pytest.raises(ValidationError, match="align by session needs calendar"):
        Market(align="session")
