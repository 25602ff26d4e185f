"""The Python client over real sockets and a real Valkey."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from benchmarks.web.writer import Writer
from connectors.web.client import Update, follow
from state.errors import Misuse
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


async def wait_until_told(updates: AsyncIterator[Update], reason: str) -> None:
    """Wait for this status; a machine that stalls may make the feed silent meanwhile."""
    async for update in updates:
        if update.kind == "status":
            assert (update.stale, update.channel, update.records) == (bool(update.reason), "", [])
            if update.reason == reason:
                return
    pytest.fail(f"the updates ended before {reason!r} was told")


async def wait_for_snapshot(updates: AsyncIterator[Update]) -> None:
    async for update in updates:
        if update.kind == "snapshot":
            return
    pytest.fail("the updates ended before a snapshot")


def test_the_python_client_tells_that_the_source_is_down_and_back(own_valkey):
    async def scene():
        async with (
            served(own_valkey.url) as url,
            aclosing(follow(url, ["market.bars"])) as updates,
        ):
            await wait_for_snapshot(updates)
            await asyncio.to_thread(own_valkey.stop)
            await wait_until_told(updates, "the feed does not hear redis")
            await asyncio.to_thread(own_valkey.start)
            await wait_until_told(updates, "")

    play(scene)


def test_the_python_client_tells_that_the_feed_is_silent_or_away(redis_url):
    given = {"FEED__PORT": "0", "FEED__HEARTBEAT": "200ms", "REDIS__URL": redis_url}
    env = os.environ | {f"HEADRACE_{name}": value for name, value in given.items()}
    feed = subprocess.Popen(
        [sys.executable, "-m", "flows", "feed"], env=env, stdout=subprocess.PIPE, text=True
    )
    assert feed.stdout is not None
    printed = feed.stdout.readline().split()[-1]  # the address of the page

    async def scene():
        async with aclosing(follow(printed, ["market.bars"])) as updates:
            await wait_for_snapshot(updates)
            feed.send_signal(signal.SIGSTOP)
            await wait_until_told(updates, "the feed is silent")
            feed.send_signal(signal.SIGCONT)
            await wait_until_told(updates, "")
            feed.terminate()
            await wait_until_told(updates, "the feed cannot be reached")

    try:
        play(scene)
    finally:
        feed.kill()
        feed.wait()


@pytest.mark.parametrize("url", ["127.0.0.1:9700", "localhost", "ftp://x/", "http://", "http://["])
def test_an_address_that_is_none_is_told_with_the_right_one(url):
    async def scene():
        with pytest.raises(Misuse, match="http://HOST:PORT"):
            await anext(follow(url, ["market.bars"]))

    play(scene)
