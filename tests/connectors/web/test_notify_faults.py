"""Notifications while Redis is away, and to receivers with TLS."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import subprocess

import pytest
import redis
from pydantic import SecretStr

from benchmarks.web.writer import Writer
from connectors.redis.keys import notified_key
from connectors.web.notify.sender import Notifiers
from connectors.web.tail import Tail
from state.errors import SettingsError
from state.market.outputs import OUTPUTS
from tests.connectors.web.feeds import play, served
from tests.connectors.web.receiving import QUICK, Receiver, begun, done, file, listening, sent_ids

SLOW = "timeout_s = 20.0\nin_flight = 1\nqueue = 50\nmax_age_s = 60.0\n"
"""One after another, and less in memory than there is."""


class Held(Receiver):
    """Takes nothing before its gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()

    async def serve(self, reader, writer):
        self.asked.set()
        await self.gate.wait()
        await super().serve(reader, writer)


def first_times(ids: list[str]) -> list[str]:
    return list(dict.fromkeys(ids))


async def stalled(receiver: Receiver) -> int:
    """Wait until nothing has come for a second; return how many have."""
    before = -1
    while before < len(receiver.got):
        before = len(receiver.got)
        await asyncio.sleep(1.0)
    return before


async def back(valkey) -> None:
    valkey.launch()  # by this thread: the server ends with the one that started it
    await asyncio.to_thread(valkey.wait)


def test_redis_goes_and_comes_back_and_every_record_arrives_in_order(own_valkey, tmp_path, caplog):
    url = own_valkey.url

    async def whole():
        receiver = Held()
        async with (
            listening(receiver) as port,
            served(url, webhooks=file(tmp_path, port, more=SLOW)),
        ):
            await begun(url)
            writer = Writer(url)
            writer.bars(0, 5_000)
            await receiver.asked.wait()
            await asyncio.to_thread(own_valkey.stop)
            receiver.gate.set()
            before = await stalled(receiver)
            assert 0 < before < 500, "what is in memory is sent, and there is more"
            await back(own_valkey)
            await done(url)
            writer.bars(5_000, 10)
            await done(url)
        assert receiver.ids == sent_ids(*range(1, 5_010, 10))
        assert not (tmp_path / "dead.jsonl").exists()

    play(whole)
    assert "notifications have stopped" not in caplog.text


def test_what_redis_could_not_be_told_is_sent_again_after_a_restart(own_valkey, tmp_path):
    url = own_valkey.url

    async def whole():
        receiver = Held()
        async with listening(receiver) as port:
            made = file(tmp_path, port, more=SLOW)
            async with served(url, webhooks=made):
                await begun(url)
                Writer(url).bars(0, 300)
                await receiver.asked.wait()
                await asyncio.to_thread(own_valkey.kill)
                receiver.gate.set()
                assert await stalled(receiver) > 0
            taken = receiver.ids
            await back(own_valkey)
            receiver.got = []
            async with served(url, webhooks=made):
                await done(url)
        assert taken == sent_ids(*range(1, 10 * len(taken), 10))
        assert receiver.ids == sent_ids(*range(1, 300, 10)), "the position was the one before"

    play(whole)


def test_an_endpoint_waits_for_a_redis_that_is_not_there_yet(own_valkey, tmp_path):
    url = own_valkey.url
    Writer(url).bars(0, 10)
    redis.Redis.from_url(url).hset(notified_key("market"), "desk/bars", "1:0-0")
    own_valkey.stop()

    async def whole():
        receiver = Receiver()
        async with (
            listening(receiver) as port,
            served(url, webhooks=file(tmp_path, port)),
        ):
            await asyncio.sleep(0.5)
            await back(own_valkey)
            await done(url)
        assert first_times(receiver.ids) == sent_ids(1)

    play(whole)


def openssl(*words) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A CA (ca.pem), and certificates of it and of nobody: contexts by name."""
    at = tmp_path_factory.mktemp("certificates")
    new = ["-newkey", "rsa:2048", "-nodes", "-days", "1"]

    def context(name: str) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(at / f"{name}.pem", at / f"{name}.key")
        return made

    def make(name: str, subject: str, *more) -> None:
        files = ["-keyout", at / f"{name}.key", "-out", at / f"{name}.pem"]
        openssl("req", "-x509", *new, "-subj", f"/CN={subject}", *files, *more)

    make("ca", "a CA of the tests")
    signed = ["-CA", at / "ca.pem", "-CAkey", at / "ca.key"]
    leaf = ["-addext", "basicConstraints=critical,CA:FALSE"]
    here, elsewhere = "subjectAltName=IP:127.0.0.1", "subjectAltName=DNS:elsewhere.example"
    make("good", "receiver", *signed, *leaf, "-addext", here)
    make("other", "receiver", *signed, *leaf, "-addext", elsewhere)
    make("self", "receiver", "-addext", here)
    return at, {name: context(name) for name in ("good", "other", "self")}


def notified(redis_url, tmp_path, context, more=QUICK) -> Receiver:
    """Notify a receiver with TLS of two records until both are done; return it."""
    receiver = Receiver()

    async def whole():
        async with (
            listening(receiver, context) as port,
            served(redis_url, webhooks=file(tmp_path, port, more=more, scheme="https")),
        ):
            await begun(redis_url)
            Writer(redis_url).bars(0, 20)
            await done(redis_url)

    play(whole)
    return receiver


def test_a_certificate_of_a_ca_that_is_trusted_is_taken(
    redis_url, tmp_path, certificates, monkeypatch
):
    at, contexts = certificates
    monkeypatch.setenv("SSL_CERT_FILE", str(at / "ca.pem"))
    receiver = notified(redis_url, tmp_path, contexts["good"])
    assert sorted(receiver.ids) == sorted(sent_ids(1, 11))
    assert not (tmp_path / "dead.jsonl").exists()


@pytest.mark.parametrize(
    ("name", "trusted"), [("self", False), ("self", True), ("good", False), ("other", True)]
)
def test_any_other_certificate_is_refused_and_its_records_are_given_up(
    redis_url, tmp_path, certificates, monkeypatch, caplog, name, trusted
):
    at, contexts = certificates
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(at / "ca.pem"))
    caplog.set_level(logging.DEBUG, "headrace.feed")
    receiver = notified(redis_url, tmp_path, contexts[name], more=QUICK + "attempts = 3\n")
    assert receiver.got == [], "nothing was told to who could not show who it is"
    lines = [json.loads(line) for line in (tmp_path / "dead.jsonl").read_text().splitlines()]
    assert sorted(line["id"] for line in lines) == sorted(sent_ids(1, 11))
    assert {line["reason"] for line in lines} == {"certificate"}
    assert "a notification was given up (certificate)" in caplog.text


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_certificates_that_cannot_be_read_are_named(tmp_path, monkeypatch, content):
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with pytest.raises(SettingsError, match="SSL_CERT_FILE"):
        Notifiers(file(tmp_path, 1), OUTPUTS, Tail(SecretStr("redis://127.0.0.1:1/0")))
