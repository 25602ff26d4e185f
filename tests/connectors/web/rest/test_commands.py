"""Commands have a lane of their own: no number of reads keeps the kill switch waiting."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import uuid
from collections import Counter
from urllib.parse import urlsplit

import httpx2
import orjson
import pytest
from prometheus_client import REGISTRY

from connectors.kafka.topics import ensure_topics
from connectors.web.rest.blocking import command, run
from flows.engine.cluster import cluster_of
from tests.connectors.web.feeds import play
from tests.connectors.web.rest.rig import expect_problem, feeding, serving, settings
from tests.waiting import PATIENCE_S, eventually

KILL = "/api/v1/trading/kill"
FOREIGN = {"Origin": "https://elsewhere.example"}
EMBEDDED = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
KILLS = 8
"""As many as are allowed in a second: few, so that a slow machine's reads are too many too."""


@pytest.fixture(scope="module")
def given(kafka):
    found = settings(bootstrap=kafka.bootstrap, port=0, requests_per_second=KILLS)
    ensure_topics(cluster_of(found.kafka), {"market.control": 1}, {"retention.ms": "-1"})
    return found


def answered(status: str) -> float:
    labels = {"command": "kill", "status": status}
    return REGISTRY.get_sample_value("headrace_feed_commands_total", labels) or 0.0


class Flood:
    """Asks for the same again and again over one connection, in a thread."""

    def __init__(self, address: str, headers: dict[str, str]) -> None:
        self.answers: Counter[int] = Counter()
        self.ended = threading.Event()
        url = urlsplit(address)
        lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
        self._asked = (
            f"GET /api/v1/recordings HTTP/1.1\r\nHost: {url.netloc}\r\n{''.join(lines)}\r\n"
        )
        self._at = (url.hostname, url.port)
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Flood:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._thread.join()

    def _ask(self) -> None:
        with socket.create_connection(self._at, timeout=PATIENCE_S) as raw:
            answer = raw.makefile("rb")
            while not self.ended.is_set():
                raw.sendall(self._asked.encode())
                self.answers[int(answer.readline().split()[1])] += 1
                length = 0
                while (line := answer.readline().lower()) not in (b"\r\n", b""):
                    if line.startswith(b"content-length:"):
                        length = int(line.partition(b":")[2])
                answer.read(length)


def test_no_kill_is_refused_beside_hundreds_of_reads(given, caplog):
    caplog.set_level(logging.INFO, "headrace.access")
    with feeding(given) as address, httpx2.Client(base_url=address, timeout=PATIENCE_S) as client:
        with Flood(address, FOREIGN) as foreign, Flood(address, {}) as own:
            eventually(lambda: foreign.answers[403] > 100 and own.answers[429] > 100)
            account, before = uuid.uuid4().hex, answered("202")
            killed = [client.post(KILL, json={"account": account}) for _ in range(KILLS)]
        assert [answer.status_code for answer in killed] == [202] * KILLS
        assert answered("202") == before + KILLS
        wrong = answered("400")
        expect_problem(client.post(KILL, json={}), 400)
        assert answered("400") == wrong + 1
        assert set(foreign.answers) == {403}
        assert own.answers[200] >= KILLS, "a foreign page takes nothing of our own reads"
    lines = [orjson.loads(r.getMessage()) for r in caplog.records if r.name == "headrace.access"]
    refused = [line for line in lines if not line["allowed"]]
    assert sum(line.get("count", 1) for line in refused) == foreign.answers[403] + own.answers[429]
    assert len(refused) < (foreign.answers[403] + own.answers[429]) / 10


@pytest.mark.parametrize("headers", [FOREIGN, {"Origin": "null"}, EMBEDDED], ids=str)
def test_pages_of_others_may_not_read(headers):
    with serving(settings()) as client:
        expect_problem(client.get("/api/v1/recordings", headers=headers), 403, "Origin")
        for own in (
            {},
            {"Origin": str(client.base_url).rstrip("/")},
            {"Sec-Fetch-Site": "same-origin"},
            {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"},
        ):
            assert client.get("/api/v1/recordings", headers=own).status_code == 200


def test_reads_that_wait_for_a_server_leave_threads_for_commands():
    async def scene() -> None:
        waiting = threading.Event()
        reads = [asyncio.create_task(run(waiting.wait)) for _ in range(100)]
        await asyncio.sleep(0)
        assert await command(lambda: "done") == "done"
        waiting.set()
        assert all(await asyncio.gather(*reads))

    play(scene)
