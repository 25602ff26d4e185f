"""The example of docs/feed.md posts what has changed, and only that."""

from __future__ import annotations

import tomllib
from typing import Any

import orjson

from tests.connectors.web.feeds import play, served
from tests.connectors.web.receiving import Receiver, begun, done, listening
from tests.connectors.web.rest.rig import write
from tests.docs.pages import blocks
from tests.flows.runs import ROOT
from tests.operators.market.controls.stage import START, Stage

HALTS = ("halts", "trading", "state")
BREACHES = ("breaches", "market", "signals")
LINK = " · <https://desk.example/|open>"
SINCE = " · since 2023-11-14 22:1"


def example() -> str:
    """Return the file of endpoints."""
    found = [b.text for b in blocks(ROOT / "docs" / "feed.md") if b.language == "toml"]
    (text,) = [text for text in found if "endpoints" in tomllib.loads(text)]
    return text


class Trading:
    """A trading system whose states go into Redis."""

    def __init__(self, url: str) -> None:
        self.url, self.stage, self.counter = url, Stage(), 0
        self.stage.quote()
        self.stage.order("0")

    def tell(self, records: list[dict[str, Any]]) -> None:
        names = [record["account"] for record in records]
        write(self.url, "state", records, names, self.counter + 1, system="trading")
        self.counter += len(records)

    def beats(self, count: int) -> None:
        for _ in range(count):
            self.stage.wait(1)
            beat = self.stage.put("clock", type="clock", ts_ns=self.stage.now_ns)
            self.tell([emitted.record for emitted in beat if emitted.output == "state"])


def signal(number: int) -> dict[str, Any]:
    head = {"id": f"s{number}", "ts_ns": START, "scope": "symbol:SPY", "kind": "breach_down"}
    return head | {"method": "ewma-normal", "value": -0.0123456789, "threshold": -0.01}


def test_the_example_posts_changes_alone(redis_url, tmp_path, monkeypatch):
    receiver = Receiver()

    async def scene() -> None:
        trading = Trading(redis_url)
        trading.beats(3)
        async with listening(receiver) as port:
            (tmp_path / "url").write_text(f"http://127.0.0.1:{port}/T0")
            monkeypatch.setenv("DESK_SECRET", "whsec_" + "c2VjcmV0" * 6)
            text = example().replace("/run/secrets/slack-url", f"{tmp_path}/url")
            (tmp_path / "webhooks.toml").write_text(text)
            given = {"webhooks": tmp_path / "webhooks.toml"}
            async with served(redis_url, **given):
                await begun(redis_url, *HALTS)
                await begun(redis_url, *BREACHES)
                trading.beats(30)
                trading.tell(trading.stage.control("kill", reason="fat <finger>"))
                trading.tell(trading.stage.control("state", state="HALTED", reason="again"))
                trading.beats(30)
                await done(redis_url, *HALTS)
            # What changes while the feed is down is posted once it is back.
            trading.tell(trading.stage.control("resume"))
            trading.beats(30)
            async with served(redis_url, **given):
                trading.tell(trading.stage.control("state", state="ACTIVE", reason="all well"))
                write(redis_url, "signals", [signal(1)], [""])
                await done(redis_url, *HALTS)
                await done(redis_url, *BREACHES)

    play(scene)
    posted = [orjson.loads(body)["text"] for _, body in receiver.got]
    assert [text.partition(SINCE)[0] for text in sorted(posted)] == [
        "A is ACTIVE by manual: all well · was HALTED",
        "A is HALTED by kill: fat &lt;finger&gt; · was ACTIVE",
        "symbol:SPY, breach_down: it moved by -0.0123457, the forecast's limit was -0.01",
    ]
    assert [LINK in text for text in sorted(posted)] == [True, True, False]
