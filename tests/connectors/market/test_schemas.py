from __future__ import annotations

import logging
import os
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import orjson
import pytest
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from pydantic import SecretStr

from connectors.avro import registry as module
from connectors.avro.places import schemas_at
from connectors.avro.registry import NAME, SchemaRegistry
from connectors.avro.schemas import SchemaDirectory
from connectors.market.avro_ticks import TICK_SCHEMA, encode_avro
from connectors.market.decode import TickDecoder
from connectors.market.json_ticks import ticks_json
from flows.engine.ports import free_port
from state.errors import Malformed, SettingsError, Stopped, UnknownSchema
from state.lifecycle import Lifecycle
from tests.connectors.market.batches import AHEAD_NS, messages, rows, some_ticks
from tests.waiting import PATIENCE_S

NO_PASSWORD = SecretStr("")
SETTING = "market.schemas"
UNKNOWN_ID = 2**31 - 1


def of(url: str, lifecycle: Lifecycle | None = None) -> SchemaRegistry:
    return SchemaRegistry(url, "", NO_PASSWORD, lifecycle or Lifecycle(), SETTING)


@pytest.fixture
def register(registry) -> Callable[..., int]:
    """``register(text, kind, references)`` returns the id that a schema gets."""
    client = SchemaRegistryClient({"url": registry.url})

    def register(text: str, kind: str = "AVRO", references: list | None = None) -> int:
        schema = Schema(text, kind, references or [])
        return client.register_schema(f"s.{uuid.uuid4().hex}", schema)

    return register


@contextmanager
def asked(schemas: SchemaRegistry, identity: int, lifecycle: Lifecycle) -> Iterator[Future]:
    """Ask in a thread of its own, and stop whatever still waits at the end."""
    with ThreadPoolExecutor(1) as pool:
        try:
            yield pool.submit(schemas.find, identity)
        finally:
            lifecycle.stopping.set()


def wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_ticks_are_decoded_by_the_schema_that_the_registry_has(registry, register):
    identity = register(TICK_SCHEMA)
    decoder = TickDecoder(AHEAD_NS, of(registry.url))
    ticks = some_ticks(50)
    block = decoder.decode(messages(encode_avro(ticks, identity)))
    assert block.dead == []
    assert rows(block) == rows(decoder.decode(messages(ticks_json(ticks).to_pylist())))


def test_an_id_that_the_registry_does_not_have_is_unknown(registry):
    with pytest.raises(UnknownSchema, match=f"has no schema {UNKNOWN_ID}"):
        of(registry.url).find(UNKNOWN_ID)


def test_a_schema_that_is_not_avro_is_malformed(registry, register):
    text = '{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"}'
    identity = register(text, "JSON")
    with pytest.raises(Malformed, match=f"schema {identity} is JSON, not Avro"):
        of(registry.url).find(identity)


def test_a_schema_comes_behind_those_that_it_refers_to(registry, register):
    client = SchemaRegistryClient({"url": registry.url})
    side = {"type": "enum", "name": "com.example.Aggressor", "symbols": ["buy", "sell"]}
    client.register_schema("side", Schema(orjson.dumps(side).decode(), "AVRO"))
    tick = orjson.loads(TICK_SCHEMA)
    for field in tick["fields"]:
        if field["name"] == "side":
            field["type"] = ["null", side["name"]]
    reference = SchemaReference(str(side["name"]), "side", 1)
    identity = register(orjson.dumps(tick).decode(), "AVRO", [reference])
    texts = of(registry.url).find(identity)
    assert [orjson.loads(text)["name"] for text in texts] == [side["name"], "Tick"]
    decoder = TickDecoder(AHEAD_NS, of(registry.url))
    ticks = some_ticks(50)
    block = decoder.decode(messages(encode_avro(ticks, identity)))
    assert rows(block) == rows(decoder.decode(messages(ticks_json(ticks).to_pylist())))


def test_a_registry_that_hangs_is_waited_for(registry, register, monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT_S", 0.3)
    identity, lifecycle = register(TICK_SCHEMA), Lifecycle()
    schemas = of(registry.url, lifecycle)
    os.kill(registry.pid, signal.SIGSTOP)
    try:
        with asked(schemas, identity, lifecycle) as answer:
            wait_until(lambda: lifecycle.waiting)
            time.sleep(1)
            assert not answer.done()
            assert "Timeout" in lifecycle.waiting[NAME]
            os.kill(registry.pid, signal.SIGCONT)
            assert orjson.loads(answer.result(PATIENCE_S)[0]) == orjson.loads(TICK_SCHEMA)
            assert lifecycle.waiting == {}
    finally:
        os.kill(registry.pid, signal.SIGCONT)


def test_an_address_where_no_registry_is_never_says_that_a_schema_is_unknown(registry, register):
    identity, lifecycle = register(TICK_SCHEMA), Lifecycle()
    schemas = of(registry.url.replace("ccompat", "nowhere"), lifecycle)
    with asked(schemas, identity, lifecycle) as answer:
        wait_until(lambda: lifecycle.waiting)
        time.sleep(0.5)
        assert not answer.done()
        assert lifecycle.waiting[NAME] == "HTTP status 404"
    with pytest.raises(Stopped):
        answer.result(PATIENCE_S)


def test_a_decoder_waits_for_a_registry_that_is_down_until_it_is_stopped(caplog):
    lifecycle = Lifecycle()
    url = f"http://127.0.0.1:{free_port()}"
    schemas = SchemaRegistry(url, "user", SecretStr("s3cret"), lifecycle, SETTING)
    decoder = TickDecoder(AHEAD_NS, schemas)
    stop = threading.Timer(1, lifecycle.stopping.set)
    stop.start()
    with caplog.at_level(logging.DEBUG), pytest.raises(Stopped):
        decoder.decode(messages(encode_avro(some_ticks(3), 1)))
    assert lifecycle.waiting == {NAME: "ConnectError"}
    assert caplog.text.count("waiting for the schema registry: ConnectError") == 1
    assert "s3cret" not in caplog.text


def test_nothing_is_asked_for_json_ticks():
    decoder = TickDecoder(AHEAD_NS, of(f"http://127.0.0.1:{free_port()}"))
    assert len(decoder.decode(messages(ticks_json(some_ticks(3)).to_pylist()))) == 3


def test_a_place_is_a_directory_a_registry_or_nowhere(tmp_path):
    def at(place: str) -> str:
        return type(schemas_at(place, "", NO_PASSWORD, Lifecycle(), SETTING)).__name__

    assert at(str(tmp_path)) == "SchemaDirectory"
    assert at("https://registry.example/sub") == "SchemaRegistry"
    assert at("") == "NoSchemas"
    with pytest.raises(SettingsError, match="there is no directory"):
        at(str(tmp_path / "missing"))


def test_a_file_that_cannot_be_read_stops_the_flow_and_one_that_is_no_text_does_not(tmp_path):
    (tmp_path / "1.avsc").mkdir()
    (tmp_path / "2.avsc").write_bytes(b"\xff")
    schemas = SchemaDirectory(tmp_path, SETTING)
    with pytest.raises(SettingsError, match=r"cannot read .*1\.avsc"):
        schemas.find(1)
    with pytest.raises(Malformed):
        schemas.find(2)
