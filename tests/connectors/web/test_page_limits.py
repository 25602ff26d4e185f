"""The card of limits used: the fullest first, and what is off or not told yet said so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from state.clock import now_ns
from tests.connectors.web.browsing import chromium, require_chromium, visit
from tests.connectors.web.page_rig import Market, page_of


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium; each test has a context of its own."""
    require_chromium()
    with chromium() as started:
        yield started


def limit(
    account: str, name: str, used: float | None, most: float | None, symbol: str | None = None
) -> dict[str, Any]:
    return {
        "id": f"clock/0/1/0|{account}|{name}",
        "ts_ns": now_ns(),
        "account": account,
        "name": name,
        "used": used,
        "most": most,
        "share": None if used is None or not most else used / most,
        "symbol": symbol,
        "source": None,
        "sequenced": "market.sequenced/0/1",
    }


def tell(trading: Market, *records: dict[str, Any]) -> None:
    trading.write("limits", list(records), [f"{r['account']}|{r['name']}" for r in records])


def test_limits_are_listed_the_fullest_first_and_follow_the_feed(redis_url, browser):
    trading = Market(redis_url, system="trading")
    tell(
        trading,
        limit("desk", "max_position", 80_500.0, 100_000.0, "IBM"),
        limit("desk", "max_open_orders", 3.0, 1000.0),
        limit("desk", "drawdown_limit", None, 0.1),
        limit("desk", "var_limit", 0.03, None),
        limit("<b>other</b>", "var_limit", 0.06, 0.05),
    )
    with page_of(redis_url) as address, visit(browser, address) as seen:
        seen.page.get_by_role("tab", name="Orders").click()
        rows = seen.page.get_by_role("region", name="Limits used, the fullest first").locator(
            "tbody tr"
        )
        expect(rows).to_have_count(5)
        told = [[cell.strip() for cell in row.split("\t")[:5]] for row in rows.all_inner_texts()]
        assert told == [
            ["<b>other</b>", "VaR", "6.00 %", "5.00 %", "120.0 %"],
            ["desk", "Position in IBM", "80,500", "100,000", "80.5 %"],
            ["desk", "Open orders", "3", "1,000", "0.3 %"],
            ["desk", "Drawdown", "not told yet", "10.00 %", "–"],
            ["desk", "VaR", "3.00 %", "off", "–"],
        ]
        tones = [rows.nth(n).locator("td").nth(3).get_attribute("data-tone") for n in range(3)]
        assert tones == ["bad", "warn", None]
        tell(trading, limit("desk", "max_open_orders", 1000.0, 1000.0))
        expect(rows.nth(1)).to_contain_text("100.0 %")
        expect(rows.nth(1)).to_contain_text("Open orders")


def test_without_limits_the_card_says_so(redis_url, browser):
    with page_of(redis_url) as address, visit(browser, address) as seen:
        seen.page.get_by_role("tab", name="Orders").click()
        expect(seen.page.get_by_text("No limit is told: the trading flow tells")).to_be_visible()
