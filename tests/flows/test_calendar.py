"""Sessions of an exchange, and what they change."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from flows.market.calendar import sessions_of
from flows.market.settings import Market, Risk
from state.clock import NS
from state.errors import SettingsError
from tests.driver import Driver
from tests.reference.vocabulary import Tick


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS


def test_new_york_keeps_holidays_early_closes_and_summer_time():
    opens, closes = (times.tolist() for times in sessions_of("XNYS"))
    by_open = dict(zip(opens, closes, strict=True))
    assert by_open[ns("2013-10-08T13:30")] == ns("2013-10-08T20:00")
    assert by_open[ns("2024-11-29T14:30")] == ns("2024-11-29T18:00")
    assert not [o for o in opens if ns("2024-12-25T00:00") <= o < ns("2024-12-26T00:00")]


def test_an_unknown_exchange_is_named():
    with pytest.raises(SettingsError, match="no 'MOON'"):
        sessions_of("MOON")


def test_a_calendar_that_begins_or_ends_within_our_years_has_the_sessions_that_it_knows():
    opens, closes = sessions_of("XTKS")
    assert opens[0] == ns("1997-01-06T00:00")
    by_open = dict(zip(opens.tolist(), closes.tolist(), strict=True))
    assert by_open[ns("2024-03-04T00:00")] == ns("2024-03-04T06:00")
    assert sessions_of("XBOM")[0][-1] < ns("2027-01-01T00:00")


def test_a_calendar_that_cannot_be_made_is_one_sentence():
    with pytest.raises(SettingsError, match=r"market\.calendar: .* cannot make 'ASEX'$"):
        sessions_of("ASEX")


def test_no_return_is_taken_over_night():
    times = [
        *(ns("2013-10-08T19:57") + i * 60 * NS for i in range(3)),
        *(ns("2013-10-09T13:30") + i * 60 * NS for i in range(4)),
    ]
    prices = [100.0, 101.0, 100.0, 150.0, 151.0, 150.0, 150.0]
    ticks = [
        Tick(partition=0, offset=i, kind="trade", ts_ns=t, symbol="A", price=p, size=1.0)
        for i, (t, p) in enumerate(zip(times, prices, strict=True))
    ]

    def largest(calendar: str) -> float:
        market = Market(calendar=calendar, risk=Risk(min_observations=2))
        figures = Driver(market, 1).run(ticks)["risk"]
        assert len(figures) == 4
        return max(float(figure["var"]) for figure in figures)

    assert largest("") > 0.1
    assert largest("XNYS") < 0.03
