"""Break-glass: one patient beyond the wards, with a reason, for a while, and never unseen."""

from __future__ import annotations

import asyncio
import base64
from contextlib import asynccontextmanager
from urllib.parse import quote

import httpx2
import pytest
from prometheus_client import REGISTRY

from connectors.web.reads import PURPOSE, hashed
from state.adt.outputs import CONDITIONS
from tests.connectors.web.feeds import connected, play, served
from tests.connectors.web.patients import (
    GLASS,
    HERS,
    HIS,
    SCOPE,
    SEAL,
    entries,
    told,
)
from tests.connectors.web.rest.rig import Issuer

SCOPE_GLASS = f"{SCOPE} breakglass"
WARD_A = {"wards": ["A"]}
REASON = "Herr Bölk, collapsed: 50 % O₂"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "reads.jsonl"


@pytest.fixture
def asking(redis_url, tmp_path, hospital, path):
    """``async with asking() as (get, url, headers, issuer)``; get(path, reason, **params)."""

    @asynccontextmanager
    async def serving(scope=SCOPE_GLASS, rows=WARD_A, **feed):
        issuer = Issuer(tmp_path)
        headers = issuer.header(scope, rows=rows)
        async with served(redis_url, jwks=str(issuer.jwks), audit=path, **feed) as url:
            base = url.replace("ws", "http", 1).removesuffix("/ws") + "/api/v1"

            async def get(where: str, reason: str | None, **params: str) -> httpx2.Response:
                more = {} if reason is None else {GLASS: quote(reason)}
                sent = headers | more
                return await asyncio.to_thread(
                    httpx2.get, base + where, headers=sent, params=params
                )

            yield get, url, {"additional_headers": headers}, issuer

    return serving


def broken(output: str) -> float:
    labels = {"output": output}
    return REGISTRY.get_sample_value("headrace_feed_break_glass_total", labels) or 0.0


def reason_of(event) -> str:
    (purpose,) = event["purposeOfEvent"]
    assert purpose["coding"][0]["code"] == "BTG"
    return SEAL.open(base64.b64decode(purpose["text"]), PURPOSE).decode()


def test_one_patient_of_another_ward_is_read_with_a_reason(asking, path):
    async def scene():
        async with asking() as (get, _, _, _):
            assert (await get("/latest/adt/encounters", None, patient=HIS)).json()["records"] == []
            for query in ({"patient": HIS}, {"visit": "V2"}):
                answer = await get("/latest/adt/encounters", REASON, **query)
                assert [r["patient"] for r in answer.json()["records"]] == [HIS]
                assert answer.headers[GLASS] == "audited"
                assert answer.headers["cache-control"] == "no-store"
            plain = await get("/latest/adt/encounters", None)
            assert [r["patient"] for r in plain.json()["records"]] == [HERS]
            assert GLASS not in plain.headers

    before = broken("adt.encounters")
    play(scene)
    assert broken("adt.encounters") == before + 2
    first, *glass, last = entries(path)
    assert [reason_of(event) for event in glass] == [REASON, REASON]
    assert told(glass[0])["about"] == [hashed(SEAL, HIS)]
    assert "purposeOfEvent" not in first | last
    assert "collapsed" not in path.read_text()


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501, "a\nb"])
def test_a_reason_has_to_be_said(asking, path, reason):
    async def scene():
        async with asking() as (get, url, headers, _):
            answer = await get("/latest/adt/encounters", reason, patient=HIS)
            assert (answer.status_code, answer.json()["field"]) == (400, GLASS)
            async with connected(url, **headers) as client:
                channel = f"adt.encounters?patient={HIS}"
                await client.send(type="subscribe", channel=channel, reason=reason)
                assert (await client.next("error"))["code"] == "forbidden"

    play(scene)
    assert [told(event)["outcome"] for event in entries(path)] == ["4"]


def test_it_is_of_one_patient_and_of_who_may(asking, path):
    async def scene():
        async with asking() as (get, url, headers, _):
            for query in ({}, {"patient": f"{HIS},{HERS}"}, {"status": "finished"},
                          {"patient": HIS, "visit": "V2"}):  # fmt: skip
                answer = await get("/latest/adt/encounters", REASON, **query)
                assert answer.status_code == 400, query
            async with connected(url, **headers) as client:
                await client.send(type="subscribe", channel="adt.encounters", reason=REASON)
                assert (await client.next("error"))["code"] == "forbidden"
        for scope, rows in ((SCOPE, WARD_A), ("unseal breakglass", WARD_A)):
            async with asking(scope, rows) as (get, url, headers, _):
                answer = await get("/latest/adt/encounters", REASON, patient=HIS)
                assert answer.status_code == 403
                assert GLASS not in answer.headers
                async with connected(url, **headers) as client:
                    channel = f"adt.encounters?patient={HIS}"
                    await client.send(type="subscribe", channel=channel, reason=REASON)
                    assert (await client.next("error"))["code"] == "forbidden"

    play(scene)
    assert {told(event)["outcome"] for event in entries(path)} == {"4"}


def test_outputs_without_wards_are_read_by_break_glass_alone(asking, hospital):
    condition = {"condition": "c1", "visit": "V2", "patient": HIS, "code": "I46"}
    hospital.write(CONDITIONS, condition)
    hospital.write(CONDITIONS, condition | {"condition": "c2", "visit": "V1", "patient": HERS})

    async def scene():
        async with asking() as (get, _, _, _):
            assert (await get("/latest/adt/conditions", None, patient=HIS)).status_code == 403
            answer = await get("/latest/adt/conditions", REASON, patient=HIS)
            assert [r["condition"] for r in answer.json()["records"]] == ["c1"]

    play(scene)


def test_it_lifts_the_limit_by_ward_and_no_other(asking):
    async def scene():
        async with asking(rows=WARD_A | {"domain": ["elsewhere"]}) as (get, _, _, _):
            answer = await get("/latest/adt/encounters", REASON, patient=HIS)
            assert (answer.status_code, answer.json()["records"]) == (200, [])
        async with asking(rows=WARD_A | {"patient": [HERS]}) as (get, _, _, _):
            answer = await get("/latest/adt/encounters", REASON, patient=HIS)
            assert (answer.status_code, answer.json()["records"]) == (200, [])

    play(scene)


def test_a_subscription_ends_after_a_while(asking, path):
    async def scene():
        async with (
            asking(break_glass="1s") as (_, url, headers, _),
            connected(url, **headers) as client,
        ):
            channel = f"adt.encounters?patient={HIS}"
            await client.subscribe("adt.encounters")
            await client.next("snapshot")
            await client.send(type="subscribe", channel=channel, reason=REASON)
            begun = await client.next("subscribed")
            assert begun["break_glass"] is True
            assert [r["patient"] for r in (await client.next("snapshot"))["records"]] == [HIS]
            ended = await client.next("error")
            assert (ended["code"], ended["channel"]) == ("expired", begun["channel"])
            assert "break_glass" not in await client.subscribe(channel)
            assert (await client.next("snapshot"))["records"] == []

    play(scene)
    assert [reason_of(e) for e in entries(path) if "purposeOfEvent" in e] == [REASON]


def test_who_is_in_the_bed_next_is_not_shown(asking, hospital):
    """A filter by a field that changes tells the record with which a key leaves, but not here."""

    async def scene():
        async with asking() as (_, url, headers, _), connected(url, **headers) as client:
            channel = f"adt.beds?patient={HIS}"
            await client.send(type="subscribe", channel=channel, reason=REASON)
            await client.next("subscribed")
            await client.next("snapshot")
            hospital.bed("B", "Eve^^^GH", "V3")
            (gone,) = (await client.next("delta"))["records"]
            assert gone.keys() == {"id", "key", "retracted", "ts_ns"}
            hospital.bed("B", HIS, "V2")
            (back,) = (await client.next("delta"))["records"]
            assert back["patient"] == HIS

    play(scene)


def test_a_renewed_token_without_the_scope_ends_it(asking):
    async def scene():
        async with asking() as (_, url, headers, issuer), connected(url, **headers) as client:
            channel = f"adt.encounters?patient={HIS}"
            await client.send(type="subscribe", channel=channel, reason=REASON)
            await client.next("subscribed")
            await client.next("snapshot")
            fresh = issuer.header(SCOPE, rows=WARD_A)["Authorization"].split()[1]
            await client.send(type="auth", token=fresh)
            assert (await client.next("error"))["code"] == "forbidden"

    play(scene)
