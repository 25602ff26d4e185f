"""A token of ward A learns nothing of a patient of ward B, whichever way it asks."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import httpx2
import pytest

from connectors.web.channels import Source
from connectors.web.tokens import Access
from state.adt.outputs import ENCOUNTERS, LOCATION_VISITS, OUTPUTS
from state.outputs import Column, Kind, Output
from tests.connectors.web.feeds import connected, play, served
from tests.connectors.web.patients import HERS, HIS, SCOPE, SEAL
from tests.connectors.web.rest.rig import Issuer

NOBODY = "Nobody^^^GH"
WARD_A = {"wards": ["A"]}
NAMES = [output.name for output in OUTPUTS if "wards" in output.filters]
OTHERS = [output.name for output in OUTPUTS if output.name not in NAMES]


@pytest.fixture
def issuer(tmp_path):
    return Issuer(tmp_path)


@pytest.fixture
def asking(redis_url, issuer, hospital):
    """``async with asking(rows=…) as (get, url, headers)``: get(path, **params) -> answer."""

    @asynccontextmanager
    async def serving(**claims):
        headers = issuer.header(claims.pop("scope", SCOPE), **claims)
        async with served(redis_url, jwks=str(issuer.jwks)) as url:
            base = url.replace("ws", "http", 1).removesuffix("/ws") + "/api/v1"

            async def get(path: str, **params: str) -> httpx2.Response:
                whole = base + path
                return await asyncio.to_thread(httpx2.get, whole, headers=headers, params=params)

            yield get, url, {"additional_headers": headers}

    return serving


def test_each_output_shows_the_records_of_the_ward(asking):
    async def scene():
        async with asking(rows=WARD_A) as (get, url, headers):
            for name in NAMES:
                found = (await get(f"/latest/adt/{name}")).json()["records"]
                assert [record["patient"] for record in found] == [HERS], name
                async with connected(url, **headers) as client:
                    await client.subscribe(f"adt.{name}")
                    found = (await client.next("snapshot"))["records"]
                    assert [record["patient"] for record in found] == [HERS], name

    play(scene)


@pytest.mark.parametrize("query", ["patient", "wards", "visit", "location"])
def test_asking_for_the_other_ward_is_answered_as_asking_for_nobody(asking, query):
    other = {"patient": (HIS, NOBODY), "wards": ("B", "X"), "visit": ("V2", "V9")}
    his, nobodys = other.get(query, ("B^1^1", "X^1^1"))

    async def scene():
        async with asking(rows=WARD_A) as (get, url, headers):
            for name in NAMES:
                answers = [await get(f"/latest/adt/{name}", **{query: v}) for v in (his, nobodys)]
                assert answers[0].status_code == answers[1].status_code
                assert answers[0].json() == answers[1].json(), name
                assert "etag" not in answers[0].headers
                async with connected(url, **headers) as client:
                    seen = []
                    for value in (his, nobodys):
                        channel = f"adt.{name}?{query}={value}"
                        first = await client.subscribe(channel)
                        if first["type"] == "subscribed":
                            first = await client.next("snapshot")
                        seen.append({k: v for k, v in first.items() if k != "channel"})
                    assert seen[0] == seen[1], name

    play(scene)


def test_an_output_without_wards_is_refused(asking):
    assert OTHERS

    async def scene():
        rows = WARD_A | {"domain": ["GH"]}
        async with asking(rows=rows) as (get, url, headers), connected(url, **headers) as client:
            for name in OTHERS:
                assert (await get(f"/latest/adt/{name}")).status_code == 403, name
                assert (await client.subscribe(f"adt.{name}"))["code"] == "forbidden", name

    play(scene)


def test_no_other_way_leads_to_the_other_ward(asking):
    """History tells all of an output in envelopes, values all keys, letters whole messages."""

    async def scene():
        paths = ["/history/adt/encounters", "/values/adt/encounters/patient", "/dead/adt",
                 "/dead/adt/adt.raw/0/0/0"]  # fmt: skip
        scope = f"{SCOPE} dead:read"
        async with asking(rows=WARD_A, scope=scope) as (get, url, headers):
            for path in paths:
                assert (await get(path)).status_code == 403, path
        for more in ({"key": [SEAL.key(ENCOUNTERS, f"V2|{HIS}|GH")]}, {}):
            async with asking(rows=WARD_A | more, scope="read:adt.*") as (get, url, headers):
                assert (await get("/latest/adt/encounters")).status_code == 403
                async with connected(url, **headers) as client:
                    assert (await client.subscribe("adt.encounters"))["code"] == "forbidden"

    play(scene)


def test_a_record_that_leaves_the_ward_leaves_the_mirror_and_one_that_was_there_stays(
    asking, hospital
):
    async def scene():
        async with asking(rows=WARD_A) as (_, url, headers), connected(url, **headers) as client:
            await client.subscribe("adt.encounters")
            await client.next("snapshot")
            hospital.admit(HERS, "V1", "A", "B")  # moved: who has treated her may look
            (moved,) = (await client.next("delta"))["records"]
            assert moved["wards"] == ["A", "B"]
            hospital.admit(HERS, "V1", "B")  # the stay was an error: it is taken back
            (gone,) = (await client.next("delta"))["records"]
            assert (gone["key"], gone["retracted"]) == (f"V1|{HERS}|GH", True)
            assert "patient" not in gone
            hospital.admit(HERS, "V1", "B", "C")
            hospital.admit(HIS, "V2", "B", "A")
            (came,) = (await client.next("delta"))["records"]
            assert came["patient"] == HIS

    play(scene)


def test_a_position_does_not_lead_back_to_what_was_taken_back(asking, hospital):
    async def scene():
        async with asking(rows=WARD_A) as (_, url, headers):
            async with connected(url, **headers) as client:
                await client.subscribe("adt.encounters")
                position = (await client.next("snapshot"))["position"]
                hospital.admit(HERS, "V1", "A", "B")
                await client.next("delta")
                hospital.admit(HERS, "V1", "B")
                await client.next("delta")
            async with connected(url, **headers) as client:
                await client.send(type="subscribe", channel="adt.encounters", after=position)
                await client.next("subscribed")
                assert (await client.next("reset"))["reason"] == "limited"
                assert (await client.next("snapshot"))["records"] == []

    play(scene)


def test_a_retraction_of_the_other_ward_is_not_told(asking, hospital):
    async def scene():
        async with asking(rows=WARD_A) as (_, url, headers), connected(url, **headers) as client:
            await client.subscribe("adt.encounters")
            await client.next("snapshot")
            hospital.retract(ENCOUNTERS, f"V2|{HIS}|GH")
            hospital.retract(ENCOUNTERS, f"V1|{HERS}|GH")
            (gone,) = (await client.next("delta"))["records"]
            assert gone["key"] == f"V1|{HERS}|GH"

    play(scene)


def test_every_limit_of_a_token_has_to_be_a_field_of_a_secret_output():
    """Else the limit by ward would fall where an output has no wards, but a domain."""
    columns = (Column("id", Kind.KEY), Column("ts_ns", Kind.INT), Column("domain", Kind.KEY))
    other = Output("adt", "other", "ts_ns", columns, filters=("domain",), secret=True)
    rows = {"wards": frozenset("A"), "domain": frozenset({"GH"})}
    access = Access("ann", frozenset({"read:adt.*", "unseal"}), rows, None)
    source = Source.of(other).opened()
    assert not access.speaks_of(source.fields, private=source.private)
    source = Source.of(ENCOUNTERS).opened()
    assert access.speaks_of(source.fields, private=source.private)


def test_a_record_without_wards_is_of_none():
    """As one that was written before there were wards."""
    source = Source.of(LOCATION_VISITS).opened()
    access = Access("ann", frozenset(), {"wards": frozenset("A"), "domain": frozenset("G")}, None)
    record = {"visit": "V", "patient": "P", "domain": "G"}
    assert not access.admits(source.values(record))
    assert not access.admits(source.values(record | {"wards": []}))
    assert access.admits(source.values(record | {"wards": ["B", "A"]}))
