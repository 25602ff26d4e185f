"""The feed obeys retractions, and opens sealed records for those who may unseal."""

from __future__ import annotations

import asyncio
import random
import uuid
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx2
import orjson
import pytest
import redis
from pydantic import SecretStr

from connectors.redis.keys import Keys
from connectors.redis.sink import RedisSink
from connectors.web.channels import Source, parse, sources_of
from connectors.web.client import Table, follow
from connectors.web.frames import START
from connectors.web.groups import Group
from connectors.web.mirror import FeedEntry, Loaded, Mirror, OpenedMirror
from connectors.web.tokens import ANYONE, Access
from flows.feed import gateway, rest
from state.lifecycle import Lifecycle
from state.outputs import LATEST, Column, Kind, Output, to_json
from state.records import OutputBatch
from state.retraction import retraction
from state.sealing import Keyring, Seal
from state.shards import shard_name
from tests.connectors.web.feeds import Client, connected, play, served
from tests.connectors.web.receiving import Receiver, file, listening
from tests.connectors.web.rest.rig import Issuer

_TEXTS = ("id", "bed", "ward", "note")
COLUMNS = (*(Column(name, Kind.TEXT) for name in _TEXTS), Column("ts_ns", Kind.INT))
BEDS = Output("wards", "beds", "ts_ns", COLUMNS, key=("bed",), filters=("ward", "bed"))
LATEST_BEDS = replace(BEDS, name="now", policy=LATEST)
SECRET = replace(BEDS, name="secret", secret=True)
OUTPUTS = (BEDS, LATEST_BEDS, SECRET)
KEYRING = Keyring.generate()
CANARY = "Canary"


class Writer:
    """Writes records of beds into Redis as a flow does; ``(bed, None)`` is a retraction."""

    def __init__(self, url: str) -> None:
        keys, shard = Keys("wards", 1), shard_name(0)
        lineage = uuid.uuid4().hex
        sink = RedisSink(
            SecretStr(url), keys, lineage, 100_000, [shard], [shard], Lifecycle(), "one"
        )
        self._sink = sink.build_part("redis", shard, None)
        self._counts: dict[str, int] = {}

    def write(self, output: Output, rows: list[tuple[str, str | None]]) -> None:
        first = self._counts.get(output.name, 0) + 1
        self._counts[output.name] = first + len(rows) - 1
        batch = batch_of(output, rows, first)
        self._sink.write_batch([Seal(KEYRING).batch(output, batch) if output.secret else batch])
        self._sink.snapshot()


def batch_of(output: Output, rows: list[tuple[str, str | None]], first: int = 1) -> OutputBatch:
    numbers = range(first, first + len(rows))
    values = [
        retraction(output, n, f"{bed}/{n}", bed)
        if ward is None
        else {"id": f"{bed}/{n}", "bed": bed, "ward": ward, "note": f"{CANARY} {n}", "ts_ns": n}
        for n, (bed, ward) in zip(numbers, rows, strict=True)
    ]
    return OutputBatch(
        output=output.name,
        origin="0",
        first=first,
        times_ns=list(numbers),
        ids=[str(value["id"]) for value in values],
        keys=[bed for bed, _ in rows],
        values=[to_json(value) for value in values],
        retracted=frozenset(row for row, (_, ward) in enumerate(rows) if ward is None),
    )


@asynccontextmanager
async def wards(url: str, monkeypatch, **feed: Any):
    """Serve the outputs of this file."""
    for module in (gateway, rest):
        monkeypatch.setattr(module, "declared_outputs", lambda: OUTPUTS)
    async with served(url, **feed) as address:
        yield address


def told(message: dict[str, Any]) -> list[tuple[str, str | None]]:
    """Return the (bed, ward or None) of the records of a message."""
    return [(r.get("bed") or r["key"], r.get("ward")) for r in message["records"]]


async def until(client: Client, count: int) -> list[tuple[str, str | None]]:
    found: list[tuple[str, str | None]] = []
    while len(found) < count:
        found += told(await client.next("delta"))
    return found


def entries(batch: OutputBatch) -> list[FeedEntry]:
    return [
        FeedEntry((row + 1, 0), batch.origin, batch.first + row, value, row in batch.retracted)
        for row, value in enumerate(batch.values)
    ]


def loaded_mirror(source: Source, mirror: Mirror | None = None) -> Mirror:
    mirror = mirror or Mirror(source)
    mirror.load(1, Loaded(START, True, [], [], {}))
    return mirror


@pytest.mark.parametrize("rows", [None, "A", "B"])
@pytest.mark.parametrize("query", ["", "?ward=A", "?bed=1,2", "?bed=1&ward=B"])
def test_clients_hold_what_they_may_see_whatever_moves_and_leaves(query, rows):
    """Against the definition: of a dict of all beds, those of the channel and of the rows."""
    rng = random.Random(f"{query}{rows}")
    moves = [(rng.choice("1234"), rng.choice(["A", "B", None])) for _ in range(400)]
    sources = sources_of(OUTPUTS)
    channel = parse(f"wards.beds{query}", sources)
    limits = {} if rows is None else {"ward": frozenset({rows})}
    access = Access("ann", frozenset({"read:wards.*"}), limits, None)
    mirror = loaded_mirror(sources["wards.beds"])
    group = Group(channel, access, mirror)
    held: dict[str, dict[str, Any]] = {}
    truth: dict[str, str] = {}
    for entry, (bed, ward) in zip(entries(batch_of(BEDS, moves)), moves, strict=True):
        record = mirror.add(entry)
        assert record is not None
        given = group.gives(record)
        if given is not None and given.retracted:
            held.pop(given.key, None)
        elif given is not None:
            held[given.key] = orjson.loads(given.raw)
        truth.pop(bed, None) if ward is None else truth.update({bed: ward})
        mine = {
            b: w for b, w in truth.items()
            if channel.takes({"bed": b, "ward": w}) and rows in (None, w)
        }  # fmt: skip
        # Who filters by a field that changes also gets the first record that no longer fits.
        shown = {b: r["ward"] for b, r in held.items() if channel.takes({"bed": b, **r})}
        assert shown == mine
        assert rows is None or {r["ward"] for r in held.values()} <= {rows}
        snapshot = mirror.snapshot(channel, group.holds)
        assert {r.key: r.values["ward"] for r in snapshot} == mine


@pytest.mark.parametrize("sealed", [False, True])
def test_a_mirror_that_is_loaded_late_knows_what_one_does_that_saw_all(sealed):
    rng = random.Random(3)
    output = SECRET if sealed else BEDS
    moves = [(rng.choice("123456"), rng.choice(["A", "B", None])) for _ in range(200)]
    batch = batch_of(output, moves)
    batch = Seal(KEYRING).batch(output, batch) if sealed else batch
    source = Source.of(output)
    whole, late = loaded_mirror(source), Mirror(source)
    for number, entry in enumerate(entries(batch)):
        whole.add(entry)
        if number < 150:
            latest = {
                r.key: r.raw
                for r in whole.snapshot(parse(source.name, {source.name: source}), bool)
            }
            newest = entries(batch)[max(0, number - 20) : number + 1]
            late.load(
                1, Loaded(entry.place, False, newest, list(latest.values()), {"0": number + 1})
            )
        else:
            late.add(entry)
        channel = parse(source.name, {source.name: source})
        assert [r.raw for r in late.snapshot(channel, bool)] == [
            r.raw for r in whole.snapshot(channel, bool)
        ]


def test_an_opened_mirror_shows_the_plain_records_and_leaves_out_what_does_not_open(caplog):
    plain = Source.of(replace(SECRET, secret=False))
    moves: list[tuple[str, str | None]] = [("1", "A"), ("2", "B"), ("1", None), ("3", "A")]
    batch = batch_of(SECRET, moves)
    sealed = Seal(KEYRING).batch(SECRET, batch)
    other = Seal(Keyring.generate()).batch(SECRET, batch)
    mirror = loaded_mirror(plain, OpenedMirror(plain, Seal(KEYRING)))
    found = [mirror.add(entry) for entry in [*entries(sealed)[:3], entries(other)[3]]]
    assert [r.raw for r in found if r] == batch.values[:3]
    assert found[3] is None
    assert [r.key for r in mirror.snapshot(parse("wards.secret", {plain.name: plain}), bool)] == [
        "2"
    ]
    assert "does not open" in caplog.text
    assert CANARY not in caplog.text


@pytest.mark.parametrize("output", [BEDS, LATEST_BEDS])
def test_a_retraction_is_a_delta_and_its_key_is_in_no_snapshot(output, redis_url, monkeypatch):
    async def scene():
        writer = Writer(redis_url)
        writer.write(output, [("1", "A"), ("2", "A")])
        async with wards(redis_url, monkeypatch) as url, connected(url) as client:
            await client.subscribe(output.topic)
            assert told(await client.next("snapshot")) == [("1", "A"), ("2", "A")]
            writer.write(output, [("1", None), ("2", "B"), ("2", None), ("2", "A")])
            assert await until(client, 4) == [("1", None), ("2", "B"), ("2", None), ("2", "A")]
            async with connected(url) as later:
                await later.subscribe(output.topic)
                assert told(await later.next("snapshot")) == [("2", "A")]

    play(scene)


def test_a_slow_client_of_latest_values_gets_every_key_s_last_word(redis_url):
    """Conflated by hand: what waits for a client that takes nothing."""
    from connectors.web.groups import Subscription

    source = Source.of(LATEST_BEDS)
    mirror = loaded_mirror(source)
    group = Group(parse(source.name, {source.name: source}), ANYONE, mirror)

    class Slow:
        encoding = "headrace.v1.json"

    waiting = Subscription(Slow(), group, source.name, None)  # type: ignore[arg-type]
    moves: list[tuple[str, str | None]] = [
        ("1", "A"), ("2", "A"), ("3", "A"), ("1", None), ("3", None), ("3", "B"),
    ]  # fmt: skip
    for entry in entries(batch_of(LATEST_BEDS, moves)):
        record = mirror.add(entry)
        assert record is not None
        waiting.pending.update({record.key: record})
    frame = group.late(waiting)
    content = orjson.loads(frame[frame.index(b"{") :])
    assert told(content) == [("2", "A"), ("1", None), ("3", "B")]


def test_a_client_that_was_away_learns_what_was_retracted(redis_url, monkeypatch):
    async def scene():
        writer = Writer(redis_url)
        writer.write(BEDS, [("1", "A"), ("2", "B")])
        async with wards(redis_url, monkeypatch) as url:
            async with connected(url) as client:
                await client.subscribe("wards.beds?ward=A")
                position = (await client.next("snapshot"))["position"]
            writer.write(BEDS, [("1", None), ("2", None), ("3", "A")])
            async with connected(url) as client:
                assert (await client.subscribe("wards.beds?ward=A", position))["resumed"]
                assert await until(client, 2) == [("1", None), ("3", "A")]

    play(scene)


def test_who_is_limited_to_rows_begins_anew_where_it_is_not_known_what_left(
    redis_url, monkeypatch, tmp_path
):
    """A fresh feed cannot know in which ward the bed was whose retraction it reads."""

    async def scene():
        issuer = Issuer(tmp_path)
        token = issuer.header("read:wards.beds", rows={"ward": ["A"]})
        writer = Writer(redis_url)
        writer.write(BEDS, [("1", "A"), ("2", "B")])
        async with (
            wards(redis_url, monkeypatch, jwks=str(issuer.jwks)) as url,
            connected(url, additional_headers=token) as client,
        ):
            await client.subscribe("wards.beds")
            position = (await client.next("snapshot"))["position"]
        writer.write(BEDS, [("1", None), ("2", None), ("3", "A")])
        for n in range(12):
            writer.write(BEDS, [(f"x{n}", "A")] * 10)
        async with (
            wards(redis_url, monkeypatch, jwks=str(issuer.jwks)) as url,
            connected(url, additional_headers=token) as client,
        ):
            await client.send(type="subscribe", channel="wards.beds", after=position)
            await client.next("subscribed")
            assert (await client.next("reset"))["reason"] == "trimmed"
            snapshot = told(await client.next("snapshot"))
            assert [bed for bed, _ in snapshot] == sorted(["3", *(f"x{n}" for n in range(12))])

    play(scene)


def test_a_sealed_output_is_sealed_for_all_but_who_may_unseal(redis_url, monkeypatch, tmp_path):
    monkeypatch.setenv("HEADRACE_SEALING__KEYS", KEYRING.text())

    async def scene():
        issuer = Issuer(tmp_path)
        reader, opener = (issuer.header(f"read:wards.secret{more}") for more in ("", " unseal"))
        limited = issuer.header("read:wards.secret unseal", rows={"ward": ["A"]})
        writer = Writer(redis_url)
        writer.write(SECRET, [("1", "A"), ("2", "B")])
        async with wards(redis_url, monkeypatch, jwks=str(issuer.jwks)) as url:
            async with connected(url, additional_headers=reader) as client:
                await client.subscribe("wards.secret")
                sealed = (await client.next("snapshot"))["records"]
                assert [r.keys() for r in sealed] == [
                    {"id", "key", "key_id", "sealed", "ts_ns"}
                ] * 2
                writer.write(SECRET, [("1", None)])
                (gone,) = (await client.next("delta"))["records"]
                assert gone["retracted"] is True
                assert gone["key"] in {r["key"] for r in sealed}
                assert (await client.subscribe("wards.secret?ward=A"))["type"] == "error"
            async with connected(url, additional_headers=opener) as client:
                await client.subscribe("wards.secret?ward=B")
                assert told(await client.next("snapshot")) == [("2", "B")]
                writer.write(SECRET, [("2", None)])
                assert await until(client, 1) == [("2", None)]
                await client.send(type="auth", token=reader["Authorization"].split()[1])
                assert (await client.next("error"))["code"] == "forbidden"
            async with connected(url, additional_headers=limited) as client:
                await client.subscribe("wards.secret")
                assert (await client.next("snapshot"))["records"] == []
                writer.write(SECRET, [("4", "B"), ("5", "A")])
                assert await until(client, 1) == [("5", "A")]

    play(scene)


def test_without_tokens_a_setting_says_whether_it_is_opened(redis_url, monkeypatch):
    monkeypatch.setenv("HEADRACE_SEALING__KEYS", KEYRING.text())

    async def scene():
        Writer(redis_url).write(SECRET, [("1", "A")])
        for unseal in (False, True):
            async with (
                wards(redis_url, monkeypatch, unseal=unseal) as url,
                connected(url) as client,
            ):
                await client.subscribe("wards.secret")
                (record,) = (await client.next("snapshot"))["records"]
                assert ("note" in record) is unseal

    play(scene)


@pytest.mark.parametrize("keyring", [None, KEYRING])
def test_the_python_client_keeps_a_table_and_opens_with_a_keyring(keyring, redis_url, monkeypatch):
    async def scene():
        writer = Writer(redis_url)
        writer.write(SECRET, [("1", "A"), ("2", "B"), ("3", "A")])
        table = Table(("bed",) if keyring else ("key",))
        async with wards(redis_url, monkeypatch) as url:
            updates = follow(url, ["wards.secret"], keyring=keyring)
            async with asyncio.timeout(20), aclosing(updates):
                async for update in updates:
                    table.take(update)
                    if update.kind == "snapshot":
                        assert len(table.records) == 3
                        writer.write(SECRET, [("1", None), ("2", "C")])
                    elif len(table.records) == 2:
                        break
        if keyring:
            assert {b: r["ward"] for b, r in table.records.items()} == {"2": "C", "3": "A"}
        else:
            assert all(CANARY not in str(record) for record in table.records.values())

    play(scene)


def test_rest_opens_for_those_who_may_unseal(redis_url, monkeypatch, tmp_path):
    monkeypatch.setenv("HEADRACE_SEALING__KEYS", KEYRING.text())

    async def scene():
        issuer = Issuer(tmp_path)
        reader, opener = (issuer.header(f"read:wards.secret{more}") for more in ("", " unseal"))
        limited = issuer.header("read:wards.secret", rows={"ward": ["A"]})
        Writer(redis_url).write(SECRET, [("1", "A"), ("2", "B"), ("3", "A"), ("3", None)])
        async with wards(redis_url, monkeypatch, jwks=str(issuer.jwks)) as url:
            base = url.replace("ws", "http", 1).removesuffix("/ws") + "/api/v1"

            async def get(path: str, headers: dict[str, str], **params: str) -> httpx2.Response:
                whole = base + path
                return await asyncio.to_thread(httpx2.get, whole, headers=headers, params=params)

            sealed = (await get("/latest/wards/secret", reader)).json()["records"]
            assert len(sealed) == 2
            assert CANARY not in str(sealed)
            opened = (await get("/latest/wards/secret", opener, ward="B")).json()["records"]
            assert [(r["bed"], r["ward"]) for r in opened] == [("2", "B")]
            assert (await get("/latest/wards/secret", reader, ward="B")).status_code == 400
            assert (await get("/latest/wards/secret", limited)).status_code == 403
            values = (await get("/values/wards/secret/bed", opener)).json()["values"]
            assert values == ["1", "2"]
            assert (await get("/values/wards/secret/bed", reader)).status_code == 404
            hashes = (await get("/values/wards/secret/key", reader)).json()["values"]
            assert hashes == sorted(r["key"] for r in sealed)

    play(scene)


def test_an_endpoint_is_notified_of_retractions_of_its_keys(redis_url, monkeypatch, tmp_path):
    receiver = Receiver()

    async def scene():
        async with listening(receiver) as port:
            endpoints = file(tmp_path, port)
            text = endpoints.read_text()
            endpoints.write_text(text.replace("market.bars?symbol=S1", "wards.beds?bed=1&ward=A"))
            async with wards(redis_url, monkeypatch, webhooks=endpoints):
                await noted()

    async def noted():
        async with asyncio.timeout(20):
            while await asyncio.to_thread(notified, redis_url) is None:
                await asyncio.sleep(0.05)
            Writer(redis_url).write(BEDS, [("1", "A"), ("2", None), ("2", "A"), ("1", None)])
            while len(receiver.got) < 2:
                await asyncio.sleep(0.05)

    play(scene)
    bodies = [orjson.loads(body) for _, body in receiver.got]
    assert [body["id"] for body in bodies] == ["1/1", "1/4"]
    assert bodies[1]["retracted"] is True


def notified(url: str) -> object:
    with redis.Redis.from_url(url) as connection:
        return connection.hgetall("headrace:{wards}:notified") or None
