"""Who is let in, and how far; over real sockets."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import time
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import REGISTRY
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from benchmarks.web.writer import Writer
from connectors.web.client import follow
from connectors.web.tokens import LOOK_SECONDS
from state.errors import Misuse
from tests.connectors.web.feeds import connected, play, served, starts
from tests.connectors.web.keys import EC, ED, jwks, token
from tests.connectors.web.sockets import upgrade


@pytest.fixture
def keys(tmp_path):
    return jwks(tmp_path / "jwks.json", ED)


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
