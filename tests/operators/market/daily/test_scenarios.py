"""Stress scenarios: shocks that are told, and sessions that were seen."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from operators.market.daily.settings import DailySettings, Shock
from tests.daily_events import close_ns, closes, portfolio
from tests.operators.market.daily.runs import SMALL, run


def test_stress_is_the_sum_of_shocks_with_the_second_order():
    scenarios = {
        "made up": Shock(shocks={"A": -0.2}, other=-0.1, gamma={"B": 4.0}),
    }
    made = DailySettings(methods=("historical",), window=20, scenarios=scenarios)
    found = run([portfolio("P", {"A": 0.5, "B": 0.5}, value=100.0), *closes(1, 3)], made)
    assert found["stress"][0]["return"] == pytest.approx(-0.1 - 0.05 + 0.5 * 4 * 0.01)


def test_a_historical_scenario_repeats_its_sessions_once_they_have_been_seen():
    days = [datetime.fromtimestamp(close_ns(i) // 10**9, UTC).date() for i in range(9)]
    made = DailySettings(
        methods=("historical",),
        window=20,
        scenarios={"then": Shock(since=days[3], until=days[5])},
    )
    given_closes = closes(1, 9)
    found = run([portfolio("P", {"A": 1.0}), *given_closes], made)["stress"]
    moved = given_closes[5]["prices"]["A"] / given_closes[2]["prices"]["A"] - 1
    assert [r["ts_ns"] for r in found] == [close_ns(i) for i in range(5, 9)]
    assert found[-1]["return"] == pytest.approx(moved)


@pytest.mark.parametrize("how", ["zone", "session"])
def test_a_session_keeps_the_date_of_its_exchange(how: str) -> None:
    """Closes at 20:30 in New York are of the next day in UTC."""
    new_york = ZoneInfo("America/New_York")
    days = [date(2024, 3, day) for day in (4, 5, 6, 7, 8)]
    events: list[dict] = [portfolio("P", {"A": 1.0})]
    for number, day in enumerate(days):
        close = datetime.combine(day, time(20, 30), new_york)
        body = {"type": "closes", "ts_ns": int(close.timestamp()) * 10**9}
        said = {"session": day.isoformat()} if how == "session" else {}
        events.append(body | said | {"prices": {"A": 100.0 - 10 * number}})
    shock = Shock(since=days[2], until=days[3])
    made = replace(SMALL, scenarios={"then": shock})
    if how == "zone":
        made = replace(made, zone=new_york)
    found = run(events, made, restart=1)["stress"]
    assert [r["return"] for r in found] == pytest.approx([70 / 90 - 1] * 2)


def test_a_historical_scenario_whose_sessions_were_never_seen_says_nothing():
    made = replace(
        SMALL, scenarios={"then": Shock(since=date(2008, 9, 15), until=date(2008, 11, 20))}
    )
    assert "stress" not in run([portfolio("P", {"A": 1.0}), *closes(1, 4)], made)


@pytest.mark.parametrize(("first", "listed", "told"), [(0, 0, True), (4, 0, False), (0, 4, False)])
def test_a_period_that_was_seen_in_part_says_nothing(first, listed, told):
    """The recording begins within it, or an asset does."""
    days = [datetime.fromtimestamp(close_ns(i) // 10**9, UTC).date() for i in range(9)]
    made = replace(SMALL, scenarios={"then": Shock(since=days[3], until=days[5])})
    known = [
        event | {"prices": {s: p for s, p in event["prices"].items() if s == "A" or i >= listed}}
        for i, event in enumerate(closes(1, 9))
        if i >= first
    ]
    found = run([portfolio("P", {"A": 0.5, "B": 0.5}, first), *known], made)
    assert ("stress" in found) == told
    assert "stress" in run([portfolio("P", {"A": 1.0}, first), *known], made) or first
