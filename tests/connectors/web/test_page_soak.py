"""The page left open: its memory stays as it is.

    HEADRACE_PAGE_MINUTES=30 .venv/bin/python -m pytest tests/connectors/web/test_page_soak.py -s

The short form, a quarter of a minute, is part of the tests.
"""

from __future__ import annotations

import os
import time

from tests.connectors.web.browsing import chromium, require_chromium, visit
from tests.connectors.web.page_rig import Market, page_of, running

SECONDS = 60 * float(os.environ.get("HEADRACE_PAGE_MINUTES", "0.25"))
SYMBOLS = [f"S{number:03}" for number in range(500)]
LOOKS = 12
MIB = 1 << 20


def test_memory_is_flat_for_as_long_as_the_page_is_open(redis_url):
    """What the first third leaves is compared: by then the lists are as long as they become."""
    require_chromium()
    market = Market(redis_url)
    with (
        page_of(redis_url) as address,
        running(market, SYMBOLS, every_s=1.0),
        chromium() as browser,
        visit(browser, address) as seen,
    ):
        seen.until("document.querySelectorAll('table tbody tr').length > 10")
        session = seen.page.context.new_cdp_session(seen.page)
        begin = time.monotonic()
        heaps = []
        for look in range(1, LOOKS + 1):
            seen.page.wait_for_timeout(
                max(0, begin + look * SECONDS / LOOKS - time.monotonic()) * 1000
            )
            session.send("HeapProfiler.collectGarbage")
            heaps.append(session.send("Runtime.getHeapUsage")["usedSize"])
            nodes = session.send("Memory.getDOMCounters")
            print({"s": round(time.monotonic() - begin), "heap_kB": heaps[-1] // 1000, **nodes})
        assert not [each for each in seen.faults if each.startswith("uncaught")]
    assert max(heaps[LOOKS // 3 :]) - heaps[LOOKS // 3 - 1] < 4 * MIB
