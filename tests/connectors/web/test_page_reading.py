"""How the page reads history: what it asks for, when it stops, and what it then holds.

The page's own modules over bars in a list, which stand for what REST answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.servers.valkey import Valkey
from tests.connectors.web.browsing import Visit, chromium, require_chromium, visit
from tests.connectors.web.page_rig import page_of

HISTORY = Path(__file__).with_name("history_rig.js").read_text()


@pytest.fixture(scope="module")
def page(valkey: Valkey) -> Iterator[Visit]:
    """The page; its modules are all that is wanted of it."""
    require_chromium()
    with (
        page_of(valkey.url) as address,
        chromium() as browser,
        visit(browser, address) as seen,
    ):
        yield seen


def run(page: Visit, script: str) -> Any:
    return page.page.evaluate("async () => {" + HISTORY + script + "}")


@pytest.mark.parametrize("interval", ["1s", "30m", "1h", "1d", "30d"])
def test_an_empty_history_is_asked_for_a_few_ranges_back_to_1970(page, interval):
    ranges = page.page.evaluate(
        """async (interval) => {
          const { backwards } = await import("/static/market/backwards.js");
          const { intervalMs } = await import("/static/times.js");
          const read = async () => ({ records: [], next: null });
          const found = [];
          const stepMs = 600 * intervalMs(interval);
          for await (const { fromMs, untilMs } of backwards(read, { untilMs: 1.8e12, stepMs })) {
            found.push([fromMs, untilMs]);
            if (found.length > 20) break;
          }
          return found;
        }""",
        interval,
    )
    assert 1 <= len(ranges) <= 5
    assert all(0 <= begin < end for begin, end in ranges)
    assert [begin for begin, _ in ranges[:-1]] == [end for _, end in ranges[1:]]


def test_a_range_that_no_answer_holds_is_read_in_shorter_ones(page):
    newest = page.page.evaluate("""async () => {
      const { backwards } = await import("/static/market/backwards.js");
      const read = async (from, until) => {
        const all = Array.from({ length: until - from }, (_, at) => from + at);
        return { records: all.slice(0, 10), next: all.length > 10 ? "more" : null };
      };
      const found = [];
      const ranges = backwards(read, { untilMs: 1000, stepMs: 100, oldestMs: 900 });
      for await (const { records } of ranges) found.unshift(...records);
      return found;
    }""")
    assert newest == list(range(900, 1000))


def test_it_stops_once_history_has_what_the_feed_began_with(page):
    """The feed begins with its newest hundred bars, which history has already told."""
    told = run(
        page,
        """
        const now = 1_000_000_000;
        for (let at = now - 2_000_000; at < now; at += 1000) made.bars.push(bar(at));
        made.risk.push({ id: "r", ts_ns: ns(now), horizon: 1 });
        const past = open(now);
        past.meet("bar", bar(now - 100_000));
        past.meet("risk", made.risk[0]);
        await quiet(past);
        await past.again.now();
        const { met } = past;
        const before = asked.length;
        for (let n = 0; n < 3; n += 1) await past.attempt();
        return { met, more: asked.length - before, first: starts()[0], count: starts().length };
        """,
    )
    assert told == {"met": True, "more": 0, "first": 999_400, "count": 600}


def test_a_hole_that_is_too_long_to_be_read_leaves_nothing_on_its_other_side(page):
    told = run(
        page,
        """
        const now = 1_000_000_000;
        for (let at = now - 100_000; at < now; at += 1000) made.bars.push(bar(at));
        const past = open(now);
        past.meet("bar", bar(now - 1000));
        await quiet(past);
        await past.again.now();
        const later = now + 30_000_000;
        for (let at = now; at < later; at += 2000) made.bars.push(bar(at));
        past.now = () => later;
        past.gap(held.records.at(-1));
        past.meet("bar", bar(later - 2000));
        await quiet(past);
        await past.again.now();
        const begins = starts()[0];
        const { met, fromMs, began } = past;
        past.wanted = true;
        await past.attempt();
        return { begins, met, fromMs, began, earlier: begins - starts()[0] };
        """,
    )
    assert told == {
        "begins": 1_025_000, "met": True, "fromMs": 1_025_000_000, "began": False, "earlier": 600,
    }  # fmt: skip


def test_a_correction_of_a_bar_that_was_not_read_is_no_bar(page):
    told = run(
        page,
        """
        const corrected = (ms, version) => (
          { ...bar(ms), id: `${bar(ms).id}|${version}`, version, trades: version });
        held.add([corrected(1000, 2), corrected(8000, 3), corrected(8000, 2)]);
        const alone = starts();
        held.add([bar(7000), bar(8000), bar(9000)]);
        held.add([corrected(9000, 2)]);
        const versions = held.records.map(({ version }) => version ?? 1);
        return { alone, starts: starts(), versions, revision: held.revision };
        """,
    )
    assert told == {"alone": [], "starts": [7, 8, 9], "versions": [1, 3, 2], "revision": 1}
