"""Clients that do not read: what they cost, what they get, and that nobody else notices."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import asynccontextmanager

import pytest
from prometheus_client import REGISTRY

from benchmarks.web.writer import Writer, bar
from connectors.web import connection, session
from connectors.web.frame_queue import FrameQueue
from connectors.web.frames import JSON
from connectors.web.limits import MAX_SUBSCRIPTIONS, MAX_WIDE
from tests.connectors.web.feeds import SECONDS, Client, connected, play, served, starts

QUEUE = 1 << 16
STEP = 500
MOST = 1_000_000
DISCONNECTED = "headrace_feed_disconnected_slow_total"
CONFLATED = "headrace_feed_conflated_total"


def count(name: str) -> float:
    return REGISTRY.get_sample_value(name) or 0.0


@asynccontextmanager
async def stuck(url: str):
    """A client with a small socket that reads only when it is told to."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    made.setblocking(False)
    port = int(url.rpartition(":")[2].partition("/")[0])
    await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", port))
    async with connected(url, sock=made, max_queue=1, ping_interval=None) as client:
        yield client
        client.connection.transport.abort()  # a proper goodbye would have to read everything


async def read_all(client: Client, last: asyncio.Future[int]) -> list[int]:
    found: list[int] = []
    while not last.done() or found[-1] < last.result():
        found += starts([await client.next("snapshot", "delta")])
    return found


async def write_until_slow(writer: Writer, kind: str, sign: str) -> int:
    """Write until ``sign``, a metric, tells a slow client; return how many were written.

    The sockets between may hold some megabytes: how many differs from machine to machine.
    """
    before, total = count(sign), 0
    while count(sign) == before:
        assert total < MOST, f"{sign} has not grown after {total} records"
        await asyncio.to_thread(getattr(writer, kind), total, STEP)
        total += STEP
    return total


def test_a_slow_client_of_every_record_is_disconnected_and_says_why(redis_url):
    async def scene():
        writer = Writer(redis_url)
        async with served(redis_url, queue_bytes=QUEUE) as url, connected(url) as fast:
            await fast.subscribe("market.bars?symbol=S1")
            await fast.next("snapshot")
            async with stuck(url) as slow:
                await slow.subscribe("market.bars")
                await slow.next("snapshot")
                last = asyncio.get_running_loop().create_future()
                reading = asyncio.create_task(read_all(fast, last))
                total = await write_until_slow(writer, "bars", DISCONNECTED)
                last.set_result(total + STEP - 9)
                await asyncio.to_thread(writer.bars, total, STEP)
                assert await reading == list(range(1, total + STEP, 10))
                code, reason = await slow.closing()
                assert (code, reason[:8]) == (4008, "too slow")

    before = count(DISCONNECTED)
    play(scene)
    assert count(DISCONNECTED) == before + 1


def test_a_slow_client_of_latest_values_gets_the_last_of_each_key(redis_url):
    async def scene():
        writer = Writer(redis_url)
        async with served(redis_url, queue_bytes=QUEUE) as url, stuck(url) as slow:
            await slow.subscribe("market.nbbo")
            await slow.next("snapshot")
            total = await write_until_slow(writer, "quotes", CONFLATED)
            last: dict[str, int] = {}
            seen = 0
            while len(last) < 10 or min(last.values()) < total - 10:
                message = await slow.next("delta")
                for record in message["records"]:
                    seen += 1
                    assert int(record["ts_ns"]) > last.get(record["symbol"], -1)
                    last[record["symbol"]] = int(record["ts_ns"])
            assert last == {f"S{n}": total - 10 + n for n in range(10)}
            assert seen < total
            # The position is that of everything: to resume after it brings what is new alone.
            position = message["position"]
            async with connected(url) as again:
                assert (await again.subscribe("market.nbbo", position))["resumed"]
                await asyncio.to_thread(writer.quotes, total, 3)
                delta = await again.next("delta")
                assert [int(r["ts_ns"]) for r in delta["records"]] == [total, total + 1, total + 2]

    play(scene)


def test_a_snapshot_larger_than_the_queue_is_given_whole(redis_url):
    async def scene():
        writer = Writer(redis_url)
        for first in range(0, 5000, 500):
            writer.bars(first, 500, symbols=5000)
        async with served(redis_url, queue_bytes=1 << 12) as url, connected(url) as client:
            await client.subscribe("market.bars")
            parts = [await client.next("snapshot")]
            while not parts[-1]["last"]:
                parts.append(await client.next("snapshot"))
            assert len(parts) == 10
            assert len({part["position"] for part in parts}) == 1
            assert sorted(starts(parts)) == list(range(5000))

    play(scene)


def test_a_client_that_takes_nothing_at_all_is_disconnected_in_the_end(redis_url, monkeypatch):
    monkeypatch.setattr(session, "STALLED_S", 0.5)

    async def scene():
        writer = Writer(redis_url)
        async with served(redis_url, queue_bytes=1 << 12) as url, stuck(url) as slow:
            await slow.subscribe("market.nbbo")
            await slow.next("snapshot")
            before = count(DISCONNECTED)
            number = 0
            while count(DISCONNECTED) == before:
                await asyncio.to_thread(writer.quotes, number, STEP)
                number += STEP
                await asyncio.sleep(0.02)
            assert count(DISCONNECTED) == before + 1

    play(scene)


@pytest.mark.parametrize(("kind", "sign"), [("bars", DISCONNECTED), ("quotes", CONFLATED)])
def test_what_waits_for_a_slow_client_is_bounded(redis_url, kind, sign, monkeypatch):
    waiting: list[int] = []
    flush = FrameQueue.flush

    def measured(self: FrameQueue) -> None:
        flush(self)
        waiting.append(self.waiting())

    monkeypatch.setattr(FrameQueue, "flush", measured)

    async def scene():
        writer = Writer(redis_url)
        channel = "market.bars" if kind == "bars" else "market.nbbo"
        async with served(redis_url, queue_bytes=QUEUE) as url, stuck(url) as slow:
            await slow.subscribe(channel)
            await slow.next("snapshot")
            total = await write_until_slow(writer, kind, sign)
            await asyncio.to_thread(getattr(writer, kind), total, 20 * STEP)

    play(scene)
    # One frame, of a thousand records at the most, may come on top.
    assert max(waiting) < QUEUE + 250_000


def test_json_is_spoken_where_nothing_is_asked_for(redis_url):
    async def scene():
        async with served(redis_url) as url, connected(url, encoding=JSON) as client:
            assert client.connection.subprotocol == JSON
            assert client.connection.protocol.extensions == []

    play(scene)


class Full:
    """An outlet that keeps what it is given until it is emptied."""

    def __init__(self) -> None:
        self.kept = 0

    def write(self, data: bytes) -> None:
        self.kept += len(data)

    def waiting(self) -> int:
        return self.kept

    def keep(self) -> None:
        """Give way to nobody."""

    def close(self, code: int, reason: str) -> None:
        raise AssertionError


def test_only_the_last_snapshot_leaves_room_behind():
    outlet = Full()
    outbox = FrameQueue(outlet, 100, lambda: None)
    for _ in range(1000):
        outbox.write_asked(b"x" * 1000)
        outbox.flush()
        assert not outbox.full()
        outlet.kept = 0
    while not outbox.full():
        outbox.write(b"x")
        outbox.flush()
    assert outlet.kept == 100 + 1000 + 1


def large_table(writer: Writer) -> None:
    """Write bars of 20 MB, which no socket holds."""
    for first in range(0, 10_000, 500):
        made = [bar(f"S{n}", n) | {"note": "x" * 2000} for n in range(first, first + 500)]
        writer.write("bars", made, [record["symbol"] for record in made])


def test_a_client_that_only_half_hangs_up_is_gone(redis_url, monkeypatch):
    monkeypatch.setattr(connection, "CLOSE_S", 0.2)

    async def scene():
        large_table(Writer(redis_url))
        # Not blocked: then it is not heard at all, and cut off as stalled.
        async with served(redis_url, queue_bytes=1 << 26) as url, stuck(url) as slow:
            await slow.send(type="subscribe", channel="market.bars")
            await asyncio.sleep(0.5)
            assert count("headrace_feed_clients") == 1
            slow.connection.transport.get_extra_info("socket").shutdown(socket.SHUT_WR)
            async with asyncio.timeout(SECONDS):
                while count("headrace_feed_clients"):
                    await asyncio.sleep(0.05)

    play(scene)


def test_who_reads_slowly_but_reads_is_not_stalled(redis_url, monkeypatch):
    monkeypatch.setattr(session, "STALLED_S", 5.0)

    async def scene():
        large_table(Writer(redis_url))
        bounds = {"queue_bytes": 1 << 12, "heartbeat": "100ms"}
        async with served(redis_url, **bounds) as url, stuck(url) as slow:
            await slow.subscribe("market.bars")
            began = time.monotonic()
            parts = [await slow.next("snapshot")]
            while not parts[-1]["last"]:
                await asyncio.sleep(0.3)
                parts.append(await slow.next("snapshot"))
            assert time.monotonic() - began > 5.0, "it took longer than a stalled client may"
            assert sorted(starts(parts)) == list(range(10_000))
            await slow.next("heartbeat")

    play(scene)


def test_there_is_an_end_to_the_channels_of_one_client(redis_url):
    async def scene():
        limits = {"requests_per_second": 10_000}
        async with served(redis_url, **limits) as url, connected(url) as client:
            for number in range(MAX_WIDE):
                said = await client.subscribe(f"market.bars?interval={number}s")
                assert said["type"] == "subscribed"
                await client.next("snapshot")
            refused = await client.subscribe("market.bars?interval=1h")
            assert (refused["type"], refused["code"]) == ("error", "too-many")
            for number in range(MAX_SUBSCRIPTIONS - MAX_WIDE):
                said = await client.subscribe(f"market.bars?symbol=S{number}")
                assert said["type"] == "subscribed"
                await client.next("snapshot")
            refused = await client.subscribe("market.bars?symbol=AAPL")
            assert (refused["type"], refused["code"]) == ("error", "too-many")

    play(scene)
