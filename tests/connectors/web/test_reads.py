"""Every read of a secret output is audited before it is answered, or it is not answered."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import httpx2
import pytest
import redis

from connectors.redis.reader import promote
from connectors.web.reads import MAX_NAMED, hashed
from flows.__main__ import main
from state.adt.outputs import ENCOUNTERS
from tests.connectors.web.feeds import connected, play, served
from tests.connectors.web.patients import (
    HERS,
    HIS,
    SCOPE,
    SEAL,
    Hospital,
    entries,
    told,
)
from tests.connectors.web.rest.rig import Issuer

SHE, HE = (hashed(SEAL, patient) for patient in (HERS, HIS))


@pytest.fixture
def issuer(tmp_path):
    return Issuer(tmp_path)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "reads.jsonl"


@pytest.fixture
def asking(redis_url, issuer, hospital, path):
    """``async with asking(scope) as (get, url, headers)``."""

    @asynccontextmanager
    async def serving(scope=SCOPE, **claims):
        headers = issuer.header(scope, **claims)
        async with served(redis_url, jwks=str(issuer.jwks), audit=path) as url:
            base = url.replace("ws", "http", 1).removesuffix("/ws") + "/api/v1"

            async def get(where: str, **params: str) -> httpx2.Response:
                whole = base + where
                return await asyncio.to_thread(httpx2.get, whole, headers=headers, params=params)

            yield get, url, {"additional_headers": headers}

    return serving


def test_an_entry_says_who_read_what_of_whom(asking, path):
    async def scene():
        async with asking() as (get, url, headers):
            await get("/latest/adt/encounters")
            await get("/latest/adt/encounters", patient=HIS, status="in-progress")
            await get("/values/adt/encounters/visit")
            async with connected(url, **headers) as client:
                await client.subscribe(f"adt.beds?patient={HERS}")
                await client.next("snapshot")
        async with asking("read:adt.* read:market.*") as (get, _, _):
            await get("/latest/adt/encounters")  # in envelopes
            await get("/latest/market/bars")

    play(scene)
    keys = sorted(SEAL.key(ENCOUNTERS, f"{v}|{p}|GH") for v, p in (("V1", HERS), ("V2", HIS)))
    status, both = hashed(SEAL, "in-progress"), sorted((SHE, HE))
    rest = {"who": "ann", "outcome": "0", "query": "", "action": "latest"}
    rest |= {"what": "adt.encounters"}
    assert [told(event) for event in entries(path)] == [
        rest | {"records": 2, "about": both},
        rest | {"records": 1, "about": [HE], "query": f"patient={HE}&status={status}"},
        rest | {"records": 2, "about": both, "action": "values"},
        rest
        | {"records": 1, "about": [SHE], "query": f"patient={SHE}"}
        | {"action": "subscribe", "what": "adt.beds"},
        rest
        | {"records": None, "about": [], "query": f"patient={SHE}"}
        | {"action": "unsubscribe", "what": "adt.beds"},
        rest | {"records": 2, "about": keys},
    ]
    assert main(["audit", "verify", str(path)]) == 0


def test_what_is_refused_is_audited_too(asking, path):
    async def scene():
        async with asking(rows={"account": ["X"]}) as (get, url, headers):
            assert (await get("/latest/adt/beds", patient=HIS)).status_code == 403
            assert (await get("/history/adt/beds")).status_code == 403
            async with connected(url, **headers) as client:
                assert (await client.subscribe("adt.beds"))["code"] == "forbidden"
        async with asking("unseal") as (get, _, _):
            assert (await get("/dead/adt")).status_code == 403
            assert (await get("/latest/market/bars")).status_code == 403

    play(scene)
    found = [told(event) for event in entries(path)]
    assert [(each["action"], each["what"]) for each in found] == [
        ("latest", "adt.beds"), ("history", "adt.beds"), ("subscribe", "adt.beds"),
        ("dead", "adt.dead"),
    ]  # fmt: skip
    assert {(each["outcome"], each["records"]) for each in found} == {("4", None)}
    assert found[0]["query"] == f"patient={HE}"


def test_what_cannot_be_audited_is_not_answered(asking, path):
    async def scene():
        async with (
            asking("read:*.* unseal") as (get, url, headers),
            connected(url, **headers) as client,
        ):
            assert (await get("/latest/adt/beds")).status_code == 200
            path.unlink()
            for where in ("/latest/adt/beds", "/values/adt/beds/location"):
                refused = await get(where)
                assert refused.status_code == 503
                assert "audit" in refused.json()["detail"]
            assert (await client.subscribe("adt.beds"))["code"] == "unaudited"
            assert (await client.subscribe("adt.beds"))["code"] == "unaudited"
            # What is not secret is served all the same.
            assert (await get("/latest/market/bars")).status_code == 200
            assert (await client.subscribe("market.bars"))["type"] == "subscribed"

    play(scene)


def switched(redis_url):
    """Let another generation, with her in another ward, be the one that readers see."""
    hospital = Hospital(redis_url, 2)
    hospital.admit(HERS, "V1", "C")
    with redis.Redis.from_url(redis_url) as connection:
        promote(connection, "adt", 2)
    return hospital


def test_what_is_sent_again_after_a_reset_is_audited_again(asking, path, redis_url):
    async def scene():
        async with asking() as (_, url, headers), connected(url, **headers) as client:
            await client.subscribe(f"adt.beds?patient={HERS}")
            await client.next("snapshot")
            after = switched(redis_url)
            assert (await client.next("reset"))["reason"] == "generation"
            assert len(entries(path)) == 2, "before it is sent"
            (record,) = (await client.next("snapshot"))["records"]
            assert record["location"] == "C^1^1"
            after.bed("C", None, None)
            assert (await client.next("delta"))["records"], "it goes on"

    play(scene)
    found = [told(event) for event in entries(path)]
    assert [(e["action"], e["records"], e["about"], e["query"]) for e in found] == [
        ("subscribe", 1, [SHE], f"patient={SHE}"),
        ("reset", 1, [SHE], f"patient={SHE}"),
        ("unsubscribe", None, [], f"patient={SHE}"),
    ]


def test_what_cannot_be_audited_is_not_sent_again(asking, path, redis_url):
    async def scene():
        async with asking() as (_, url, headers), connected(url, **headers) as client:
            await client.subscribe("adt.beds")
            await client.next("snapshot")
            path.unlink()
            switched(redis_url)
            found = await client.next("reset", "snapshot", "error")
            assert (found["type"], found["code"], found["channel"]) == (
                "error", "unaudited", "adt.beds"
            )  # fmt: skip
            assert (await client.subscribe("adt.beds"))["code"] == "unaudited"

    play(scene)


def test_no_patient_is_in_the_audit_or_the_log(asking, path, caplog):
    caplog.set_level(0)

    async def scene():
        async with asking() as (get, url, headers), connected(url, **headers) as client:
            for name in ("patient", "visit", "status"):
                await get("/latest/adt/encounters", **{name: f"{HIS},Smith,V1"})
                await client.subscribe(f"adt.encounters?{name}={HIS},Smith,V1")
                await client.next("snapshot")
        async with asking(rows={"patient": ["P"], "x": ["P"]}) as (get, url, headers):
            await get("/latest/adt/encounters", patient="Smith")
            async with connected(url, **headers) as client:
                await client.subscribe(f"adt.encounters?patient={HIS},Smith,V1")

    play(scene)
    assert len(entries(path)) == 11
    ours = [r.getMessage() for r in caplog.records if r.name.startswith("headrace")]
    assert any("subscribe adt.encounters?visit" in line for line in ours)
    for text in (path.read_text(), "\n".join(ours)):
        assert not [secret for secret in (HERS, HIS, "Smith") if secret in text]


def test_of_many_patients_only_the_number_is_told(asking, path, hospital):
    for number in range(MAX_NAMED - 1):
        hospital.admit(f"P{number}", f"W{number}", "C")

    async def scene():
        async with asking() as (get, _, _):
            await get("/latest/adt/encounters")
            await get("/latest/adt/encounters", wards="C,A")

    play(scene)
    found = [told(event) for event in entries(path)]
    assert [(each["records"], len(each["about"])) for each in found] == [
        (MAX_NAMED + 1, 0), (MAX_NAMED, MAX_NAMED),
    ]  # fmt: skip


def test_a_subscription_that_is_taken_back_while_it_is_audited_brings_nothing(asking):
    async def scene():
        async with asking() as (_, url, headers), connected(url, **headers) as client:
            for _ in range(20):
                await client.send(type="subscribe", channel="adt.beds")
                await client.send(type="unsubscribe", channel="adt.beds")
            await client.send(type="subscribe", channel="adt.beds?location=none")
            await client.send(type="subscribe", channel="adt.beds?location=none")
            seen = []
            while "adt.beds?location=none" not in seen:
                message = await client.next("subscribed", "snapshot", "error")
                seen.append(message["channel"])
                assert message["type"] != "error" or message["reason"] == "subscribed already"

    play(scene)
