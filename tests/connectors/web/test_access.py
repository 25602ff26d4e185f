"""Who is let in, how far, and how much; over real sockets."""

from __future__ import annotations

import asyncio
import logging
import ssl
import subprocess
import time
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from prometheus_client import REGISTRY
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from benchmarks.web.writer import Writer
from connectors.web.client import follow
from connectors.web.limits import MAX_CHARACTERS
from connectors.web.tokens import LOOK_SECONDS
from state.errors import Misuse
from tests.connectors.web.feeds import connected, play, served, starts
from tests.connectors.web.keys import EC, ED, jwks, token


@pytest.fixture
def keys(tmp_path):
    return jwks(tmp_path / "jwks.json", ED)


@pytest.fixture
def log(caplog):
    """The decisions that were logged; no token may be among them."""
    caplog.set_level(logging.INFO, "headrace.access")

    def decisions() -> list[dict]:
        records = [r for r in caplog.records if r.name == "headrace.access"]
        return [orjson.loads(record.getMessage()) for record in records]

    yield decisions
    assert "eyJ" not in caplog.text


PING = b"\x89\x80\0\0\0\0"
FIRST_PART, EMPTY_PART = b"\x01\x80\0\0\0\0", b"\x00\x80\0\0\0\0"
"""Frames without content, masked with zeros (RFC 6455, section 5.2)."""


def upgrade(host: str, more: str = "") -> bytes:
    """Return a request for the WebSocket."""
    return (
        f"GET /ws HTTP/1.1\r\nHost: {host}\r\n{more}Connection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    ).encode()


async def raw(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return a connection that has shaken hands and speaks by bytes."""
    port = int(url.rpartition(":")[2].partition("/")[0])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(upgrade(f"127.0.0.1:{port}"))
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    return reader, writer


def refusals(reason: str) -> float:
    return REGISTRY.get_sample_value("headrace_feed_refused_total", {"reason": reason}) or 0.0


def bearer(text: str) -> dict[str, Any]:
    return {"additional_headers": {"Authorization": f"Bearer {text}"}}


def test_without_a_token_nothing_is_given(redis_url, keys, log):
    async def scene():
        async with served(redis_url, jwks=keys, header_timeout="300ms") as url:
            async with connected(url) as client:
                await client.send(type="subscribe", channel="market.bars")
                assert (await client.next("error"))["code"] == "unauthenticated"
                assert (await client.closing())[0] == 4001
            async with connected(url) as client:
                assert await client.closing() == (4001, "no token came in time")
            for text in ("nonsense", token(exp=1), token(EC, "ES256")):
                async with connected(url, **bearer(text)) as client:
                    assert (await client.closing())[0] == 4001
                async with connected(url) as client:
                    await client.send(type="auth", token=text)
                    assert (await client.closing())[0] == 4001

    before = refusals("unauthenticated")
    play(scene)
    assert refusals("unauthenticated") == before + 8
    assert sum(d.get("count", 1) for d in log() if not d["allowed"]) == 8
    assert not any(d["allowed"] for d in log())


def test_a_token_comes_in_the_header_or_in_the_first_message(redis_url, keys, log):
    async def scene():
        async with served(redis_url, jwks=keys) as url:
            async with connected(url, **bearer(token())) as client:
                assert (await client.subscribe("market.bars"))["type"] == "subscribed"
            async with connected(url) as client:
                await client.send(type="auth", token=token())
                assert (await client.subscribe("market.bars"))["type"] == "subscribed"

    play(scene)
    assert {(d["sub"], d["what"]) for d in log()} == {
        ("desk", "auth"),
        ("desk", "subscribe market.bars"),
    }


def test_scopes_hold_for_each_channel(redis_url, keys, log):
    async def scene():
        async with (
            served(redis_url, jwks=keys) as url,
            connected(url, **bearer(token(scope="read:market.bars control"))) as client,
        ):
            refused = await client.subscribe("market.nbbo")
            assert (refused["code"], refused["channel"]) == ("forbidden", "market.nbbo")
            assert (await client.subscribe("market.bars"))["type"] == "subscribed"

    play(scene)
    assert [d["what"] for d in log() if not d["allowed"]] == ["subscribe market.nbbo"]


def test_row_filters_limit_what_is_seen(redis_url, keys):
    async def scene():
        writer = Writer(redis_url)
        writer.bars(0, 10)
        limited = token(rows={"symbol": ["S1", "S2"]})
        async with served(redis_url, jwks=keys) as url:
            async with (
                connected(url, **bearer(limited)) as client,
                connected(url, **bearer(token())) as other,
            ):
                await client.subscribe("market.bars")
                assert sorted(starts([await client.next("snapshot")])) == [1, 2]
                await other.subscribe("market.bars")
                position = (await other.next("snapshot"))["position"]
                writer.bars(10, 10)
                assert starts([await client.next("delta")]) == [11, 12]
                assert starts([await other.next("delta")]) == list(range(10, 20))
                asked = await client.subscribe("market.bars?symbol=S1,S5")
                assert asked["type"] == "subscribed"
                assert starts([await client.next("snapshot")]) == [11]
                assert (await client.subscribe("trading.state"))["code"] == "forbidden"
                assert (await client.subscribe("market.audit"))["code"] == "forbidden"
            async with connected(url, **bearer(limited)) as client:
                await client.subscribe("market.bars", position)
                assert starts([await client.next("delta")]) == [11, 12]

    play(scene)


def test_a_token_that_expires_ends_the_connection_unless_renewed(redis_url, keys):
    async def scene():
        async with served(redis_url, jwks=keys) as url:
            short = int(time.time()) + 2
            async with (
                connected(url, **bearer(token(exp=short))) as client,
                connected(url, **bearer(token(exp=short))) as renewed,
            ):
                await renewed.send(type="auth", token=token())
                assert (await client.closing())[0] == 4010
                assert short <= time.time() < short + 1.5
                assert (await renewed.subscribe("market.bars"))["type"] == "subscribed"

    play(scene)


def test_a_renewal_gives_no_more_and_takes_what_it_lacks(redis_url, keys):
    async def scene():
        async with served(redis_url, jwks=keys) as url:
            async with connected(url, **bearer(token())) as client:
                await client.subscribe("market.bars")
                await client.next("snapshot")
                await client.send(type="auth", token=token(scope="read:market.nbbo"))
                assert (await client.next("error"))["code"] == "forbidden"
                assert (await client.subscribe("market.bars"))["code"] == "forbidden"
            for changed in ({"sub": "other"}, {"rows": {"symbol": ["A"]}}):
                async with connected(url, **bearer(token())) as client:
                    await client.send(type="auth", token=token(**changed))
                    assert (await client.closing())[0] == 4003

    play(scene)


def test_keys_rotate_without_a_restart(redis_url, keys):
    async def scene():
        async with served(redis_url, jwks=keys) as url:
            jwks(keys, EC)
            await asyncio.sleep(LOOK_SECONDS)
            async with connected(url, **bearer(token(EC, "ES256"))) as client:
                assert (await client.subscribe("market.bars"))["type"] == "subscribed"
            async with connected(url, **bearer(token(ED))) as client:
                assert (await client.closing())[0] == 4001

    play(scene)


def test_pages_of_others_are_refused(redis_url):
    async def status(url: str, **headers: str) -> int:
        try:
            async with connect(url, additional_headers=headers, compression=None):
                return 101
        except InvalidStatus as error:
            return error.response.status_code

    async def scene():
        async with served(redis_url, origins=["https://desk.example"]) as url:
            own = url.replace("ws", "http", 1).removesuffix("/ws")
            assert await status(url) == 101
            assert await status(url, Origin=own) == 101
            assert await status(url, Origin="https://desk.example") == 101
            assert await status(url, Origin="https://evil.example") == 403
            assert await status(url, Origin="null") == 403
            port = own.rpartition(":")[2]
            raw = await asyncio.open_connection("127.0.0.1", int(port))
            # A name of theirs that leads to this machine.
            rebound = f"evil.example:{port}"
            assert b" 403 " in await asked(*raw, rebound, f"http://{rebound}")
            assert await status(url + "/else") == 404

    async def asked(reader, writer, host: str, origin: str) -> bytes:
        writer.write(upgrade(host, f"Origin: {origin}\r\n"))
        answer: bytes = await reader.readline()
        writer.close()
        return answer

    play(scene)


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


def test_others_are_not_served_without_keys(redis_url):
    async def scene():
        async with served(redis_url, host="0.0.0.0"):
            pass

    with pytest.raises(Misuse, match=r"feed\.jwks"):
        play(scene)


def test_tls(redis_url, tmp_path, keys):
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    words = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate]
    subprocess.run(["openssl", "req", *words, *names], check=True, capture_output=True)
    trusting = ssl.create_default_context(cafile=certificate)

    @asynccontextmanager
    async def secured(**feed):
        async with served(redis_url, jwks=keys, tls_certificate=certificate, **feed) as url:
            yield url

    async def scene():
        async with secured(tls_key=key) as url:
            assert url.startswith("wss://")
            origin = url.replace("wss", "https", 1).removesuffix("/ws")
            async with connected(url, ssl=trusting, origin=origin, **bearer(token())) as client:
                assert (await client.subscribe("market.bars"))["type"] == "subscribed"
        for wrong in ({}, {"tls_key": keys}, {"tls_key": tmp_path / "none"}):
            with pytest.raises(Misuse, match="tls_"):
                async with secured(**wrong):
                    pass

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


def test_the_python_client_goes_on_with_a_new_token(redis_url, keys):
    async def scene():
        writer = Writer(redis_url)
        writer.bars(0, 10)
        made: list[int] = []

        def fresh() -> str:
            made.append(int(time.time()) + 2)
            return token(exp=made[-1])

        async with served(redis_url, jwks=keys) as url:
            found: list[int] = []
            async for update in follow(url, ["market.bars"], fresh):
                if update.kind == "status":
                    continue
                found += [record["start_ns"] for record in update.records]
                if len(found) > 25:
                    break
                await asyncio.sleep(1.2)
                writer.bars(len(found), 5)
        assert sorted(found) == list(range(len(found)))
        assert len(made) > 1

    play(scene)


def test_a_limited_client_gets_the_newest_of_what_it_may_see(redis_url, keys):
    async def scene():
        writer = Writer(redis_url)
        gaps = [
            {"id": str(n), "ts_ns": n, "symbol": "B" if n else "A", "venue": "X", "type": "trade",
             "first_missing": n, "last_missing": n, "count": 1}
            for n in range(200)
        ]  # fmt: skip
        async with (
            served(redis_url, jwks=keys) as url,
            connected(url, **bearer(token())) as other,
            connected(url, **bearer(token(rows={"symbol": ["A"]}))) as client,
        ):
            await other.subscribe("market.gaps")
            await other.next("snapshot")
            writer.write("gaps", gaps, [""] * len(gaps))
            await other.next("delta")
            await client.subscribe("market.gaps")
            assert [r["ts_ns"] for r in (await client.next("snapshot"))["records"]] == ["0"]

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
