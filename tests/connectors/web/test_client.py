"""The Python client over real sockets and a real Valkey."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from benchmarks.web.writer import Writer
from connectors.web.client import follow
from tests.connectors.web.feeds import SECONDS, play, served


def test_the_python_client_resumes_over_a_feed_that_restarts(redis_url):
    async def scene():
        writer = Writer(redis_url)
        writer.bars(0, 10)
        found: list[int] = []
        kinds: list[str] = []

        async def read(url: str, last: int) -> None:
            async for update in follow(url, ["market.bars"]):
                kinds.append(update.kind)
                found.extend(record["start_ns"] for record in update.records)
                if found[-1] >= last:
                    return

        async with served(redis_url) as url:
            port = int(url.rpartition(":")[2].partition("/")[0])
            reader = asyncio.create_task(read(url, 299))
            while len(found) < 10:
                await asyncio.sleep(0.01)
            writer.bars(10, 90)
            while len(found) < 100:
                await asyncio.sleep(0.01)
        writer.bars(100, 100)
        async with served(redis_url, port=port):
            writer.bars(200, 100)
            async with asyncio.timeout(SECONDS):
                await reader
        assert found == list(range(300))
        assert kinds.count("snapshot") == 1
        assert "reset" not in kinds

    play(scene)


def test_the_python_client_asks_no_faster_than_the_feed_takes(redis_url):
    """45 channels, where 10 a second are taken, 20 at once."""

    async def scene():
        channels = [f"market.bars?symbol=S{number}" for number in range(45)]
        seen = set()
        async with (
            served(redis_url, requests_per_second=10) as url,
            aclosing(follow(url, channels)) as updates,
        ):
            async for update in updates:
                seen.add(update.channel)
                if len(seen) == len(channels):
                    break
        assert seen == set(channels)

    play(scene)
