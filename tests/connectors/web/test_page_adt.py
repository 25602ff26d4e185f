"""Patient care's tabs in a browser, over sealed records that the flow's own logic made."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from state.clock import now_ns
from tests.connectors.web.browsing import Visit, chromium, require_chromium, visit
from tests.connectors.web.care import Care, ago, bed, care_page, message
from tests.connectors.web.keys import ED, jwks, token

SCREENSHOTS = os.environ.get("HEADRACE_SCREENSHOTS")
READS = "read:adt.*"
CONTRAST = Path(__file__).with_name("contrast.js").read_text()
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium; each test has a context of its own."""
    require_chromium()
    with chromium() as started:
        yield started


def picture(seen: Visit, name: str) -> None:
    if SCREENSHOTS:
        seen.page.screenshot(path=Path(SCREENSHOTS) / f"adt-{name}.png", full_page=True)


def cell(page: Page, place: str):
    """Return the cell of a bed, such as MED R01 1; its name is the words for who cannot see it."""
    return page.get_by_role("group", name="Beds of").get_by_role("button", name=f"{place},")


def figure(page: Page, name: str):
    found = page.locator("#panel-adt-wards dt").get_by_text(name, exact=True)
    return found.locator("xpath=../dd").locator(".value")


def ward(care: Care) -> None:
    """Tell of a ward with a bed of each state, and of one that is full."""
    care.tell(
        message("A01", "V1", "MED^R01^1", ago(30)),
        bed("MED^R01^2", "U", ago(5)),
        bed("MED^R02^1", "C", ago(50)),
        bed("MED^R02^2", "H", ago(0.2)),
        message("A01", "V2", "ICU^R01^1", ago(3)),
        message("A21", "V2", "ICU^R01^1", ago(1)),
    )


def changes(page: Page):
    return page.locator(".changes tbody tr")


def test_the_page_is_of_the_systems_that_are_named(redis_url, browser):
    with care_page(redis_url) as address, visit(browser, address) as seen:
        tabs = ["Wards", "Visits", "Changes", "Outputs", "Health"]
        expect(seen.page.get_by_role("tab")).to_have_text(tabs)
        expect(seen.page.get_by_role("button", name="Kill trading")).to_have_count(0)
        assert seen.faults == []


def test_each_bed_is_told_by_word_and_the_map_follows_the_feed(redis_url, browser):
    care = Care(redis_url)
    ward(care)
    with care_page(redis_url) as address, visit(browser, address) as seen:
        page = seen.page
        states = {"R01 1": "taken", "R01 2": "free", "R02 1": "closed", "R02 2": "cleaning"}
        for place, state in states.items():
            expect(cell(page, f"MED {place}")).to_have_attribute("data-state", state)
        expect(cell(page, "MED R01 1")).to_contain_text("30 h")
        expect(cell(page, "ICU R01 1")).to_contain_text("on leave")
        med = page.get_by_role("region", name="Ward MED")
        expect(med).to_contain_text("1 free")
        expect(med).to_contain_text("1 of 4 taken, 1 cleaning, 1 closed")
        expect(page.get_by_role("region", name="Ward ICU")).to_contain_text("full")
        expect(figure(page, "Taken")).to_have_text("2 of 5 (40 %)")
        care.tell(message("A01", "V3", "MED^R01^2", ago(0)), bed("MED^R02^2", "U", ago(0)))
        expect(cell(page, "MED R01 2")).to_have_attribute("data-state", "taken")
        expect(cell(page, "MED R02 2")).to_have_attribute("data-state", "free")
        care.tell(message("A03", "V1", "MED^R01^1", ago(0)))
        # No status was told of this bed: it is still a bed, and nobody is known to be in it.
        expect(cell(page, "MED R01 1")).to_have_attribute("data-state", "free")
        expect(figure(page, "Free")).to_have_text("2")
        page.get_by_role("button", name="ICU full").click()
        expect(page.get_by_role("region", name="Ward MED")).to_have_count(0)
        assert seen.faults == []


def test_patients_are_hidden_until_somebody_wants_to_see_them(redis_url, browser):
    care = Care(redis_url)
    ward(care)
    with care_page(redis_url) as address, visit(browser, address) as seen:
        page = seen.page
        expect(cell(page, "MED R01 1")).to_be_visible()
        assert "P1" not in page.locator("main").inner_text()
        page.get_by_role("button", name="Show patients").click()
        expect(cell(page, "MED R01 1").get_by_text("P1")).to_be_visible()
        page.get_by_role("button", name="Show patients").click()
        expect(cell(page, "MED R01 1").get_by_text("P1")).to_be_hidden()


def test_a_bed_that_is_booked_twice_needs_a_call_until_it_is_cleared_up(redis_url, browser):
    care = Care(redis_url)
    ward(care)
    care.tell(message("A01", "V4", "MED^R01^1", ago(2)))
    with care_page(redis_url) as address, visit(browser, address) as seen:
        page = seen.page
        expect(cell(page, "MED R01 1")).to_have_attribute("data-odd", "twice")
        expect(cell(page, "MED R01 1")).to_contain_text("‼ 2")
        calls = page.get_by_role("region", name="What needs a call")
        expect(calls.locator("tbody tr")).to_have_count(1)
        expect(calls).to_contain_text("Two patients in one bed: MED R01 1")
        expect(calls.get_by_role("button")).to_have_text(["V1", "V4"])
        expect(page).to_have_title("‼ 1 booked twice · Headrace")
        page.get_by_label("Show", exact=True).select_option(label="contradictions")
        expect(page.locator(".bed")).to_have_count(1)
        picture(seen, "twice")
        care.tell(message("A11", "V4", "MED^R01^1", ago(2), recorded=ago(0)))
        expect(page.get_by_text("Nothing: no contradiction is open.")).to_be_visible()
        expect(page.get_by_text("No bed is like that.")).to_be_visible()
        expect(page).to_have_title("No bed booked twice · Headrace")


def test_who_waits_for_a_bed_is_told_the_longest_first(redis_url, browser):
    care = Care(redis_url)
    care.tell(
        message("A04", "V1", "ED^R01^1", ago(9), kind="E"),
        message("A06", "V1", "ED^R01^1", ago(5)),
        message("A04", "V2", "ED^HALL", ago(1), kind="E"),
        message("A04", "V3", "ED^R02^1", ago(20), kind="E"),
    )
    with care_page(redis_url) as address, visit(browser, address) as seen:
        rows = seen.page.get_by_role("region", name="Who waits for a bed").locator("tbody tr")
        expect(rows).to_have_count(2)
        expect(rows.nth(0)).to_contain_text("ED R01 1")
        expect(rows.nth(0)).to_contain_text("admitted, still in emergency, over 4 h")
        expect(rows.nth(0)).to_contain_text("5 h")
        expect(rows.nth(1)).to_contain_text("in no bed")
        care.tell(message("A02", "V1", "MED^R01^1", ago(0), prior="ED^R01^1"))
        expect(rows).to_have_count(1)


def test_the_keyboard_reaches_each_bed_and_opens_its_visit(redis_url, browser):
    care = Care(redis_url)
    ward(care)
    with care_page(redis_url) as address, visit(browser, address) as seen:
        page = seen.page
        first = cell(page, "MED R01 1")
        expect(first).to_have_attribute("tabindex", "0")
        expect(cell(page, "MED R01 2")).to_have_attribute("tabindex", "-1")
        first.focus()
        page.keyboard.press("ArrowRight")
        expect(cell(page, "MED R01 2")).to_be_focused()
        page.keyboard.press("End")
        expect(cell(page, "MED R02 2")).to_be_focused()
        page.keyboard.press("Home")
        page.keyboard.press("Enter")
        expect(page.get_by_role("tab", name="Visits")).to_have_attribute("aria-selected", "true")
        expect(page.get_by_role("heading", name="Visit V1")).to_be_visible()


def test_a_visit_is_a_timeline_with_the_messages_behind_it(redis_url, browser):
    care = Care(redis_url)
    care.tell(
        message("A02", "V7", "MED^R01^1", ago(20), prior="ED^R01^1", admitted=ago(24)),
        message("A03", "V8", "MED^R02^1", ago(1), patient="P7", admitted=ago(3)),
    )
    with care_page(redis_url) as address, visit(browser, address) as seen:
        page = seen.page
        page.get_by_role("tab", name="Visits").click()
        number = page.get_by_label("Visit or patient")
        number.fill("nobody")
        expect(
            page.get_by_text("No visit and no patient has a number that begins so")
        ).to_be_visible()
        number.fill("p7")
        expect(page.locator(".matches button")).to_have_count(2)
        number.fill("V7")
        number.press("Enter")
        expect(page.get_by_text("Patient P7: 2 visits.")).to_be_visible()
        one = page.get_by_role("region", name="Visit V7")
        rows = one.locator("tbody tr")
        expect(rows).to_have_count(2)
        expect(rows.nth(0)).to_contain_text("ED R01 1")
        expect(rows.nth(0)).to_contain_text("inferred")
        expect(rows.nth(0).locator(".track-bar")).to_have_css("border-top-style", "dashed")
        expect(rows.nth(1).locator(".track-bar")).to_have_css("border-top-style", "solid")
        expect(rows.nth(1)).to_contain_text("now")
        one.get_by_text("1 message behind it").click()
        expect(one.locator(".causes li")).to_have_text(["adt.raw:0:0"])
        picture(seen, "visit")
        care.tell(message("A03", "V7", "MED^R01^1", ago(0)))
        expect(one).to_contain_text("discharged")
        # What was open stays open.
        expect(one.locator(".causes li")).to_have_text(["adt.raw:0:0", "adt.raw:0:2"])
        care.tell(message("A23", "V7", "MED^R01^1", ago(0)))
        expect(page.get_by_role("region", name="Visit V7")).to_contain_text("deleted")


def test_changes_say_what_is_new_and_strike_out_what_holds_no_more(redis_url, browser):
    care = Care(redis_url)
    ward(care)
    with care_page(redis_url) as address, visit(browser, address) as seen:
        page = seen.page
        page.get_by_role("tab", name="Changes").click()
        expect(changes(page).filter(has_text="Admitted")).to_have_count(2)
        care.tell(message("A02", "V1", "MED^R03^1", ago(2), prior="MED^R01^1"))
        expect(changes(page).first).to_contain_text("MED R01 1 → MED R03 1")
        # A move that was told late changes what was said of the past.
        care.tell(message("A02", "V1", "SUR^R01^1", ago(10), recorded=ago(0), prior="MED^R01^1"))
        corrected = changes(page).filter(has_text="Corrected")
        expect(corrected).to_have_count(1)
        expect(corrected.locator("s")).to_have_count(2)
        expect(corrected.locator("ins")).to_have_count(3)
        expect(corrected.locator("ins").nth(1)).to_contain_text("SUR R01 1")
        care.tell(message("A40", "V1", "", ago(0), patient="P9", behind="MRG|P1^^^GH^MR"))
        expect(changes(page).filter(has_text="Other number")).to_have_count(1)
        care.tell(message("A01", "V5", "MED^R03^1", ago(1)))
        expect(changes(page).filter(has_text="Contradiction")).to_have_count(1)
        care.tell(message("A11", "V5", "MED^R03^1", ago(1), recorded=ago(0)))
        expect(changes(page).filter(has_text="Cleared up")).to_have_count(1)
        expect(changes(page).filter(has_text="Withdrawn")).to_have_count(1)
        picture(seen, "changes")
        page.locator(".changes").get_by_label("Ward", exact=True).select_option("ICU")
        expect(changes(page)).to_have_count(1)
        page.locator(".changes").get_by_label("Ward", exact=True).select_option("")
        page.locator(".changes").get_by_label("Kind", exact=True).select_option("merge")
        expect(changes(page)).to_have_count(1)
        assert seen.faults == []


def test_changes_wait_while_they_are_paused(redis_url, browser):
    care = Care(redis_url)
    ward(care)
    with care_page(redis_url) as address, visit(browser, address) as seen:
        page = seen.page
        page.get_by_role("tab", name="Changes").click()
        expect(changes(page)).to_have_count(2)
        page.get_by_role("button", name="Pause").click()
        care.tell(message("A01", "V6", "MED^R03^1", ago(0)))
        expect(page.get_by_text("Paused: 1 newer wait.")).to_be_visible()
        expect(changes(page)).to_have_count(2)
        page.get_by_role("button", name="Go on").click()
        expect(changes(page)).to_have_count(3)


def test_an_empty_hospital_is_told_in_words(redis_url, browser):
    with care_page(redis_url) as address, visit(browser, address) as seen:
        page = seen.page
        expect(page.get_by_text("No bed is known yet")).to_be_visible()
        expect(page.get_by_text("Nobody waits for a bed.")).to_be_visible()
        page.get_by_role("tab", name="Changes").click()
        expect(page.get_by_text("Nothing has changed yet.")).to_be_visible()


def test_without_the_scope_unseal_no_name_of_anything_reaches_the_page(
    redis_url, browser, tmp_path
):
    care = Care(redis_url)
    ward(care)
    keys = jwks(tmp_path / "keys.json", ED)
    with care_page(redis_url, jwks=keys) as address, visit(browser, address) as seen:
        page = seen.page

        def enter(scope: str) -> None:
            page.get_by_label("Token (JWT)").fill(token(scope=scope, exp=now_ns() // 10**9 + 600))
            page.get_by_role("button", name="Connect").click()

        enter(READS)
        sealed = "Not allowed: 5 entries, but the records are sealed. A token with the scope unseal"
        expect(page.locator("#panel-adt-wards .empty").first).to_contain_text(sealed)
        expect(page.locator(".bed")).to_have_count(0)
        page.get_by_role("tab", name="Visits").click()
        page.get_by_label("Visit or patient").fill("V1")
        note = page.locator("#panel-adt-visits .note").first
        expect(note).to_contain_text("Not allowed: 2 entries")
        assert "MED" not in page.content()


def test_a_token_that_may_not_read_says_so_and_another_one_shows_the_beds(
    redis_url, browser, tmp_path
):
    care = Care(redis_url)
    ward(care)
    keys = jwks(tmp_path / "keys.json", ED)
    with care_page(redis_url, jwks=keys) as address, visit(browser, address) as seen:
        page = seen.page
        page.get_by_label("Token (JWT)").fill(
            token(scope="read:market.*", exp=now_ns() // 10**9 + 600)
        )
        page.get_by_role("button", name="Connect").click()
        refused = page.locator("#panel-adt-wards .empty[data-kind=forbidden]")
        expect(refused).to_have_count(3)
        expect(refused.first).to_contain_text("Not allowed: ")
        page.evaluate(
            "token => sessionStorage.setItem('headrace-token', token)",
            token(scope=f"{READS} unseal", exp=now_ns() // 10**9 + 600),
        )
        page.reload()
        expect(cell(page, "MED R01 1")).to_have_attribute("data-state", "taken")


def test_what_the_gateway_told_is_old_once_it_is_gone(redis_url, browser):
    care = Care(redis_url)
    ward(care)
    with ExitStack() as stack:
        with care_page(redis_url) as address:
            seen = stack.enter_context(visit(browser, address))
            state = cell(seen.page, "MED R01 1").locator(".bed-state")
            expect(state).to_have_css("background-image", "none")
        expect(seen.page.locator("#banner-text")).to_contain_text("Disconnected")
        expect(state).to_have_css("background-image", re.compile("repeating-linear-gradient"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_tabs_fit_a_phone(redis_url, browser, scheme):
    care = Care(redis_url)
    ward(care)
    care.tell(message("A02", "V1", "MED^R03^1", ago(2), prior="MED^R01^1"))
    look = {"viewport": PHONE, "color_scheme": scheme}
    with care_page(redis_url) as address, visit(browser, address, **look) as seen:
        page = seen.page
        cell(page, "MED R03 1").click()
        expect(page.get_by_role("heading", name="Visit V1")).to_be_visible()
        for name in ("Visits", "Changes", "Wards"):
            page.get_by_role("tab", name=name).click()
            assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"], name
            assert page.evaluate(CONTRAST)["faint"] == []
            picture(seen, f"phone-{name.lower()}-{scheme}")
