"""The chart: its band, what left it, gaps, and history behind it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
import pytest
import redis
from playwright.sync_api import Browser, Locator, expect

from flows.servers import Postgres
from state.clock import DAY_NS, NS, now_ns
from tests.connectors.web.browsing import (
    Visit,
    chromium,
    eventually,
    hurried,
    later,
    require_chromium,
    visit,
)
from tests.connectors.web.keys import ED, jwks, token
from tests.connectors.web.page_rig import (
    Market,
    bar_at,
    corrected,
    keep,
    page_of,
    risk_at,
    running,
)

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
    end_ns = now_ns() // NS * NS
    keep(
        database,
        bars=[bar_at("A", end_ns - (n + 1) * NS) for n in reversed(range(BARS)) if n not in HOLE],
    )
    with (
        page_of(redis_url, database) as address,
        running(Market(redis_url), ["A"]),
        visit(browser, address) as seen,
    ):
        eventually(lambda: _bars(seen) > 500)
        assert _missing(seen) >= len(HOLE)
        assert _bars(seen) < 1000, "no more than a page is read before somebody asks"
        _pull(seen, lambda: _bars(seen) > BARS - len(HOLE) - 5)


def _bars(seen: Visit) -> int:
    """Return how many bars the chart says that it holds."""
    told = seen.page.get_by_text(re.compile(r"^[\d,]+ bars since"))
    return int(told.inner_text().split()[0].replace(",", "")) if told.count() else 0


def _held(seen: Visit, bars: int) -> None:
    """Wait until the chart holds so many bars."""
    eventually(lambda: _bars(seen) == bars)


def _missing(seen: Visit) -> int:
    """Return how many bars the chart says are missing among those that it holds."""
    told = seen.page.get_by_text(re.compile(r"^[\d,]+ bars since")).inner_text()
    found = re.search(r"gaps without a trade, ([\d,]+) bars long", told)
    return int(found[1].replace(",", "")) if found else 0


@contextmanager
def _away(postgres: Postgres, dsn: str) -> Iterator[None]:
    """Let nobody connect to a database."""
    name = dsn.rpartition("/")[2]
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
        )
        yield
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


def _past(seconds: range, symbol: str = "A") -> dict[str, list[dict[str, Any]]]:
    """Return bars and forecasts that history has: of so many seconds before now."""
    end_ns = now_ns() // NS * NS
    starts = [end_ns - n * NS for n in reversed(seconds)]
    return {
        "bars": [bar_at(symbol, start) for start in starts],
        "risk": [risk_at(symbol, start + NS) for start in starts],
    }


def test_history_that_is_written_long_after_the_page_was_opened_is_read(
    redis_url, database, browser
):
    keep(database, **_past(range(10), "B"))
    with (
        page_of(redis_url, database) as address,
        running(Market(redis_url), ["A"]),
        hurried(browser, address) as seen,
    ):
        eventually(lambda: _bars(seen) > 0)
        for _ in range(8):
            later(seen)
        assert _bars(seen) < 300
        keep(database, **_past(range(600)))

        def filled() -> bool:
            later(seen)
            return _bars(seen) > 500

        eventually(filled)


def test_history_that_was_behind_leaves_no_hole(redis_url, database, browser):
    """It ends 20 minutes ago, holds more than one answer does, and then catches up."""
    keep(database, **_past(range(1200, 4200)))
    with (
        page_of(redis_url, database) as address,
        running(Market(redis_url), ["A"]),
        hurried(browser, address) as seen,
    ):
        eventually(lambda: _bars(seen) > 500)
        assert 1150 < _missing(seen) < 1400, "the newest of what there is, not the oldest"
        keep(database, **_past(range(1400)))  # time has gone on

        def filled() -> bool:
            later(seen)
            return _missing(seen) < 60  # a busy machine writes no live bar in some seconds

        eventually(filled)
        assert _bars(seen) > 1200


def test_history_that_was_away_is_read_once_it_is_back(redis_url, database, postgres, browser):
    keep(database, **_past(range(BARS)))
    note = re.compile("No history: ")
    with page_of(redis_url, database) as address, running(Market(redis_url), ["A"]):
        with _away(postgres, database):
            stack = ExitStack()
            seen = stack.enter_context(hurried(browser, address))
            expect(seen.page.get_by_text(note)).to_be_visible()
        with stack:

            def healed(bars: int) -> bool:
                later(seen)
                return _bars(seen) > bars and seen.page.get_by_text(note).count() == 0

            eventually(lambda: healed(500))
            assert _bars(seen) < 1500
            with _away(postgres, database):
                _pull(seen, lambda: seen.page.get_by_text(note).count() > 0)
            eventually(lambda: healed(500))
            _pull(seen, lambda: _bars(seen) > BARS - 5)


def test_a_reset_of_the_feed_keeps_history_in_the_chart(redis_url, database, browser):
    keep(database, **_past(range(500)))
    with page_of(redis_url, database) as address, visit(browser, address) as seen:
        with running(Market(redis_url), ["A"]):
            eventually(lambda: _bars(seen) > 400)
        with redis.Redis.from_url(redis_url) as server:
            server.flushdb()
        market = Market(redis_url)
        market.second(["A"], price=250.0)  # what it told before no longer holds
        eventually(lambda: seen.figure("Last") == "250.00")
        eventually(lambda: _bars(seen) > 400)


def test_what_the_feed_left_out_is_read_from_history(redis_url, database, browser):
    """Redis no longer had it when the page came back: the feed says so, and goes on behind it."""
    end_ns = now_ns() // NS * NS
    keep(database, bars=[bar_at("A", end_ns - n * NS) for n in range(200, 300)])
    before = """async () => {
      const { Api } = await import("/static/api.js");
      const { Feed } = await import("/static/feed.js");
      const { History } = await import("/static/market/history.js");
      const feed = new Feed("ws://nowhere", "");
      const history = new History({ api: new Api(null), feed }, () => {});
      history.show("A", "1s");
      const [channel] = feed.subscriptions.keys();
      feed.take({ type: "subscribed", asked: channel, channel });
      const take = (bar) =>
        feed.take({ type: "snapshot", channel, position: "1:1-1", last: true, records: [bar] });
      globalThis.seen = { feed, history, channel, take };
    }"""
    behind = """(bar) => {
      const { feed, take, channel } = globalThis.seen;
      feed.take({ type: "reset", channel, reason: "trimmed" });
      take(bar);
    }"""
    told = [
        bar | {"start_ns": str(bar["start_ns"])}
        for bar in (bar_at("A", end_ns - n * NS) for n in (200, 10))
    ]
    with page_of(redis_url, database) as address, hurried(browser, address) as seen:
        held = "globalThis.seen.history.bars.length"
        seen.page.evaluate(before)
        seen.page.evaluate("(bar) => globalThis.seen.take(bar)", told[0])
        eventually(lambda: seen.page.evaluate(held) == 100)
        for _ in range(3):  # until history has the feed's first bar
            later(seen)
        keep(database, bars=[bar_at("A", end_ns - n * NS) for n in range(10, 200)])
        seen.page.evaluate(behind, told[1])

        def read() -> bool:
            later(seen)
            return bool(seen.page.evaluate(held) == 290)

        eventually(read)


def _pull(seen: Visit, until: Callable[[], bool]) -> None:
    """Pull the chart to earlier times until something holds."""
    box = seen.page.locator(".chart").first.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2

    def pulled() -> bool:
        seen.page.mouse.move(box["x"] + 20, middle)
        seen.page.mouse.down()
        seen.page.mouse.move(box["x"] + box["width"] - 100, middle, steps=4)
        seen.page.mouse.up()
        return until()

    eventually(pulled)


def _table(seen: Visit) -> Locator:
    """Open the table of bars; return its rows, the newest first."""
    details = seen.page.get_by_role("group").filter(has_text="Bars as a table").first
    details.locator("summary").click()
    return details.locator("tbody tr")


def test_a_corrected_bar_is_redrawn_as_it_comes(redis_url, browser):
    market = Market(redis_url)
    end_ns = now_ns() // NS * NS
    with page_of(redis_url) as address, visit(browser, address) as seen:
        for ago in (3, 2, 1, 0):
            market.second(["A"], end_ns - ago * NS)
            _held(seen, 4 - ago)
        rows = _table(seen)
        expect(rows).to_have_count(4)
        expect(rows.filter(has_text="corrected")).to_have_count(0)
        expect(seen.page.get_by_text(re.compile("^Band"))).to_contain_text(
            "0 (0.0 %) left it below"
        )
        newest, middle = bar_at("A", end_ns - NS), bar_at("A", end_ns - 3 * NS)
        market.write(
            "corrected_bars",
            [corrected(newest, close=100.25), corrected(middle, low=95.0)],
            ["", ""],
        )
        eventually(lambda: seen.figure("Last") == "100.25")
        watched = seen.page.get_by_role("grid", name="Watchlist").locator("tbody tr")
        expect(watched.filter(has_text="A").locator("td").first).to_have_text("100.25")
        expect(seen.page.get_by_text(re.compile("^Band"))).to_contain_text(
            re.compile("1 .* left it below")
        )
        expect(rows.filter(has_text="corrected")).to_have_count(2)
        expect(rows.nth(2)).to_contain_text("95.00")
        # Of the middle one all trades are cancelled in the end; an older version says nothing.
        void = corrected(middle, 3, trades=0, volume=0.0)
        market.write("corrected_bars", [void, corrected(middle, 2, low=1.0)], ["", ""])
        expect(rows.nth(2)).to_contain_text("–")
        expect(rows.nth(2).locator("td").last).to_have_attribute(
            "title", re.compile("no trade is left")
        )
        eventually(lambda: _missing(seen) == 1)
        assert _bars(seen) == 3
        # And of the newest: the last price is the one before it.
        market.write("corrected_bars", [corrected(newest, 3, trades=0, volume=0.0)], [""])
        eventually(lambda: seen.figure("Last") == "100.00")


def test_bars_of_history_are_shown_as_they_were_corrected(redis_url, database, browser):
    end_ns = now_ns() // NS * NS
    first = bar_at("A", end_ns - 20 * NS)
    keep(
        database,
        bars=[bar_at("A", end_ns - n * NS) for n in range(20, 1, -1)],
        corrected_bars=[corrected(first, 2, high=111.0), corrected(first, 3, high=123.0)],
    )
    market = Market(redis_url)
    market.second(["A"], end_ns)
    with page_of(redis_url, database) as address, visit(browser, address) as seen:
        eventually(lambda: _bars(seen) == 20)
        oldest = _table(seen).last
        expect(oldest).to_contain_text("123.00")
        expect(oldest).to_contain_text("corrected")


def test_without_corrected_bars_nothing_is_said(redis_url, browser, tmp_path):
    """A token that may not read them, and no history: bars are as they were told."""
    keys = jwks(tmp_path / "keys.json", ED)
    with (
        page_of(redis_url, jwks=keys) as address,
        running(Market(redis_url), ["A"]),
        visit(browser, address) as seen,
    ):
        dialog = seen.page.get_by_role("dialog")
        outputs = ("bars", "risk", "nbbo", "signals", "features", "gaps")
        dialog.get_by_label("Token").fill(
            token(scope=" ".join(f"read:market.{o}" for o in outputs))
        )
        dialog.get_by_role("button", name="Connect").click()
        eventually(lambda: _bars(seen) > 3)
        expect(_table(seen).first).to_contain_text("100.00")
        assert "corrected" not in seen.page.locator("#panel-market").inner_text()


def test_a_bar_that_a_session_cuts_ends_where_its_forecast_was_made(redis_url, browser):
    """The last bar of 1h of New York's session has half an hour."""
    day_ns = (now_ns() // DAY_NS - 2) * DAY_NS
    start_ns, close_ns = (day_ns + n * 1800 * NS for n in (41, 42))
    market = Market(redis_url)
    market.write("bars", [bar_at("A", start_ns, interval="1h")], ["A|1h"])
    market.write("risk", [risk_at("A", close_ns, "1h")], ["symbol:A|ewma-normal|1h|0.99|1"])
    with page_of(redis_url) as address, visit(browser, address) as seen:
        age = seen.page.locator("#panel-market .figures .age").first
        expect(age).to_have_text(re.compile(r"^\d{4}-\d\d-\d\d 21:00:00$"))
        told = seen.page.evaluate("""async () => {
          const { band, endBars } = await import("/static/market/exceptions.js");
          const bar = (startMs) => ({ startMs, low: 99, high: 101, close: 100 });
          const ends = (starts, times) => {
            const bars = starts.map(bar);
            endBars(bars, 1000, Float64Array.from(times));
            return bars.map((each) => each.endMs);
          };
          const bars = [bar(0), bar(1000), bar(5000)];
          endBars(bars, 1000, Float64Array.from([1000, 1500]));
          return {
            forecast: ends([0, 1000, 5000], [1000, 1500]), next: ends([0, 400], []),
            whole: ends([0, 5000], [7000]),
            band: band(bars, new Map([[1500, 0.01]])).map((each) => each.startMs),
          };
        }""")
    assert told["forecast"] == [1000, 1500, 6000]
    assert told["next"] == [400, 1400]
    assert told["whole"] == [1000, 6000]
    assert told["band"] == [5000], "the forecast of the cut bar is in force for the next one"
