"""The watchlist of 500 symbols, each changing 20 times a second: CPU of a redraw, and memory."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it ships no types

from tests.connectors.web.browsing import chromium, require_chromium, visit
from tests.connectors.web.page_rig import page_of

LOAD = Path(__file__).with_name("watchlist_load.js").read_text()
MIB = 1 << 20
ROUNDS = 160


def test_a_redraw_of_500_symbols_is_cheap_and_memory_stays(redis_url):
    """The CPU time of all of Chromium, with redraws less without them, so also styles and painting.

    It is below 5 ms; the bound is wider, since a busy machine slows a thread's CPU too. Not all
    rows exist, so the cost hardly depends on how many symbols there are.
    """
    require_chromium()
    with page_of(redis_url) as address, chromium() as browser, visit(browser, address) as seen:
        session = seen.page.context.new_cdp_session(seen.page)

        def heap_bytes() -> int:
            session.send("HeapProfiler.collectGarbage")
            used: int = session.send("Runtime.getHeapUsage")["usedSize"]
            return used

        def run(redrawn: bool) -> tuple[float, dict[str, int]]:
            """Return the seconds of CPU, and what was there at the end."""
            before = _cpu_s()
            found = seen.page.evaluate(f"({LOAD})({ROUNDS}, {str(redrawn).lower()})")
            return _cpu_s() - before, found

        run(True)
        before = heap_bytes()
        with_s, found = run(True)
        grown = heap_bytes() - before
        without_s, _ = run(False)
        redraw_ms = 1000 * (with_s - without_s) / ROUNDS
        print({"redraw_ms": redraw_ms, "grown_bytes": grown, **found})
        assert found["symbols"] == 500
        assert found["rows"] < 80
        assert redraw_ms < 30
        assert grown < 4 * MIB


def _cpu_s() -> float:
    """Return the seconds of CPU that the processes of this one have taken so far."""
    found = 0.0
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            times = child.cpu_times()
            found += times.user + times.system
    return found
