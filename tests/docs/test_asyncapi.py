"""docs/asyncapi.json is what the code makes, and what the feed says is as it says."""

from __future__ import annotations

import orjson
import pytest
from jsonschema import Draft202012Validator

from benchmarks.web.writer import Writer
from connectors.web import asyncapi
from connectors.web.channels import sources_of
from flows.engine.systems import declared_outputs
from tests.connectors.web.feeds import connected, play, served
from tests.flows.runs import ROOT

SOURCES = sources_of(declared_outputs())
FILE = ROOT / "docs" / "asyncapi.json"


def test_the_file_is_what_the_code_makes():
    assert orjson.loads(FILE.read_bytes()) == asyncapi.document(SOURCES)


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_filters_and_keys_are_fields_of_the_records(source):
    said = asyncapi.document(SOURCES)["channels"]["feed"]["x-subscriptions"][source.name]
    path = ROOT / "docs" / said["records"]
    fields = set(orjson.loads(path.read_bytes())["properties"])
    made = {part for name, parts in source.parts for part in parts if name in fields}
    assert set(source.fields) <= fields | made
    assert set(source.key) <= fields
    assert bool(source.key) == source.output.keyed


def test_what_the_feed_says_is_valid(redis_url):
    messages = asyncapi.document(SOURCES)["components"]["messages"]
    seen: set[str] = set()

    async def scene():
        writer = Writer(redis_url)
        writer.bars(0, 10)
        async with served(redis_url) as url, connected(url) as client:
            await client.send(type="subscribe", channel="market.bars")
            await client.send(type="subscribe", channel="market.nope")
            await client.send(type="subscribe", channel="market.bars?symbol=A", after="9:1-1")
            while not {"subscribed", "snapshot", "error", "reset", "heartbeat", "delta"} <= seen:
                message = await client.message()
                Draft202012Validator(messages[message["type"]]["payload"]).validate(message)
                seen.add(message["type"])
                if message["type"] == "reset":
                    writer.bars(10, 10)

    play(scene)
