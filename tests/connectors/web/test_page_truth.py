"""What the page says of old, silent, forbidden and unreadable values; the page's own keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from state.clock import NS, now_ns
from tests.connectors.web.browsing import chromium, eventually, require_chromium, visit
from tests.connectors.web.keys import ED, jwks, token
from tests.connectors.web.page_rig import Market, page_of, running

MARKUP = "<a href=x>B</a>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium; each test has a context of its own."""
    require_chromium()
    with chromium() as started:
        yield started


def test_a_flow_that_stands_still_is_stale_although_the_socket_lives(redis_url, browser):
    market = Market(redis_url)
    with page_of(redis_url) as address, visit(browser, address) as seen:
        with running(market, ["A", "B"]):
            eventually(lambda: seen.figure("Last") == "100.00")
            expect(seen.page.locator("#status-text")).to_have_text("Live")
        expect(seen.page.locator("#status-text")).to_have_text(re.compile("^Stale for"))
        banner = seen.page.locator("#banner")
        expect(banner).to_contain_text("the flow market has not moved on")
        expect(banner).to_contain_text(re.compile(r"since \d\d:\d\d:\d\d UTC"))
        hatched = "getComputedStyle(document.querySelector('.figures .value')).backgroundImage"
        assert "gradient" in seen.page.evaluate(hatched)
        assert seen.page.evaluate("document.documentElement.dataset.feed") == "stale"
        with running(market, ["A", "B"]):
            expect(seen.page.locator("#status-text")).to_have_text("Live")
            expect(banner).to_be_hidden()


def test_a_silent_symbol_is_marked_while_the_others_go_on(redis_url, browser):
    market = Market(redis_url)
    market.second(["OLD"], now_ns() - 3 * 86_400 * NS)
    with (
        page_of(redis_url) as address,
        running(market, ["NEW"]),
        visit(browser, address) as seen,
    ):
        rows = seen.page.get_by_role("grid", name="Watchlist").locator("tbody tr")
        old, new = rows.filter(has_text="OLD"), rows.filter(has_text="NEW")
        expect(old.locator("td").last).to_contain_text(re.compile(r"^silent \d{4}-\d\d-\d\d "))
        expect(old.locator("td[data-old]")).to_have_count(5)
        expect(new.locator("td[data-old]")).to_have_count(0)
        expect(new.locator("td").last).to_have_text(re.compile(r"^\d+ s$"))
        old.click()
        expect(seen.page.get_by_role("heading", name="OLD")).to_be_visible()
        age = seen.page.locator("#panel-market .figures .age").first
        expect(age).to_have_text(re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$"))  # not of today


def test_a_name_with_markup_stays_text(redis_url, browser):
    market = Market(redis_url)
    with (
        page_of(redis_url) as address,
        running(market, [MARKUP]),
        visit(browser, address) as seen,
    ):
        expect(seen.page.get_by_role("heading", name=MARKUP)).to_be_visible()
        seen.until("document.querySelector('.chart canvas') !== null")
        assert seen.page.locator("main a").count() == 0
        assert seen.faults == [] or all("503" in each or "409" in each for each in seen.faults)


def _open_question(page: Page) -> None:
    page.get_by_role("button", name="Kill trading").focus()
    page.keyboard.down("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()


def test_a_held_enter_confirms_nothing(redis_url, browser):
    with page_of(redis_url) as address, visit(browser, address) as seen:
        page = seen.page
        sent: list[str] = []
        page.on("request", lambda request: sent.append(request.method))
        _open_question(page)
        # The key is still down, as on a keyboard that lies under a folder.
        page.evaluate("""() => {
          const set = (id, text) => {
            document.getElementById(id).value = text;
            document.getElementById(id).dispatchEvent(new Event("input", { bubbles: true }));
          };
          set("confirm-reason", "held");
          set("confirm-typed", "*");
        }""")
        confirm = page.get_by_role("dialog").get_by_role("button", name="Kill")
        expect(confirm).to_be_enabled()
        confirm.focus()
        for _ in range(20):
            page.keyboard.down("Enter")
        expect(page.get_by_role("dialog")).to_be_visible()
        assert "POST" not in sent
        page.keyboard.up("Enter")
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_be_hidden()
        expect(page.locator(".answer")).to_contain_text("kill")
        assert sent.count("POST") == 1


def test_a_kill_needs_a_reason_and_a_star_for_all(redis_url, browser):
    with page_of(redis_url) as address, visit(browser, address) as seen:
        seen.page.get_by_role("button", name="Kill trading").click()
        dialog = seen.page.get_by_role("dialog")
        confirm = dialog.get_by_role("button", name="Kill")
        for reason, typed, enabled in (
            ("", "", False), ("why", "", False), ("why", "all", False), ("  ", "*", False),
            ("why", "*", True),
        ):  # fmt: skip
            dialog.get_by_label("Reason").fill(reason)
            dialog.get_by_label("Type *").fill(typed)
            expect(confirm).to_be_enabled(enabled=enabled)


def _not_answered(route: Route) -> None:
    """Leave a request open."""


def test_the_switches_work_while_no_chart_can_be_loaded(redis_url, browser):
    with page_of(redis_url) as address, visit(browser, address + "nothing") as seen:
        seen.page.route("**/lightweight-charts.js", _not_answered)
        seen.page.goto(address)
        seen.page.get_by_role("button", name="Kill trading").click()
        expect(seen.page.get_by_role("dialog")).to_contain_text("Halt trading?")


def test_a_part_that_cannot_be_loaded_does_not_hold_up_the_others(redis_url, browser):
    with page_of(redis_url) as address, visit(browser, address + "nothing") as seen:
        seen.page.route("**/market/bar.js", lambda route: route.abort())
        seen.page.goto(address)
        expect(seen.page.get_by_text("The page cannot be loaded whole").first).to_be_visible()
        expect(seen.page.locator("#status-text")).to_have_text("Live")


def test_empty_lists_say_why_nothing_is_there(redis_url, browser, tmp_path):
    keys = jwks(tmp_path / "keys.json", ED)
    with page_of(redis_url, jwks=keys) as address, visit(browser, address) as seen:
        page = seen.page
        empty = page.locator(".panel:not([hidden]) .empty:visible")
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Token").fill(token(scope="read:market.*"))
        dialog.get_by_role("button", name="Connect").click()
        expect(empty.first).to_contain_text("No bar has been closed yet.")
        page.get_by_role("tab", name="Orders").click()
        expect(empty).to_have_text(
            [
                "Not allowed: the scope read:trading.state is missing",
                "Not allowed: the scope read:trading.limits is missing",
            ]
            + 2 * ["Not allowed: the scope read:trading.decisions is missing"]
        )
        page.get_by_role("tab", name="Outputs").click()
        page.get_by_label("Output", exact=True).select_option("market.gaps")
        expect(empty).to_have_text("No records yet.")
        page.get_by_label("Output", exact=True).select_option("trading.audit")
        expect(empty).to_have_text("Not allowed: the scope read:trading.audit is missing")


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, "<html>a proxy's page</html>", "Unreadable: adt: The answer is no JSON."),
        (403, '{"detail": "the token lacks the scope"}', "Not allowed: adt: the token lacks"),
        (500, "oops", "Not known: adt: HTTP 500"),
        (200, '{"total": 0, "complete": true, "records": []}', "No dead letters."),
        (
            200,
            '{"total": 0, "complete": true, "records": [], "missing": "adt.dead"}',
            "No dead letters. Not there yet: adt.dead",
        ),
    ],
)
def test_no_dead_letters_is_said_only_where_they_were_read(redis_url, browser, status, body, said):
    """What stands between the page and the gateway, such as a proxy, answers as it likes."""
    with page_of(redis_url) as address, visit(browser, address + "nothing") as seen:
        answer = {"status": status, "body": body, "content_type": "application/json"}
        seen.page.route("**/api/v1/dead/**", lambda route: route.fulfill(**answer))
        seen.page.goto(address + "#health")
        table = seen.page.get_by_role("heading", name="Dead letters").locator("xpath=../..")
        expect(table.locator(".empty")).to_contain_text(said)


@pytest.mark.parametrize("size", [(1280, 720), (390, 740)])
def test_switches_stay_in_sight_beside_long_names_and_reasons(redis_url, browser, size):
    width, height = size
    state: dict[str, Any] = {
        "account": "n" * 64, "state": "HALTED", "event": "kill", "cause": "kill",
        "reason": "r" * 200, "source": None, "sequenced": "market.sequenced/0/1",
    }  # fmt: skip
    trading = Market(redis_url, "trading")
    viewport = {"width": width, "height": height}
    trading.write("state", [state | {"id": "1", "ts_ns": now_ns()}], [str(state["account"])])
    with (
        page_of(redis_url) as address,
        visit(browser, address + "#market-orders", viewport=viewport) as seen,
    ):
        # Told once, so it is soon silent and to be treated as HALTED, which is said at length.
        expect(seen.page.get_by_role("row").filter(has_text="treat as HALTED")).to_be_visible()
        for name in ("Kill trading", "Resume"):
            button = seen.page.get_by_role("button", name=name, exact=True)
            expect(button).to_be_in_viewport(ratio=1)
        for name in (f"Kill {'n' * 64}", f"Resume {'n' * 64}"):
            button = seen.page.get_by_role("button", name=name, exact=True)
            expect(button).to_be_in_viewport(ratio=1)
            button.click(trial=True)  # nothing lies above it
        assert seen.page.evaluate("document.scrollingElement.scrollWidth") <= width


def test_theme_and_clock_and_what_is_kept(redis_url, browser):
    with (
        page_of(redis_url) as address,
        visit(browser, address, color_scheme="light", timezone_id="Asia/Tokyo") as seen,
    ):
        page = seen.page
        back = "getComputedStyle(document.body).backgroundColor"
        light = page.evaluate(back)
        expect(page.locator("#time")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d UTC$"))
        expect(page.locator("#local-time")).to_have_text(
            re.compile(r"^\d\d:\d\d:\d\d (GMT\+9|JST)$")
        )
        theme = page.get_by_role("button", name="Theme: system")
        theme.click()
        page.get_by_role("button", name="Theme: light").click()
        expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()
        assert page.evaluate(back) != light
        page.get_by_role("button", name="Sound: off").click()
        page.reload()
        expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()
        expect(page.get_by_role("button", name="Sound: on")).to_be_visible()
        assert page.evaluate(back) != light


def test_on_a_phone_each_symbol_is_read_whole_and_stays_in_sight(redis_url, browser):
    market = Market(redis_url)
    with (
        page_of(redis_url) as address,
        running(market, ["SIM0000", "EURUSD.PRO"]),
        visit(browser, address, viewport={"width": 390, "height": 844}) as seen,
    ):
        seen.until("document.querySelectorAll('.rows tbody th').length === 2")
        assert seen.page.evaluate("""() => [...document.querySelectorAll('.rows tbody th')]
            .filter((each) => each.scrollWidth > each.clientWidth).map((each) => each.textContent)
        """) == []  # fmt: skip
        seen.page.evaluate("document.querySelector('.rows').scrollLeft = 200")
        name = seen.page.get_by_text("SIM0000", exact=True).first
        expect(name).to_be_in_viewport(ratio=1)


def test_a_gain_is_never_written_with_a_power_of_ten(redis_url, browser):
    with page_of(redis_url) as address, visit(browser, address) as seen:
        told = seen.page.evaluate("""async () => {
          const { money } = await import("/static/numbers.js");
          return [-5.265e-4, 0.0034119, 0, -0.00000001, 12.5, -1234567.891, null].map(money);
        }""")
        assert told == [
            "−0.000527", "0.003412", "0.000000", "0.000000", "12.50", "−1,234,567.89", "–",
        ]  # fmt: skip


def test_the_first_load_is_small_and_the_switches_come_first(redis_url, browser):
    """The time is bounded widely, for the machine has other things to do; the order is not."""
    market = Market(redis_url)
    with (
        page_of(redis_url) as address,
        running(market, ["A"]),
        visit(browser, address) as seen,
    ):
        seen.until("document.querySelector('.chart canvas') !== null")
        told = seen.page.evaluate("""() => {
          const [page] = performance.getEntriesByType("navigation");
          const files = performance.getEntriesByType("resource");
          const [switches] = performance.getEntriesByName("switches");
          const charts = files.find((each) => each.name.endsWith("lightweight-charts.js"));
          return {
            bytes: files.reduce((sum, each) => sum + each.transferSize, page.transferSize),
            switches: switches.startTime - page.responseEnd,
            charts: charts.startTime - switches.startTime,
          };
        }""")
        print(told)
        assert told["bytes"] < 400_000
        assert told["charts"] > 0
        assert told["switches"] < 10_000
