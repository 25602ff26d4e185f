"""What the watchlist and the tab Risk take from history, however late it comes."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, expect

from state.clock import DAY_NS, NS, now_ns
from tests.connectors.web.browsing import (
    Visit,
    chromium,
    eventually,
    hurried,
    later,
    require_chromium,
)
from tests.connectors.web.page_rig import (
    Market,
    bar_at,
    corrected,
    keep,
    page_of,
    risk_at,
    running,
)

PREVIOUS = "Since the last price before this day (UTC)"
FIRST = "Since the first price of this day (UTC) that is known"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium; each test has a context of its own."""
    require_chromium()
    with chromium() as started:
        yield started


@pytest.fixture(autouse=True)
def _well_inside_a_day() -> None:
    """Wait for the minute around midnight (UTC) to be over: these tests write bars of today."""
    begin_s, end_s = 60, 86_400 - 240
    second = now_ns() // NS % 86_400
    if not begin_s <= second < end_s:
        time.sleep((begin_s - second) % 86_400)


def _change(seen: Visit, symbol: str) -> Locator:
    rows = seen.page.get_by_role("grid", name="Watchlist").locator("tbody tr")
    return rows.filter(has=seen.page.get_by_role("rowheader", name=symbol)).locator("td").nth(1)


def _now(symbols: list[str]) -> list[dict[str, Any]]:
    """Return bars of history from before the page was opened until after it."""
    end_ns = now_ns() // NS * NS
    return [bar_at(s, end_ns + n * NS) for s in symbols for n in range(-30, 60)]


def test_the_change_is_counted_from_the_last_price_before_the_day(redis_url, database, browser):
    """Five days ago for one symbol, more than a week ago for another."""
    day_ns = now_ns() // DAY_NS * DAY_NS
    before = day_ns - 5 * DAY_NS + 3600 * NS
    keep(
        database,
        bars=[
            *[bar_at("A", before + n * NS, 50.0 + n) for n in range(31)],
            bar_at("B", day_ns - 8 * DAY_NS, 80.0),
            *_now(["A", "B"]),
        ],
    )
    with (
        page_of(redis_url, database) as address,
        running(Market(redis_url), ["A", "B"]),
        hurried(browser, address) as seen,
    ):

        def counted(text: str) -> bool:
            later(seen)
            return _change(seen, "A").inner_text() == text

        eventually(lambda: counted("+25.00 %"))
        expect(_change(seen, "A")).to_have_attribute("title", PREVIOUS)
        expect(_change(seen, "B")).to_have_text("0.00 %")
        expect(_change(seen, "B")).to_have_attribute("title", FIRST)


def test_the_change_is_counted_from_a_close_as_it_was_corrected(redis_url, database, browser):
    """The last one is corrected as one looks, and then cancelled: the one before it counts."""
    day_ns = now_ns() // DAY_NS * DAY_NS
    prior, last = (bar_at("A", day_ns - n * 3600 * NS, 80.0) for n in (3, 2))
    market = Market(redis_url)
    keep(database, bars=[prior, last, *_now(["A"])], corrected_bars=[corrected(last, close=50.0)])
    market.second(["A"])
    with page_of(redis_url, database) as address, hurried(browser, address) as seen:

        def counted(text: str) -> bool:
            market.second(["A"])
            later(seen)
            return _change(seen, "A").inner_text() == text

        eventually(lambda: counted("+100.00 %"))
        market.write("corrected_bars", [corrected(last, 3, close=200.0)], [""])
        expect(_change(seen, "A")).to_have_text("−50.00 %")
        market.write("corrected_bars", [corrected(last, 4, trades=0, volume=0.0)], [""])
        eventually(lambda: counted("+25.00 %"))


def test_the_first_price_of_the_day_is_taken_from_history_that_comes_late(
    redis_url, database, browser
):
    keep(database, bars=[bar_at("Z", now_ns() - 60 * NS)])
    with (
        page_of(redis_url, database) as address,
        running(Market(redis_url), ["A"]),
        hurried(browser, address) as seen,
    ):
        expect(_change(seen, "A")).to_have_text("0.00 %")
        for _ in range(3):
            later(seen)
        day_ns = now_ns() // DAY_NS * DAY_NS
        keep(database, bars=[bar_at("A", day_ns, 80.0), *_now(["A"])])

        def counted() -> bool:
            later(seen)
            return _change(seen, "A").inner_text() == "+25.00 %"

        eventually(counted)


def test_a_symbol_that_trades_later_than_others_has_its_previous_close(
    redis_url, database, browser
):
    day_ns = now_ns() // DAY_NS * DAY_NS
    closes = [bar_at(symbol, day_ns - 3600 * NS, 80.0) for symbol in "AB"]
    keep(database, bars=[*closes, *_now(["A"])])
    market = Market(redis_url)
    with (
        page_of(redis_url, database) as address,
        running(market, ["A"]),
        hurried(browser, address) as seen,
    ):

        def counted(symbol: str) -> bool:
            later(seen)
            return _change(seen, symbol).inner_text() == "+25.00 %"

        eventually(lambda: counted("A"))
        market.second(["B"])
        expect(_change(seen, "B")).to_have_text("0.00 %")
        eventually(lambda: counted("B"))


def _session(n: int) -> dict[str, Any]:
    """Return the profit and loss of a portfolio, ``n`` days ago."""
    at_ns = (now_ns() // DAY_NS - n) * DAY_NS
    return {
        "id": f"portfolio:desk|{at_ns}", "ts_ns": at_ns, "scope": "portfolio:desk",
        "return": -0.02, "pnl": -2.0, "value": 100.0, "equity": 100.0,
        "exceptions": {"historical|0.99": True},
    }  # fmt: skip


def test_the_sessions_of_a_portfolio_are_read_from_history_that_comes_late(
    redis_url, database, browser
):
    keep(database, bars=[bar_at("A", now_ns())])
    market = Market(redis_url)
    figure = risk_at("A", now_ns()) | {"scope": "portfolio:desk", "interval": "session"}
    market.write("risk", [figure], ["portfolio:desk|ewma-normal|session|0.99|1"])
    market.write("pnl", [_session(1)], ["portfolio:desk"])
    with page_of(redis_url, database) as address, hurried(browser, address) as seen:
        seen.page.get_by_role("tab", name="Risk").click()
        rows = seen.page.get_by_role("region", name="Profit and loss by session")
        expect(rows.locator("tbody tr")).to_have_count(1)
        keep(database, pnl=[_session(n) for n in range(1, 21)])

        def read() -> bool:
            later(seen)
            return rows.locator("tbody tr").count() == 20

        eventually(read)
        expect(rows.locator("tbody tr").first).to_contain_text(re.compile(r"exception"))


def test_a_portfolio_without_sessions_is_asked_for_once(redis_url, database, browser):
    keep(database, pnl=[_session(1) | {"id": "other", "scope": "portfolio:other"}])
    market = Market(redis_url)
    market.second(["A"])
    figure = risk_at("A", now_ns()) | {"scope": "portfolio:desk", "interval": "session"}
    market.write("risk", [figure], ["portfolio:desk|ewma-normal|session|0.99|1"])
    asked = []
    with page_of(redis_url, database) as address, hurried(browser, address) as seen:
        seen.page.on("request", lambda request: asked.append(request.url))
        seen.page.get_by_role("tab", name="Risk").click()
        expect(seen.page.get_by_text("No session of this portfolio has closed")).to_be_visible()
        for _ in range(6):
            market.second(["A"])
            later(seen)
    assert 1 <= len([url for url in asked if "/history/market/pnl" in url]) <= 2
