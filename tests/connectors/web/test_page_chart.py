"""The chart: its band, what left it, gaps, and history behind it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from state.clock import NS, now_ns
from tests.connectors.postgres.writing import block, partition
from tests.connectors.web.browsing import chromium, eventually, require_chromium, visit
from tests.connectors.web.page_rig import Market, bar_at, page_of, running

BARS = 2400
HOLE = range(200, 210)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium; each test has a context of its own."""
    require_chromium()
    with chromium() as started:
        yield started


def test_a_bar_that_left_the_band_of_its_own_forecast_is_marked_once_a_side(redis_url, browser):
    """The band of a bar is around the close before, by the forecast made at that close."""
    found = """async () => {
      const { band, breaches, places, gaps } = await import("/static/market/exceptions.js");
      const bar = (n, low, high, close) =>
        ({ startMs: n * 1000, endMs: (n + 1) * 1000, low, high, close });
      const bars = [
        bar(0, 99, 101, 100), bar(1, 98.5, 99.5, 99), bar(2, 97, 101, 100),
        bar(3, 99.5, 100.5, 100), bar(6, 100, 100, 100), bar(60, 100, 100, 100),
      ];
      const vars = new Map([[1000, 0.01], [2000, 0.01], [3000, null], [4000, 0.01]]);
      const zone = band(bars, vars);
      return {
        of: zone.map((each) => [each.startMs, each.lower, each.upper]),
        left: breaches(zone).map((each) => [each.startMs, each.side]),
        short: places(bars[3], bars[4], 1000), long: places(bars[4], bars[5], 1000).length,
        gaps: gaps(bars, 1000), next: band(bars, new Map([[61000, 0.01]]))[0].startMs,
      };
    }"""
    with page_of(redis_url) as address, visit(browser, address) as seen:
        told = seen.page.evaluate(found)
    assert told["of"] == [[1000, 99, 101], [2000, 98.01, 99.99], [6000, 99, 101]]
    assert told["left"] == [[1000, "below"], [2000, "below"], [2000, "above"]]
    assert told["short"] == [4000, 5000]
    assert told["long"] == 3
    assert told["gaps"] == {"count": 2, "missing": 2 + 53}
    assert told["next"] == 61000, "the bar that is not closed yet has a band"


def test_scrolling_back_reads_earlier_pages_and_shows_the_gap(redis_url, database, browser):
    market = Market(redis_url)
    end_ns = now_ns() // NS * NS
    rows = [bar_at("A", end_ns - (n + 1) * NS) for n in reversed(range(BARS)) if n not in HOLE]
    sink = partition(database)
    sink.write_batch([block("bars", rows)])
    sink.snapshot()
    sink.close()
    with (
        page_of(redis_url, database) as address,
        running(market, ["A"]),
        visit(browser, address) as seen,
    ):
        told = seen.page.get_by_text(re.compile(r"^[\d,]+ bars since \d\d"))

        def bars() -> int:
            return int(told.inner_text().split()[0].replace(",", "")) if told.count() else 0

        eventually(lambda: bars() > 500)
        gaps = re.search(r"gaps? without a trade, ([\d,]+) bars long", told.inner_text())
        assert gaps is not None
        assert int(gaps[1].replace(",", "")) >= len(HOLE)
        assert bars() < 1000, "no more than a page is read before somebody asks"
        box = seen.page.locator(".chart").first.bounding_box()
        assert box is not None
        middle = box["y"] + box["height"] / 2

        def pulled() -> bool:
            seen.page.mouse.move(box["x"] + 20, middle)
            seen.page.mouse.down()
            seen.page.mouse.move(box["x"] + box["width"] - 100, middle, steps=4)
            seen.page.mouse.up()
            return bars() > BARS - len(HOLE) - 5

        eventually(pulled)
