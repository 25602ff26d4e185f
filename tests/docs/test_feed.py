"""The example of docs/feed.md does what it shows."""

from __future__ import annotations

import asyncio
import os
import sys

from benchmarks.web.writer import Writer, bar
from tests.connectors.web.feeds import SECONDS, play, served
from tests.docs.pages import blocks
from tests.flows.runs import ROOT


def test_the_example_prints_what_comes(redis_url, tmp_path):
    (block,) = [b for b in blocks(ROOT / "docs" / "feed.md") if b.title == "watch.py"]
    script = tmp_path / block.title
    script.write_text(block.text)
    printed: list[str] = []

    async def scene():
        writer = Writer(redis_url)
        writer.write("bars", [bar("SPY", 1), bar("IBM", 2)], ["SPY|1s", "IBM|1s"])
        async with served(redis_url) as url:
            process = await asyncio.create_subprocess_exec(
                sys.executable, script, url, "2",
                stdout=asyncio.subprocess.PIPE,
                env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            )  # fmt: skip
            assert process.stdout is not None
            async with asyncio.timeout(2 * SECONDS):
                printed.append((await process.stdout.readline()).decode())
                writer.write("bars", [bar("SPY", 3)], ["SPY|1s"])
                printed.append((await process.stdout.readline()).decode())
                assert await process.wait() == 0

    play(scene)
    assert printed == ["SPY 1 1.0\n", "SPY 3 3.0\n"]
