"""How much a client may send and hold, and what is no request; over real sockets."""

from __future__ import annotations

import asyncio
import time

import orjson
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from connectors.web.limits import MAX_CHARACTERS
from tests.connectors.web.feeds import connected, play, served
from tests.connectors.web.sockets import EMPTY_PART, FIRST_PART, PING, raw, upgrade


def test_messages_that_are_too_large_or_wrong(redis_url):
    async def scene():
        async with served(redis_url, message_bytes=2048) as url, connected(url) as client:
            for wrong in ("{", "[]", '{"type":1}', '{"type":"what"}', '{"type":"subscribe"}',
                          '{"type":"subscribe","channel":"market.bars","after":"yesterday"}',
                          '{"type":"unsubscribe","channel":[]}', "\x00"):  # fmt: skip
                await client.connection.send(wrong)
                assert (await client.next("error"))["code"] == "bad-message", wrong
            for unknown in ("", "market", "market.nope", "market.bars?x=1", "market.bars?symbol",
                            "market.bars?symbol=A&symbol=B"):  # fmt: skip
                assert (await client.subscribe(unknown))["code"] == "unknown-channel", unknown
            assert (await client.subscribe("market.bars"))["type"] == "subscribed"
            await client.connection.send("x" * 2049)
            assert (await client.closing())[0] == 1009

    play(scene)


def test_rates_of_messages_and_connections(redis_url):
    async def scene():
        async with (
            served(redis_url, requests_per_second=10) as url,
            connected(url) as client,
        ):
            for _ in range(40):
                await client.send(type="unsubscribe", channel="x")
            assert (await client.closing())[0] == 4009
        async with served(redis_url, connections_per_second=5) as url:
            answers = [await attempt(url) for _ in range(10)]
            assert answers[:5] == [101] * 5
            assert answers.count(429) >= 4
            await asyncio.sleep(0.5)
            assert await attempt(url) == 101
        async with served(redis_url, clients=1) as url, connected(url) as client:
            await client.subscribe("market.bars")
            assert await attempt(url) == 503

    async def attempt(url: str) -> int:
        try:
            async with connect(url, compression=None):
                return 101
        except InvalidStatus as error:
            return error.response.status_code

    play(scene)


@pytest.mark.parametrize("start", [b"", b"GET /live HT", b"GET /live HTTP/1.1\r\nHost: x\r\n"])
def test_a_client_that_never_ends_its_request_is_cut_off(redis_url, start):
    async def scene():
        async with served(redis_url, header_timeout="500ms") as url:
            port = int(url.rpartition(":")[2].partition("/")[0])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            began = time.monotonic()
            writer.write(start)
            drip = asyncio.create_task(drop_by_drop(writer, start))
            assert b" 408 " in await reader.readline()
            await reader.read()
            assert time.monotonic() - began > 0.4
            drip.cancel()
            writer.close()

    async def drop_by_drop(writer, start: bytes) -> None:
        while start.endswith(b"\r\n"):
            writer.write(b"a: b\r\n")
            await asyncio.sleep(0.05)

    play(scene)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /live HTTP/1.1\r\nA: " + b"x" * 200_000, 431),
        (b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    ],
    ids=["an endless header", "a long URL", "TLS"],
)
def test_what_is_no_request_is_answered_with_a_problem(redis_url, sent, status):
    async def scene():
        async with served(redis_url) as url:
            port = int(url.rpartition(":")[2].partition("/")[0])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 %d " % status)
            assert b"content-type: application/problem+json" in head.lower()
            length = int(head.lower().partition(b"content-length: ")[2].split()[0])
            found = orjson.loads(await reader.readexactly(length))
            assert (found["type"], found["status"]) == ("about:blank", status)
            writer.close()

    play(scene)


@pytest.mark.parametrize("frame", [PING, EMPTY_PART], ids=["pings", "empty parts"])
def test_every_frame_counts_as_a_message(redis_url, frame):
    async def scene():
        async with served(redis_url) as url:
            reader, writer = await raw(url)
            writer.write(FIRST_PART + frame * 50_000)
            answer = await reader.read()
            writer.close()
            assert b"too many messages" in answer
            assert len(answer) < 10_000

    play(scene)


def test_a_broken_frame_is_logged_once(redis_url, log):
    async def scene():
        async with served(redis_url) as url:
            _, writer = await raw(url)
            for _ in range(20):
                writer.write(b"\xff" * 100)
                await asyncio.sleep(0.01)
            writer.close()

    play(scene)
    assert [d["reason"] for d in log() if not d["allowed"]] == ["bad frame"]


def test_a_host_that_is_none_is_refused(redis_url):
    async def scene():
        async with served(redis_url) as url:
            port = int(url.rpartition(":")[2].partition("/")[0])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(upgrade("[", "Origin: http://[\r\n"))
            assert b" 403 " in await reader.readline()
            writer.close()

    play(scene)


ASKED = {
    "/ws": "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
    "/live": "",
}


@pytest.mark.parametrize(
    ("path", "version", "hosts", "status"),
    [
        ("/ws", "1.1", 1, 101),
        ("/ws", "1.1", 2, 400),
        ("/ws", "1.1", 0, 400),
        ("/ws", "1.0", 1, 400),
        ("/ws", "0.9", 1, 400),
        ("/live", "1.1", 1, 200),
        ("/live", "1.1", 2, 400),
        ("/live", "1.1", 0, 400),
        ("/live", "1.0", 1, 200),
    ],
)
def test_a_request_names_one_host_and_an_upgrade_is_of_http_1_1(
    redis_url, path, version, hosts, status
):
    async def scene():
        async with served(redis_url) as url:
            port = int(url.rpartition(":")[2].partition("/")[0])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            named = f"Host: 127.0.0.1:{port}\r\n" * hosts
            writer.write(f"GET {path} HTTP/{version}\r\n{named}{ASKED[path]}\r\n".encode())
            assert b" %d " % status in await reader.readline()
            writer.close()

    play(scene)


def test_the_channels_of_a_client_are_bounded_in_bytes(redis_url, log):
    """Case: 500 channels of 4,096 characters once held 150 MB for one client."""

    async def scene():
        async with (
            served(redis_url, requests_per_second=1000) as url,
            connected(url) as client,
        ):
            held = []
            values = ",".join(f"{number:x}" for number in range(1000, 1950))
            for number in range(100):
                channel = f"market.bars?symbol=S{number:02d},{values}"
                answer = await client.subscribe(channel)
                if answer["type"] == "error":
                    assert answer["code"] == "too-many"
                    assert len(answer["channel"]) <= 200
                    break
                await client.next("snapshot")
                held.append(answer["channel"])
            assert held
            assert (
                2 * len(channel) * len(held) <= MAX_CHARACTERS < 2 * len(channel) * (len(held) + 1)
            )
            await client.send(type="unsubscribe", channel=held[0])
            assert (await client.subscribe(channel))["asked"] == channel

    play(scene)
    assert all(len(d["what"]) <= 256 for d in log())
