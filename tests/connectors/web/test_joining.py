"""How clients begin and come back, over real sockets and a real Valkey: no gap, no repeat."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
import redis

from benchmarks.web.resume import Plan, watch
from benchmarks.web.writer import Writer
from connectors.redis.keys import Keys
from connectors.web import joining
from connectors.web.tail import Tail
from tests.connectors.web.feeds import bars_until, connected, play, served, starts

STREAM = Keys("market", 1).stream("bars")


@pytest.fixture
def stubborn(monkeypatch):
    """Reads of older records that swallow a cancellation, as the library does at times; counted."""
    reads: list[bool] = []
    after = Tail.after

    async def swallows(self: Tail, *args: Any) -> Any:
        reads.append(True)
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0.5)
        return await after(self, *args)

    monkeypatch.setattr(Tail, "after", swallows)
    return reads


async def position_now(url: str) -> str:
    """Return the position that a client of all bars is at."""
    async with connected(url) as client:
        await client.subscribe("market.bars")
        position: str = (await client.next("snapshot"))["position"]
        return position


@pytest.mark.parametrize("missed", [50, 5_000], ids=["from memory", "from Redis"])
def test_a_client_resumes_where_it_was(redis_url, missed, monkeypatch):
    monkeypatch.setattr("connectors.web.mirror.RING", 200)

    async def scene():
        writer = Writer(redis_url)
        writer.bars(0, 10)
        async with served(redis_url) as url:
            position = await position_now(url)
            writer.bars(10, missed)
            async with connected(url) as client:
                assert (await client.subscribe("market.bars", position))["resumed"]
                assert await bars_until(client, 9 + missed) == list(range(10, 10 + missed))
                writer.bars(10 + missed, 5)
                found = await bars_until(client, 14 + missed)
                assert found == list(range(10 + missed, 15 + missed))

    play(scene)


def test_a_feed_that_restarts_resumes_its_clients(redis_url):
    async def scene():
        writer = Writer(redis_url)
        writer.bars(0, 10)
        async with served(redis_url) as url:
            position = await position_now(url)
        writer.bars(10, 500)
        async with served(redis_url) as url, connected(url) as client:
            assert (await client.subscribe("market.bars", position))["resumed"]
            assert await bars_until(client, 509) == list(range(10, 510))

    play(scene)


def test_what_was_trimmed_is_told(redis_url):
    async def scene():
        writer = Writer(redis_url, stream_length=300)
        writer.bars(0, 10)
        async with served(redis_url) as url:
            position = await position_now(url)
        for first in range(10, 2010, 500):
            writer.bars(first, 500)
        async with served(redis_url) as url, connected(url) as client:
            assert not (await client.subscribe("market.bars", position))["resumed"]
            assert (await client.next("reset"))["reason"] == "trimmed"
            assert sorted(starts([await client.next("snapshot")])) == list(range(2000, 2010))

    play(scene)


def test_a_client_that_is_killed_again_and_again_sees_what_another_sees(redis_url):
    """20,000 updates/s for six seconds; ten kills at seeded points."""
    plan = Plan(seconds=6, rate=20_000, kills=10, seed=7)

    async def scene():
        async with served(redis_url) as url:
            writer = Writer(redis_url)
            outcome = await watch(url, writer.bars, plan)
        assert outcome.uninterrupted == list(range(plan.total))
        assert outcome.killed == outcome.uninterrupted
        assert (outcome.resumed, outcome.resets) == (plan.kills, [])

    play(scene)


@pytest.mark.parametrize("clients", [1, joining.READERS + 2])
def test_only_a_few_pages_are_read_from_redis_at_once(redis_url, clients, monkeypatch):
    monkeypatch.setattr("connectors.web.mirror.RING", 200)
    after, reading, most = Tail.after, [0], [0]

    async def counted(self: Tail, *args: Any) -> Any:
        reading[0] += 1
        most[0] = max(most[0], reading[0])
        try:
            return await after(self, *args)
        finally:
            reading[0] -= 1

    monkeypatch.setattr(Tail, "after", counted)

    async def catch_up(url: str, position: str) -> None:
        async with connected(url) as client:
            names = [f"market.bars?symbol=S1,X{n}" for n in range(20)]
            for name in names:
                await client.send(type="subscribe", channel=name, after=position)
            seen: dict[str, list[int]] = {}
            while sum(map(len, seen.values())) < 20 * 300:
                message = await client.next("subscribed", "delta")
                if message["type"] == "delta":
                    seen.setdefault(message["channel"], []).extend(starts([message]))
            assert list(seen.values()) == [list(range(11, 3010, 10))] * 20

    async def scene():
        writer = Writer(redis_url)
        writer.bars(0, 10)
        async with served(redis_url) as url:
            async with connected(url) as client:
                await client.subscribe("market.bars")
                position = (await client.next("snapshot"))["position"]
                writer.bars(10, 3000)
                await bars_until(client, 3009)
            await asyncio.gather(*(catch_up(url, position) for _ in range(clients)))
        assert 0 < most[0] <= (1 if clients == 1 else joining.READERS)

    play(scene)


def test_who_leaves_while_catching_up_gets_nothing_more(redis_url, monkeypatch, stubborn):
    monkeypatch.setattr("connectors.web.mirror.RING", 200)

    async def scene():
        writer = Writer(redis_url)
        writer.bars(0, 10)
        async with served(redis_url) as url, connected(url) as client:
            await client.subscribe("market.bars")
            position = (await client.next("snapshot"))["position"]
            writer.bars(10, 1000)
            await bars_until(client, 1009)
            await client.send(type="subscribe", channel="market.bars?symbol=S1", after=position)
            await client.beat(ok=True)
            await client.send(type="unsubscribe", channel="market.bars?symbol=S1")
            await asyncio.sleep(0.5)
            assert stubborn
            # The next messages are of what is asked for now; of the other channel comes none.
            assert (await client.subscribe("market.signals"))["channel"] == "market.signals"
            assert (await client.next("snapshot"))["channel"] == "market.signals"

    play(scene)


def test_who_is_gone_is_read_for_no_more(redis_url, stubborn):
    async def scene():
        Writer(redis_url).bars(0, 20_000)
        plain: Any = redis.from_url(redis_url)
        ((first, _),) = await asyncio.to_thread(plain.xrange, STREAM, count=1)
        async with served(redis_url) as url:
            async with connected(url) as client:
                # Older than what the feed read at its start: twenty pages follow.
                after_first = f"1:{first.decode()}"
                await client.send(type="subscribe", channel="market.bars", after=after_first)
                while not stubborn:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(1.5)
            assert len(stubborn) == 1

    play(scene)
