"""Notifications from a real Valkey to a real HTTP receiver, over the feed's own wiring."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from benchmarks.web.writer import Writer
from connectors.redis.reader import promote
from connectors.web.channels import sources_of
from connectors.web.notify.endpoint import read_endpoints
from state.errors import SettingsError
from state.market.outputs import OUTPUTS
from tests.connectors.web.feeds import play, served
from tests.connectors.web.receiving import QUICK, Receiver, begun, done, file, listening, sent_ids

SINCE = "since 1970-01-01 00:00:00 UTC"
SECRET = "whsec_" + "c2VjcmV0LW9mLXRoZS10ZXN0cy1vbmx5LTMyLWJ5dGVz"


def run(redis_url: str, path: Path, receiver: Receiver, scene: Any, **how: Any) -> None:
    async def whole() -> None:
        async with (
            listening(receiver) as port,
            served(redis_url, webhooks=file(path, port, **how)),
        ):
            await begun(redis_url)
            await scene(Writer(redis_url))

    play(whole)


@pytest.mark.parametrize("answers", [[], [500, 503, 429], [None, 404], [302, 307]], ids=str)
def test_a_record_arrives_after_failures_and_only_there(redis_url, tmp_path, answers):
    receiver = Receiver(*answers)

    async def scene(writer):
        writer.bars(0, 10)
        await done(redis_url)

    run(redis_url, tmp_path, receiver, scene)
    assert receiver.paths == {"/hook"}
    assert receiver.ids == sent_ids(1) * (len(answers) + 1)
    assert json.loads(receiver.got[-1][1])["start_ns"] == "1"
    assert not (tmp_path / "dead.jsonl").exists()


def test_a_signature_is_verified_by_the_library(redis_url, tmp_path, monkeypatch):
    monkeypatch.setenv("NOTIFY_SECRET", SECRET)
    receiver = Receiver(500)

    async def scene(writer):
        writer.bars(0, 10)
        await done(redis_url)

    run(redis_url, tmp_path, receiver, scene, shape="standard")
    assert len(receiver.got) == 2
    for headers, body in receiver.got:
        found = Webhook(SECRET).verify(body, headers)
        assert (found["type"], found["data"]["id"]) == ("market.bars", "S1|1s|1")
        assert datetime.fromisoformat(found["timestamp"]) == datetime.fromtimestamp(0, UTC)
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(body.replace("S1", "S2"), headers)


def test_slack_gets_one_escaped_line_and_the_logs_no_address(
    redis_url, tmp_path, monkeypatch, caplog
):
    caplog.set_level(logging.DEBUG)
    receiver = Receiver(500)
    receiver.answers += [400] * 2

    async def scene(writer):
        made = writer.bars(1, 1)[0] | {"id": "a<&>\nb", "start_ns": 2}
        writer.write("bars", [made], ["S1|1s"])
        await done(redis_url)

    async def whole():
        async with listening(receiver) as port:
            monkeypatch.setenv("NOTIFY_SECRET", f"http://127.0.0.1:{port}/T0/hidden")
            async with served(redis_url, webhooks=file(tmp_path, port, "slack")):
                await begun(redis_url)
                await scene(Writer(redis_url))

    play(whole)
    texts = {json.loads(body)["text"] for _, body in receiver.got}
    (text,) = [text for text in texts if "a&lt;&amp;&gt; b" in text]
    assert text == "S1 at 1: a&lt;&amp;&gt; b · was 1970-01-01 00:00:00 UTC · " + SINCE
    assert "hidden" not in caplog.text


def test_what_is_given_up_is_on_the_list_and_the_next_one_arrives(redis_url, tmp_path):
    receiver = Receiver(500, 500)

    async def scene(writer):
        writer.bars(1, 1)
        await receiver.until((tmp_path / "dead.jsonl").exists)
        writer.bars(11, 1)
        await done(redis_url)

    run(redis_url, tmp_path, receiver, scene, more=QUICK + "attempts = 2\n")
    assert receiver.ids == sent_ids(1, 1, 11)
    (line,) = map(json.loads, (tmp_path / "dead.jsonl").read_text().splitlines())
    assert line.pop("ts_ns") > 1e18
    assert line == {
        "endpoint": "desk",
        "channel": "market.bars?symbol=S1",
        "id": "S1|1s|1",
        "reason": "status 500",
    }


def test_a_restart_resumes_with_what_was_not_taken(redis_url, tmp_path):
    receiver = Receiver()

    async def whole():
        writer = Writer(redis_url)
        async with listening(receiver) as port:
            made = file(tmp_path, port)
            async with served(redis_url, webhooks=made):
                await begun(redis_url)
                writer.bars(0, 20)
                await done(redis_url)
                assert sorted(receiver.ids) == sorted(sent_ids(1, 11))
                receiver.answers = [500] * 10_000
                writer.bars(20, 3_000)
                await receiver.until(lambda: len(receiver.got) > 10)
            writer.bars(3_020, 10)
            receiver.answers, receiver.got = [], []
            async with served(redis_url, webhooks=made):
                await done(redis_url)

    play(whole)
    assert sorted(set(receiver.ids)) == sorted(sent_ids(*range(21, 3_030, 10)))
    assert len(receiver.ids) == len(set(receiver.ids))


def test_while_the_breaker_is_open_nothing_is_sent_and_nothing_is_lost(redis_url, tmp_path):
    receiver = Receiver(*[500] * 6)
    quick = QUICK.replace("0.2", "0.5") + "in_flight = 1\nbreaker_failures = 5\nqueue = 2\n"

    async def scene(writer):
        writer.bars(0, 100)
        await receiver.until(lambda: len(receiver.got) == 5)
        await asyncio.sleep(0.3)
        assert len(receiver.got) == 5
        await done(redis_url)

    run(redis_url, tmp_path, receiver, scene, more=quick)
    assert sorted(set(receiver.ids)) == sorted(sent_ids(*range(1, 100, 10)))
    assert len(receiver.got) == 16


def test_gone_sends_nothing_more_until_a_restart(redis_url, tmp_path):
    receiver = Receiver(410)

    async def whole():
        writer = Writer(redis_url)
        async with listening(receiver) as port:
            made = file(tmp_path, port)
            async with served(redis_url, webhooks=made):
                await begun(redis_url)
                writer.bars(1, 1)
                await receiver.until(lambda: receiver.got != [])
                writer.bars(11, 1)
                await asyncio.sleep(0.5)
                assert receiver.ids == sent_ids(1)
            async with served(redis_url, webhooks=made):
                await done(redis_url)

    play(whole)
    assert sorted(receiver.ids) == sorted(sent_ids(1, 1, 11))


def test_a_new_generation_sends_only_what_is_new(redis_url, tmp_path):
    receiver = Receiver()

    async def scene(writer):
        writer.bars(0, 20)
        await done(redis_url)
        second = Writer(redis_url, generation=2)
        second.bars(0, 30)
        promote(redis.Redis.from_url(redis_url), "market", 2)
        await done(redis_url)
        second.bars(30, 10)
        await done(redis_url)

    run(redis_url, tmp_path, receiver, scene)
    assert sorted(receiver.ids) == sorted(sent_ids(1, 11, 21, 31))


def test_what_redis_no_longer_holds_is_told_and_the_rest_arrives(redis_url, tmp_path, caplog):
    receiver = Receiver()

    async def whole():
        writer = Writer(redis_url, stream_length=300)
        async with listening(receiver) as port:
            made = file(tmp_path, port)
            async with served(redis_url, webhooks=made):
                await begun(redis_url)
                writer.bars(0, 10)
                await done(redis_url)
            for first in range(10, 2010, 500):
                writer.bars(first, 500)
            async with served(redis_url, webhooks=made):
                await done(redis_url)

    play(whole)
    assert "endpoint desk: Redis no longer holds all that it has to get" in caplog.text
    numbers = sorted(int(found.rpartition("|")[2]) for found in receiver.ids[1:])
    assert numbers == list(range(numbers[0], 2010, 10))
    assert 1000 < numbers[0] <= 1711


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('shape = "plain"\nurl = "http://192.0.2.1/x"', "https"),
        ('shape = "plain"\nurl = "http://127.0.0.1.example/x"', "https"),
        ('shape = "plain"\nurl = "ftp://127.0.0.1/x"', "https"),
        ('shape = "plain"\nurl = "https://user:hidden@receiver.example/x"', "password"),
        ('shape = "standard"\nurl = "https://receiver.example/x"', "needs url, and secret_env"),
        ('shape = "standard"\nurl = "https://a.example"\nsecret_env = "NO_SUCH"', "missing"),
        ('shape = "standard"\nurl = "https://a.example"\nsecret_env = "SHORT"', "24 bytes"),
        ('shape = "slack"\nurl = "https://a.example"\nsecret_env = "SHORT"', "no url"),
        ('shape = "plain"\nurl = "https://a.example"\nsecret = "hidden"', "secret"),
        ('shape = "slack"\nsecret_env = "SLACK"', "name in changes"),
        ('shape = "slack"\nsecret_env = "SLACK"\nchanges = ["cloze"]', "no field 'cloze'"),
        (
            'shape = "slack"\nsecret_env = "SLACK"\nchanges = ["close"]\ntext = "{klose}"',
            "no field",
        ),
        (
            'shape = "slack"\nsecret_env = "SLACK"\nchanges = ["close"]\nlink = "file:x"',
            "link has to be",
        ),
        ('shape = "plain"\nurl = "https://a.example"\ntext = "x"', "of slack alone"),
        ('shape = "plain"\nurl = "https://a.example"\nattempts = 0', "attempts"),
    ],
)
def test_an_endpoint_that_cannot_be_is_refused(tmp_path, monkeypatch, table, said):
    monkeypatch.setenv("SHORT", "whsec_aGlkZGVu")
    monkeypatch.setenv("SLACK", "https://a.example/hidden")
    path = tmp_path / "w.toml"
    path.write_text(f'dead = "d"\n[endpoints.a]\nchannel = "market.bars"\n{table}\n')
    with pytest.raises(SettingsError, match=said) as refused:
        read_endpoints(path, sources_of(OUTPUTS))
    assert "hidden" not in str(refused.value)
    assert "aGlkZGVu" not in str(refused.value)
    assert "\n" not in str(refused.value)
