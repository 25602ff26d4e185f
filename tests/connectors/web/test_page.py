"""The page in a browser, over a running demo."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event

import orjson
import psutil  # type: ignore[import-untyped]  # it ships no types
import pytest
from playwright.sync_api import Browser, Locator, Response, expect

from flows.engine.systems import declared_outputs
from flows.market.demo_ticks import SYMBOLS
from state.clock import now_ns
from tests.connectors.web.browsing import (
    Site,
    Visit,
    chromium,
    eventually,
    require_chromium,
    site,
    visit,
)
from tests.connectors.web.keys import ED, jwks, token

LIVE = "document.documentElement.dataset.feed === 'live'"
CHARTS = "document.querySelectorAll('.panel:not([hidden]) .chart:has(canvas)')"
CHARTED = f"{CHARTS}.length >= 1"
FILLED = "document.querySelectorAll('.panel:not([hidden]) table tbody tr').length > 3"
CONTRAST = Path(__file__).with_name("contrast.js").read_text()
Open = Callable[..., Visit]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The demo, for all tests of the module."""
    require_chromium()
    with site(tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium; each test has a context of its own."""
    require_chromium()
    with chromium() as started:
        yield started


@pytest.fixture
def opened(shown: Site, browser: Browser) -> Iterator[Open]:
    """``opened(**context)`` opens the page with its values live; at the end, nothing went wrong."""
    visits = []
    with ExitStack() as stack:

        def make(**context: object) -> Visit:
            made = stack.enter_context(visit(browser, shown.address, **context))
            visits.append(made)
            made.until(f"{LIVE} && {CHARTED}")
            return made

        yield make
        assert [fault for each in visits for fault in each.faults] == []


@pytest.fixture
def picture() -> Callable[[Visit, str], None]:
    """``picture(visit, name)`` leaves a screenshot where HEADRACE_SCREENSHOTS says, if it does."""
    directory = os.environ.get("HEADRACE_SCREENSHOTS")

    def take(seen: Visit, name: str) -> None:
        if directory:
            seen.page.wait_for_timeout(3000)  # so that the charts have something to show
            seen.page.screenshot(path=Path(directory) / f"{name}.png", full_page=True)

    return take


def test_values_change_while_one_looks(opened, picture):
    seen = opened()
    seen.until("document.querySelectorAll('section table tbody tr').length > 5")
    before = seen.figure("Last")
    assert re.fullmatch(r"[\d,]+\.\d+", before)
    eventually(lambda: seen.figure("Last") != before)
    eventually(lambda: seen.figure("VaR of the next bar").endswith("%"))
    expect(
        seen.page.get_by_text(re.compile(r"Band: VaR by ewma-normal, 99 %, 1 × 1s"))
    ).to_be_visible()
    picture(seen, "market-light")


def _row(seen: Visit, symbol: str) -> Locator:
    return seen.page.get_by_role("grid", name="Watchlist").locator("tbody tr", has_text=symbol)


def test_a_symbol_of_the_watchlist_drives_the_rest(opened):
    seen = opened()
    _row(seen, "SIM0005").click()
    expect(seen.page.get_by_role("heading", name="SIM0005")).to_be_visible()
    bars = seen.page.get_by_role("group").filter(has_text="Bars as a table").first
    bars.locator("summary").click()
    eventually(lambda: bars.locator("tbody tr").count() > 1)
    interval = seen.page.get_by_label("Interval", exact=True)
    interval.select_option("10s")
    expect(
        seen.page.get_by_text("No band: no VaR is made of bars of 10s (it is of 1s).")
    ).to_be_visible()
    eventually(lambda: bars.locator("tbody th").first.inner_text().endswith("0"))
    interval.select_option("1s")
    expect(seen.page.get_by_text(re.compile("^Band: VaR"))).to_be_visible()


def test_the_watchlist_is_sorted_filtered_and_used_by_the_keyboard(opened):
    seen = opened()
    names = seen.page.get_by_role("grid", name="Watchlist").locator("tbody th:visible")
    eventually(lambda: names.count() == SYMBOLS)
    seen.page.get_by_role("button", name="Symbol").click()
    expect(names.first).to_have_text("SIM0019")
    expect(seen.page.get_by_role("columnheader", name="Symbol")).to_have_attribute(
        "aria-sort", "descending"
    )
    seen.page.get_by_label("Filter symbols").fill("1")
    eventually(lambda: all("1" in each for each in names.all_inner_texts()))
    rows = seen.page.get_by_role("region", name="Watchlist: arrows choose")
    rows.focus()
    seen.page.keyboard.press("Home")
    seen.page.keyboard.press("ArrowDown")
    expect(_row(seen, "SIM0018")).to_have_attribute("aria-selected", "true")
    expect(seen.page.get_by_role("heading", name="SIM0018")).to_be_visible()


def test_the_chart_begins_with_what_history_has(opened):
    seen = opened()
    interval = seen.page.get_by_label("Interval", exact=True)
    answers: list[Response] = []

    def heard(answer: Response) -> None:
        answers.append(answer)

    seen.page.on("response", heard)
    interval.select_option("10s")
    interval.select_option("1s")

    def read() -> int:
        seen.page.wait_for_timeout(1)  # Playwright hands over answers only while a call of it runs
        of_bars = [a for a in answers if re.search("market/bars.*symbol=.*interval=1s", a.url)]
        return max((len(each.json()["records"]) for each in of_bars if each.ok), default=0)

    # It is written some seconds behind the feed, so the page asks more than once.
    eventually(read)
    told = seen.page.get_by_text(re.compile(r"^[\d,]+ bars since \d\d:"))
    eventually(lambda: int(told.inner_text().split()[0].replace(",", "")) >= read())


def test_the_tab_risk_shows_p_and_l_backtests_and_weights(opened, picture):
    seen = opened()
    seen.page.get_by_role("tab", name="Risk").click()
    choice = seen.page.get_by_label("Portfolio", exact=True)
    eventually(lambda: {"core", "leaders"} <= set(choice.locator("option").all_inner_texts()))
    choice.select_option("leaders")
    names = seen.page.get_by_role("region", name="component VaR").locator("tbody th")
    eventually(lambda: sorted(names.all_inner_texts()) == ["SIM0000", "SIM0001", "SIM0002"])
    choice.select_option("core")
    card = seen.page.get_by_role("region", name="target weights")
    eventually(lambda: card.locator("tbody tr").count() == SYMBOLS)
    shares = [
        float(each.rstrip(" %")) for each in card.locator("tbody td:nth-child(2)").all_inner_texts()
    ]
    assert sum(shares) == pytest.approx(100, abs=0.01)
    assert max(shares) == pytest.approx(15, abs=0.01)
    figure = seen.page.get_by_label("Figure", exact=True)
    eventually(lambda: figure.locator("option").count() >= 5)
    expect(seen.page.get_by_text(re.compile(r"^min-variance by "))).to_be_visible()
    sessions = seen.page.get_by_role("region", name="Profit and loss by session")
    eventually(lambda: sessions.locator("tbody tr").count() == 60)
    seen.page.get_by_label("Forecast", exact=True).select_option(label="ewma-normal, 99 %")
    eventually(lambda: "expected 1.0 %" in seen.figure("Exceptions"))
    zones = seen.page.get_by_role("region", name="Backtests by method").locator("tbody tr")
    expect(zones.filter(has_text="ewma-normal, 99 %")).to_contain_text(
        re.compile("green|yellow|red")
    )
    picture(seen, "risk-light")


def test_the_kill_switch_halts_and_resume_takes_it_back(opened, picture):
    seen = opened()
    badge = seen.page.locator("#switches .badge")
    expect(badge).to_have_text("ACTIVE")
    expect(seen.page).to_have_title("ACTIVE · Headrace")
    seen.page.get_by_role("button", name="Kill trading").click()
    dialog = seen.page.get_by_role("dialog")
    expect(dialog).to_contain_text("Halt trading?")
    confirm = dialog.get_by_role("button", name="Kill")
    expect(confirm).to_be_disabled()
    dialog.get_by_label("Reason").fill("a test of the switch")
    expect(confirm).to_be_disabled()
    picture(seen, "kill")
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_be_hidden()
    seen.page.get_by_role("button", name="Kill trading").click()
    dialog.get_by_label("Reason").fill("a test of the switch")
    dialog.get_by_label("Type *").fill("*")
    confirm.click()
    expect(badge).to_have_text("HALTED")
    expect(seen.page).to_have_title("HALTED · Headrace")
    assert (seen.page.locator("link[rel=icon]").get_attribute("href") or "").endswith(
        "icon-bad.svg"
    )
    badge.click()
    everyone = seen.page.get_by_role("row").filter(has_text="All accounts")
    expect(everyone).to_contain_text("HALTED")
    expect(everyone).to_contain_text("a test of the switch")
    picture(seen, "halted")
    everyone.get_by_role("button", name="Resume").click()
    dialog.get_by_label("Reason").fill("the test is over")
    dialog.get_by_label("Type *").fill("*")
    dialog.get_by_role("button", name="Resume").click()
    expect(everyone).to_contain_text("ACTIVE")


def test_an_account_that_is_not_known_is_made_known_by_a_second_step(opened, picture):
    seen = opened()
    expect(seen.page.locator("#switches .badge")).to_have_text("ACTIVE")
    seen.page.get_by_role("button", name="Kill trading").click()
    dialog = seen.page.get_by_role("dialog")
    confirm = dialog.get_by_role("button", name="Kill")
    dialog.get_by_label("Whose").select_option(label="Another account …")
    dialog.get_by_label("Reason").fill("before its first order")
    expect(confirm).to_be_disabled()
    dialog.get_by_label("Its name").fill(" New Desk ")
    picture(seen, "kill-another")
    confirm.click()
    # The flow has refused it; the page says how it can be had.
    expect(dialog).to_contain_text("trading knows no such account")
    expect(dialog.get_by_label("Reason")).to_have_value("before its first order")
    known = dialog.get_by_role("checkbox", name="make it known")
    expect(known).not_to_be_checked()
    expect(confirm).to_be_disabled()
    picture(seen, "kill-unknown")
    known.check()
    confirm.click()
    expect(seen.page.locator(".answer")).to_contain_text("kill of New Desk is on its way")
    seen.page.get_by_role("tab", name="Orders").click()
    states = seen.page.get_by_role("region", name="Trading state by account")
    row = states.get_by_role("row").filter(has_text="New Desk")
    expect(row).to_contain_text("HALTED")
    row.get_by_role("button", name="Resume").click()
    dialog.get_by_label("Reason").fill("the test is over")
    dialog.get_by_role("button", name="Resume").click()
    expect(row).to_contain_text("ACTIVE")
    # What the browser says of the refusal is no fault of the page.
    seen.faults[:] = [each for each in seen.faults if "404" not in each]


def test_orders_are_counted_by_reason_and_listed(shown, opened, picture):
    seen = opened()
    seen.page.get_by_role("tab", name="Orders").click()
    faults: list[object] = []
    producer = shown.world.cluster().producer(
        lambda error, _: faults.append(error) if error else None, faults.append
    )
    for number, symbol in enumerate(["SIM0001", "NOWHERE"]):
        order = {
            "type": "order", "account": "page", "order_id": f"page-{number}", "symbol": symbol,
            "side": "buy", "quantity": 1, "price": None, "ts_ns": now_ns(),
        }  # fmt: skip
        producer.produce("market.orders", orjson.dumps(order))
    producer.flush(60)
    assert faults == []
    blotter = seen.page.get_by_role("region", name="Decisions, newest first").locator("tbody tr")
    expect(blotter.filter(has_text="page-0")).to_contain_text("accept")
    expect(blotter.filter(has_text="page-1")).to_contain_text("UNKNOWN_SYMBOL")
    reasons = seen.page.get_by_role("region", name="Decisions by reason").locator("tbody tr")
    expect(reasons.filter(has_text="UNKNOWN_SYMBOL")).to_contain_text("reject")
    seen.page.get_by_label("Decision", exact=True).select_option("accept")
    expect(blotter.filter(has_text="page-1")).to_have_count(0)
    limits = seen.page.get_by_role("region", name="Limits used, the fullest first").locator("tr")
    held = limits.filter(has_text="page").filter(has_text="Position in SIM0001")
    expect(held).to_contain_text("0.0 %")
    picture(seen, "orders-light")


def test_health_tells_of_workers_and_dead_letters_are_sent_again(opened, picture):
    seen = opened()
    seen.page.get_by_role("tab", name="Health").click()
    eventually(lambda: seen.figure("Workers ready") == "4 of 4")
    eventually(lambda: seen.figure("Throughput").endswith("/s"))
    workers = seen.page.get_by_role("region", name="Workers").locator("tbody tr")
    expect(workers).to_have_count(4)
    expect(workers.filter(has_text="market 0")).to_contain_text("Ready")
    names = sorted(workers.locator("th").all_inner_texts())
    assert names == ["history 0", "market 0", "models 0", "trading 0"]
    latency = "Latency histogram of the last minute"
    eventually(lambda: seen.page.get_by_role("region", name=latency).locator("tr").count() > 3)
    letters = seen.page.get_by_role("region", name="Dead letters").locator("tbody tr")

    def some() -> bool:
        seen.page.get_by_role("button", name="Refresh").click()
        seen.page.wait_for_timeout(500)
        return bool(letters.count())

    eventually(some)
    # By its coordinates: letters that come in the meantime are listed above it.
    coordinates = letters.first.locator("td").nth(3).inner_text()
    letter = letters.filter(has_text=coordinates)
    assert letter.locator("td").nth(2).inner_text(), "the reason"
    letter.get_by_role("button").click()
    # It reads the topic of dead letters and waits for the broker's acknowledgement.
    expect(letter.get_by_role("button")).to_have_text("Sent")
    picture(seen, "health-light")


def test_the_records_of_any_output_are_shown_as_they_come(opened):
    seen = opened()
    seen.page.get_by_role("tab", name="Outputs").click()
    choice = seen.page.get_by_label("Output", exact=True)
    names = [output.topic for output in declared_outputs()]
    assert choice.locator("option").all_inner_texts() == ["choose one", *names]
    for output, key in (("market.bars", "SIM0000"), ("market.signals", "")):
        choice.select_option(output)
        rows = seen.page.get_by_role("region", name=f"Records of {output}.").locator("tbody tr")
        expect(rows.filter(has_text=key).first).to_be_visible()
        expect(rows.first).not_to_have_text(rows.first.text_content() or "")


def test_all_is_reached_by_the_keyboard(opened):
    seen = opened()
    page = seen.page
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to content")).to_be_in_viewport()
    page.keyboard.press("Tab")
    expect(page.locator("#switches .badge")).to_be_focused()
    for name in ("Kill trading", "Resume"):
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name=name, exact=True)).to_be_focused()
    page.keyboard.press("Tab")
    market, health = (page.get_by_role("tab", name=name) for name in ("Market", "Health"))
    expect(market).to_be_focused()
    for name in ("Risk", "Orders", "Outputs", "Health"):
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("tab", name=name)).to_be_focused()
    expect(health).to_be_focused()
    expect(health).to_have_attribute("aria-selected", "true")
    expect(page.locator("#panel-market")).to_be_hidden()
    expect(page.locator("#panel-health")).to_be_visible()
    page.keyboard.press("Home")
    expect(market).to_be_focused()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    # One tab only is in the order: behind it come theme and sound, then the panel.
    for stop in ("#preferences", "#preferences", "#panel-market"):
        page.keyboard.press("Tab")
        assert page.evaluate(f"document.activeElement.closest('{stop}') !== null"), stop
    kill = page.get_by_role("button", name="Kill trading")
    kill.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert page.evaluate("document.activeElement.closest('dialog') !== null")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(kill).to_be_focused()


def _choose(seen: Visit, tab: str) -> None:
    """Choose a tab, and wait until it has something to show."""
    seen.page.get_by_role("tab", name=tab).click()
    if tab == "Outputs":
        seen.page.get_by_label("Output", exact=True).select_option("market.bars")
    seen.until(FILLED if tab in ("Outputs", "Orders") else f"{CHARTED} && {FILLED}")


TABS = ("Market", "Risk", "Orders", "Outputs", "Health")
WIDE = """(width) => [...document.querySelectorAll('header *, .panel:not([hidden]) *')]
    .filter((each) => each.checkVisibility() && each.getBoundingClientRect().right > width + 1
        && !each.closest('.scroll, .chart, [role=tablist]'))
    .map((each) => each.outerHTML.slice(0, 80))"""


@pytest.mark.parametrize("width", [360, 390, 1280, 1600])
def test_no_width_is_scrolled_sideways_and_the_switches_are_in_sight(opened, picture, width):
    height = 720 if width > 1000 else 740
    seen = opened(viewport={"width": width, "height": height})
    for tab in TABS:
        _choose(seen, tab)
        picture(seen, f"{tab.lower()}-{width}")
        assert seen.page.evaluate("document.scrollingElement.scrollWidth") <= width
        assert seen.page.evaluate(WIDE, width) == []
        seen.page.mouse.wheel(0, 10_000)
        for name in ("Kill trading", "Resume"):
            button = seen.page.get_by_role("button", name=name, exact=True)
            expect(button).to_be_in_viewport(ratio=1)
    seen.page.get_by_role("tab", name="Orders").click()
    box = seen.page.get_by_role("button", name="Kill leaders", exact=True).bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= width - 12


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_both_schemes(opened, picture, scheme):
    seen = opened(color_scheme=scheme)
    page = "getComputedStyle(document.body).backgroundColor"
    red = int(re.findall(r"\d+", seen.page.evaluate(page))[0])
    assert red < 40 if scheme == "dark" else red > 220
    for tab in TABS:
        _choose(seen, tab)
        eventually(lambda: seen.page.evaluate(CONTRAST)["texts"] > 30)
        measured = seen.page.evaluate(CONTRAST)
        assert measured["faint"] == []
        picture(seen, f"{tab.lower()}-{scheme}")


def test_a_retraction_takes_its_row_away_in_the_order_of_the_records(opened):
    seen = opened()
    held = """async () => {
      const { Latest } = await import("/static/ring.js");
      const { Feed } = await import("/static/feed.js");
      const latest = new Latest(10, ["ward", "bed"]);
      const feed = new Feed("ws://nowhere", "");
      const handler = {
        snapshot: (rows) => latest.replace(rows), delta: (rows) => latest.add(rows),
        retracted: (rows) => latest.retract(rows),
      };
      feed.subscribe("c", handler);
      feed.take({ type: "subscribed", asked: "c", channel: "c" });
      const row = (bed, n) => ({ id: `${bed}/${n}`, ward: "W1", bed, n });
      const gone = (bed) => ({ id: `${bed}/x`, key: `W1|${bed}`, retracted: true });
      const seen = [];
      const take = (type, records) => {
        feed.take({ type, channel: "c", position: "1:1-1", last: true, records });
        seen.push(latest.records.map((each) => `${each.bed}${each.n}`).join(" "));
      };
      take("snapshot", [row("a", 1), row("b", 1)]);
      take("delta", [gone("a")]);
      take("delta", [row("a", 2), gone("a"), row("a", 3), gone("b"), gone("c")]);
      take("snapshot", [row("b", 4)]);
      return seen;
    }"""
    assert seen.page.evaluate(held) == ["a1 b1", "b1", "a3", "b4"]


def test_memory_is_bounded_and_times_keep_every_digit(opened):
    seen = opened()
    held = """async () => {
      const { Ring, Latest } = await import("/static/ring.js");
      const ring = new Ring(100, "ts_ns");
      const latest = new Latest(10, ["id"]);
      for (let i = 0; i < 5000; i += 1) {
        const digits = String((i * 7919) % 10007).padStart(5, "0");
        const row = { id: `r${i}`, ts_ns: `17000000000000${digits}` };
        ring.add([row, row]);
        latest.add([row]);
      }
      const times = ring.records.map((row) => BigInt(row.ts_ns));
      return [ring.records.length, ring.ids.size, latest.byKey.size,
              times.every((time, at) => at === 0 || times[at - 1] <= time)];
    }"""
    assert seen.page.evaluate(held) == [100, 100, 10, True]
    order = """async () => {
      const { compareNs, toMs, clock } = await import("/static/times.js");
      const [a, b] = ["1700000000123456788", "1700000000123456789"];
      return [compareNs(a, b), compareNs(b, a), compareNs(a, a), Number(a) === Number(b),
              clock(toMs(b), { millis: true })];
    }"""
    assert seen.page.evaluate(order) == [-1, 1, 0, True, "22:13:20.123"]


def test_a_token_is_asked_for_and_kept_for_the_tab_only(shown, browser, tmp_path, picture):
    keys = {"HEADRACE_FEED__JWKS": str(jwks(tmp_path / "keys.json", ED))}
    with (
        shown.world.gateway(shown.flows, keys) as guarded,
        ExitStack() as stack,
    ):
        guarded.wait_until_ready(Event())
        seen = stack.enter_context(visit(browser, f"http://127.0.0.1:{guarded.http_port}/"))
        dialog = seen.page.get_by_role("dialog")
        expect(dialog).to_contain_text("The feed asks for a token.")
        picture(seen, "token")
        seen.page.keyboard.press("Escape")
        seen.page.get_by_role("button", name="Enter a token").click()
        dialog.get_by_label("Token").fill("no token at all")
        dialog.get_by_role("button", name="Connect").click()
        expect(dialog.get_by_label("Token")).to_have_value("")
        expect(dialog).to_be_visible()
        good = token(scope="read:market.*")
        dialog.get_by_label("Token").fill(good)
        dialog.get_by_role("button", name="Connect").click()
        seen.until(f"{LIVE} && {CHARTED}")
        eventually(lambda: "." in seen.figure("Last"))
        kept = "[Object.values(sessionStorage), Object.values(localStorage), document.cookie]"
        session, local, cookie = seen.page.evaluate(kept)
        assert good in session
        assert (local, cookie) == ([], "")
        # What the token does not allow is said, and a kill is refused with the reason.
        seen.page.get_by_role("button", name="Kill trading").click()
        dialog.get_by_label("Reason").fill("to see that it is refused")
        dialog.get_by_label("Type *").fill("*")
        dialog.get_by_role("button", name="Kill").click()
        expect(seen.page.locator(".answer[data-tone=bad]")).to_contain_text("kill failed")
        expect(seen.page.locator("#switches .badge")).to_have_text("Trading: not allowed")
        seen.page.get_by_role("tab", name="Orders").click()
        refused = seen.page.locator(".panel:not([hidden]) .empty[data-kind=forbidden]")
        expect(refused).to_have_count(4)
        expect(refused.first).to_contain_text("the scope read:trading.state is missing")
        seen.page.get_by_role("tab", name="Health").click()
        expect(refused.first).to_contain_text("Not allowed")
        expect(seen.page.get_by_text("No dead letters.")).to_be_hidden()
        picture(seen, "forbidden")
    assert not [fault for fault in seen.faults if not re.search(r"40[13]", fault)]


def test_a_stopped_worker_makes_the_page_stale_although_all_servers_answer(shown, opened, picture):
    seen = opened()
    eventually(lambda: seen.figure("Last") != "–")
    supervisor = psutil.Process(shown.flows[0]._process.pid)
    workers = supervisor.children(recursive=True)
    status, banner = seen.page.locator("#status-text"), seen.page.locator("#banner")
    try:
        for worker in workers:
            worker.suspend()
        expect(status).to_contain_text("Stale for")
        expect(banner).to_contain_text("the flow market")
        expect(seen.page.locator("#panel-market > .old")).to_be_visible()
        picture(seen, "stopped")
    finally:
        for worker in workers:
            worker.resume()
    seen.until(LIVE)
    expect(banner).to_be_hidden()


def test_a_cut_feed_is_said_and_comes_back(shown, opened, picture):
    """The last test: first Redis goes and comes back, then the gateway."""
    seen = opened()
    banner = seen.page.locator("#banner")
    expect(banner).to_be_hidden()
    shown.world.servers.valkey.stop()
    expect(banner).to_contain_text("Values are old")
    expect(banner).to_contain_text(re.compile(r"since \d\d:\d\d:\d\d UTC"))
    expect(seen.page.locator("#status-text")).to_contain_text("Stale for")
    hatched = "getComputedStyle(document.querySelector('{} .value')).backgroundImage !== 'none'"
    seen.until(hatched.format("#panel-market .figures"))
    assert seen.page.evaluate(CONTRAST)["faint"] == []
    seen.page.get_by_role("tab", name="Health").click()
    servers = seen.page.get_by_role("region", name="Servers").locator("tbody tr")
    expect(servers.filter(has_text="redis")).to_contain_text("No answer")
    assert not seen.page.evaluate(hatched.format("#panel-health")), "it is the diagnosis"
    picture(seen, "stale-health")
    seen.page.get_by_role("tab", name="Orders").click()
    everyone = seen.page.get_by_role("row").filter(has_text="All accounts")
    expect(everyone).to_contain_text("treat as HALTED")
    expect(seen.page.locator("#switches .badge")).to_have_text("UNKNOWN")
    picture(seen, "stale")
    shown.world.servers.valkey.start()
    seen.until(LIVE)
    expect(banner).to_be_hidden()
    expect(everyone).to_contain_text("ACTIVE")
    seen.page.get_by_role("tab", name="Market").click()
    before = seen.figure("Last")
    eventually(lambda: seen.figure("Last") != before)
    assert shown.gateway.end()
    expect(banner).to_contain_text("Disconnected: trying again.")
    expect(seen.page.locator("#status-text")).to_contain_text("Disconnected for")
    picture(seen, "cut")
    with shown.gateway:
        seen.until(LIVE)
        expect(banner).to_be_hidden()
        before = seen.figure("Last")
        eventually(lambda: seen.figure("Last") != before)
    # What the browser says of servers that are gone is no fault of the page.
    seen.faults[:] = [each for each in seen.faults if not re.search(r"503|net::ERR", each)]
