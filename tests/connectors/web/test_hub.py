"""The feed over real sockets, against a real Valkey: nothing left out, nothing twice."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest
import redis

from benchmarks.web.writer import Writer
from connectors.redis.keys import Keys
from connectors.redis.reader import promote
from connectors.web import hub
from connectors.web.frames import JSON, MSGPACK
from connectors.web.mirror import Mirror
from connectors.web.tail import Tail
from tests.connectors.web.feeds import bars_until, connected, play, served, starts


@pytest.mark.parametrize("encoding", [JSON, MSGPACK])
def test_a_snapshot_then_every_delta(redis_url, encoding):
    async def scene():
        writer = Writer(redis_url)
        writer.bars(0, 25)
        async with served(redis_url) as url, connected(url, encoding=encoding) as client:
            said = await client.subscribe("market.bars?symbol=S3,S1&interval=1s")
            assert said["channel"] == "market.bars?interval=1s&symbol=S1,S3"
            assert (said["policy"], said["resumed"]) == ("every", False)
            snapshot = await client.next("snapshot")
            assert snapshot["last"]
            assert sorted(starts([snapshot])) == [21, 23]
            expected = int if encoding == MSGPACK else str
            assert {type(record["start_ns"]) for record in snapshot["records"]} == {expected}
            writer.bars(25, 10)
            assert await bars_until(client, 33) == [31, 33]
            await client.send(type="unsubscribe", channel=said["channel"])
            writer.bars(35, 10)
            await client.subscribe("market.signals")
            assert (await client.next("snapshot"))["records"] == []

    play(scene)


def test_an_output_without_a_table_begins_with_its_newest_records(redis_url):
    async def scene():
        writer = Writer(redis_url)
        gaps = [
            {"id": str(n), "ts_ns": n, "symbol": "A", "venue": "X", "type": "trade",
             "first_missing": n, "last_missing": n, "count": 1}
            for n in range(150)
        ]  # fmt: skip
        writer.write("gaps", gaps, [""] * len(gaps))
        async with served(redis_url) as url, connected(url) as client:
            await client.subscribe("market.gaps")
            snapshot = await client.next("snapshot")
            assert [int(r["ts_ns"]) for r in snapshot["records"]] == list(range(50, 150))

    play(scene)


def test_fields_made_of_a_scope_can_be_filtered_by(redis_url):
    async def scene():
        writer = Writer(redis_url)
        scopes = ["symbol:A", "portfolio:A", "portfolio:B"]
        signals = [
            {"id": str(n), "ts_ns": n, "scope": scope, "kind": "breach_up", "method": "m",
             "value": 1.0, "threshold": 0.5}
            for n, scope in enumerate(scopes)
        ]  # fmt: skip
        writer.write("signals", signals, [""] * len(signals))
        async with served(redis_url) as url, connected(url) as client:
            for channel, expected in (
                ("market.signals?portfolio=A", [1]),
                ("market.signals?symbol=A", [0]),
                ("market.signals?scope=portfolio:B,symbol:A", [0, 2]),
            ):
                await client.subscribe(channel)
                snapshot = await client.next("snapshot")
                assert [int(r["ts_ns"]) for r in snapshot["records"]] == expected

    play(scene)


def test_a_new_generation_is_followed_at_once(redis_url):
    async def scene():
        Writer(redis_url).bars(0, 10)
        async with served(redis_url) as url, connected(url) as client:
            await client.subscribe("market.bars?symbol=S1")
            old = (await client.next("snapshot"))["position"]
            Writer(redis_url, generation=2).bars(100, 10)
            with redis.Redis.from_url(redis_url) as connection:
                promote(connection, "market", 2)
            assert (await client.next("reset"))["reason"] == "generation"
            snapshot = await client.next("snapshot")
            assert (starts([snapshot]), snapshot["position"][:2]) == ([101], "2:")
            await client.subscribe("market.bars", old)
            assert (await client.next("reset"))["reason"] == "generation"

    play(scene)


def test_redis_that_was_emptied_is_told(redis_url):
    async def scene():
        Writer(redis_url).bars(0, 10)
        async with served(redis_url) as url, connected(url) as client:
            await client.subscribe("market.bars")
            await client.next("snapshot")
            with redis.Redis.from_url(redis_url) as connection:
                connection.flushdb()
            assert (await client.next("reset"))["reason"] == "redis-lost"
            assert (await client.next("snapshot"))["records"] == []
            Writer(redis_url).bars(0, 5)
            # The first write of another run is a beginning, not a loss.
            assert await bars_until(client, 4) == list(range(5))

    play(scene)


def test_redis_that_stops_makes_the_feed_stale_until_it_is_back(own_valkey):
    async def scene():
        writer = Writer(own_valkey.url)
        writer.bars(0, 10)
        async with served(own_valkey.url) as url, connected(url) as client:
            await client.subscribe("market.bars")
            await client.next("snapshot")
            await asyncio.to_thread(own_valkey.kill)
            assert (await client.beat(ok=False))["sources"]["redis"]["age_ms"] >= 0
            async with connected(url) as late:
                await late.send(type="subscribe", channel="market.bars?symbol=S1")
                assert (await late.next("subscribed"))["resumed"] is False
                assert starts([await late.next("snapshot")]) == [1]
            await asyncio.to_thread(own_valkey.start)
            await client.beat(ok=True)
            await asyncio.to_thread(writer.bars, 10, 10)
            assert await bars_until(client, 19) == list(range(10, 20))

    play(scene)


def test_a_feed_that_starts_before_redis_begins_when_it_is_there(own_valkey):
    async def scene():
        writer = Writer(own_valkey.url)
        writer.bars(0, 10)
        await asyncio.to_thread(own_valkey.kill)
        async with served(own_valkey.url) as url, connected(url) as client:
            await client.send(type="subscribe", channel="market.bars")
            await client.beat(ok=False)
            await asyncio.to_thread(own_valkey.start)
            await client.next("subscribed")
            assert sorted(starts([await client.next("snapshot")])) == list(range(10))

    play(scene)


def test_nothing_stays_of_clients_that_are_gone(redis_url, monkeypatch):
    hubs: list[hub.Hub] = []
    made = hub.Hub.__init__

    def seen(self: hub.Hub, *args: Any) -> None:
        made(self, *args)
        hubs.append(self)

    monkeypatch.setattr(hub.Hub, "__init__", seen)

    async def scene():
        async with served(redis_url) as url:
            for _ in range(3):
                async with connected(url) as client:
                    await client.subscribe("market.bars?symbol=S1")
            await asyncio.sleep(0.2)
            (only,) = hubs
            assert not only.sessions
            assert not only._groups
            assert not only._joining.under_way
            assert not any(only._routes.values())

    play(scene)


@pytest.mark.parametrize("read", ["look", "load"])
def test_a_switch_that_redis_interrupts_is_done_in_the_end(redis_url, read, monkeypatch):
    """Each output is loaded by a read of its own; here one after the first fails."""
    works, calls = getattr(Tail, read), [0]

    async def fails_once(self: Tail, keys: Keys, what: Any) -> Any:
        if keys.generation == 2 and (read == "look" or what == "nbbo"):
            calls[0] += 1
            if calls[0] == 1:
                raise ConnectionError
        return await works(self, keys, what)

    monkeypatch.setattr(Tail, read, fails_once)

    async def scene():
        Writer(redis_url).quotes(0, 10)
        async with served(redis_url) as url, connected(url) as client:
            await client.subscribe("market.nbbo?symbol=S1")
            await client.next("snapshot")
            Writer(redis_url, generation=2).quotes(100, 10)
            with redis.Redis.from_url(redis_url) as connection:
                promote(connection, "market", 2)
            assert (await client.next("reset"))["reason"] == "generation"
            snapshot = await client.next("snapshot")
            assert [record["ts_ns"] for record in snapshot["records"]] == ["101"]
            assert snapshot["position"][:2] == "2:"

    play(scene)
    assert calls[0] > 1


def test_a_stream_that_was_emptied_is_not_lost_again_and_again(redis_url):
    async def scene():
        writer = Writer(redis_url)
        writer.bars(0, 10)
        async with served(redis_url) as url, connected(url) as client:
            await client.subscribe("market.bars?symbol=S1")
            await client.next("snapshot")
            with redis.Redis.from_url(redis_url) as connection:
                connection.xtrim(Keys("market", 1).stream("bars"), maxlen=0, approximate=False)
            await asyncio.sleep(2 * hub.LOOK_S)
            writer.bars(10, 10)
            assert await bars_until(client, 11) == [11]

    play(scene)


def test_a_quiet_channel_is_told_how_far_it_is(redis_url):
    """With the heartbeats while it is followed, and at once when it is resumed."""

    async def scene():
        writer = Writer(redis_url)
        writer.bars(0, 10)
        async with served(redis_url) as url, connected(url) as other:
            await other.subscribe("market.bars")
            await other.next("snapshot")
            async with connected(url) as client:
                await client.subscribe("market.bars?symbol=Z")
                old = (await client.next("snapshot"))["position"]
                writer.bars(10, 90)
                while (told := (await client.next("position"))["position"]) == old:
                    pass
                assert await bars_until(other, 99) == list(range(10, 100))
            async with connected(url) as client:
                assert (await client.subscribe("market.bars?symbol=Z", old))["resumed"]
                assert (await client.next("position"))["position"] >= told

    play(scene)


def test_a_key_that_leaves_a_channel_is_told_to_have_left(redis_url):
    def risk(symbol: str, number: int, *, valid: bool) -> dict[str, Any]:
        identity = {"scope": f"symbol:{symbol}", "method": "m", "interval": "1s"}
        rest = {"confidence": 0.99, "horizon": 1, "valid": valid, "ts_ns": number}
        return {**identity, **rest, "id": f"{symbol}|{number}"}

    async def scene():
        writer = Writer(redis_url)

        def write(*records: dict[str, Any]) -> None:
            writer.write("risk", list(records), [r["scope"] for r in records])

        def seen(message: dict[str, Any]) -> list[tuple[int, bool]]:
            return [(int(r["ts_ns"]), r["valid"]) for r in message["records"]]

        write(risk("A", 0, valid=True), risk("B", 1, valid=False))
        async with served(redis_url) as url, connected(url) as client:
            await client.subscribe("market.risk?valid=true")
            snapshot = await client.next("snapshot")
            assert seen(snapshot) == [(0, True)]
            write(risk("A", 2, valid=False), risk("A", 3, valid=False), risk("B", 4, valid=False))
            assert seen(await client.next("delta")) == [(2, False)]
            write(risk("B", 5, valid=True), risk("C", 6, valid=False))
            assert seen(await client.next("delta")) == [(5, True)]
            async with connected(url) as again:
                await again.subscribe("market.risk?valid=true", snapshot["position"])
                assert seen(await again.next("delta")) == [(2, False), (5, True)]
        # What C was before is not known any more: then it is told, whatever it was.
        async with served(redis_url) as url, connected(url) as client:
            await client.subscribe("market.risk?valid=true", snapshot["position"])
            found = seen(await client.next("delta"))
            assert found == [(2, False), (5, True), (6, False)]

    play(scene)


def test_a_reset_makes_one_snapshot_for_all_who_get_the_same(redis_url, monkeypatch):
    snapshot, made = Mirror.snapshot, [0]

    def counted(self: Mirror, *args: Any) -> Any:
        made[0] += 1
        return snapshot(self, *args)

    async def scene():
        Writer(redis_url).bars(0, 10)
        async with served(redis_url) as url, AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(connected(url)) for _ in range(5)]
            for client in clients:
                await client.subscribe("market.bars")
                await client.next("snapshot")
            monkeypatch.setattr(Mirror, "snapshot", counted)
            Writer(redis_url, generation=2).bars(100, 10)
            with redis.Redis.from_url(redis_url) as connection:
                promote(connection, "market", 2)
            for client in clients:
                await client.next("reset")
                assert sorted(starts([await client.next("snapshot")])) == list(range(100, 110))

    play(scene)
    assert made[0] == 1


def test_a_channel_is_left_by_either_of_its_spellings(redis_url):
    """A page that leaves at once does not know the canonical one yet."""

    async def scene():
        async with served(redis_url) as url, connected(url) as client:
            await client.subscribe("market.bars")
            await client.next("snapshot")
            asked = "market.bars?symbol=S1&interval=1s"
            for named in (asked, "market.bars?interval=1s&symbol=S1"):
                await client.send(type="subscribe", channel=asked)
                await client.send(type="unsubscribe", channel=named)
                assert (await client.next("subscribed"))["asked"] == asked
                await client.next("snapshot")
            await client.send(type="unsubscribe", channel=asked)
            assert (await client.next("error"))["code"] == "bad-message"

    play(scene)
