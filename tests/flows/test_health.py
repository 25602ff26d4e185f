from __future__ import annotations

import time
import urllib.error
import urllib.request

import pytest

from flows.engine import health
from state.errors import Misuse
from state.lifecycle import Lifecycle


@pytest.fixture
def lifecycle() -> Lifecycle:
    return Lifecycle()


def test_ready_follows_the_life_of_the_worker(lifecycle):
    assert health.ready(lifecycle, lifecycle.last_poll) == (
        503,
        {"ready": False, "reason": "opening"},
    )
    lifecycle.polled()
    assert health.ready(lifecycle, lifecycle.last_poll) == (200, {"ready": True})
    lifecycle.waiting["redis"] = "refused"
    assert health.ready(lifecycle, lifecycle.last_poll) == (
        503,
        {"ready": False, "waiting": {"redis": "refused"}},
    )
    lifecycle.recovered("redis")
    assert health.ready(lifecycle, lifecycle.last_poll) == (200, {"ready": True})
    lifecycle.stopping.set()
    assert health.ready(lifecycle, lifecycle.last_poll)[0] == 503


def test_live_ends_when_nothing_polls_and_nothing_is_waited_for(lifecycle):
    begin = lifecycle.last_poll
    assert health.live(lifecycle, begin + 3600)[0] == 200, "it still opens"
    lifecycle.polled()
    begin = lifecycle.last_poll
    assert health.live(lifecycle, begin + 29)[0] == 200
    assert health.live(lifecycle, begin + 31) == (
        503,
        {"live": False, "reason": "no poll for 31 s"},
    )
    lifecycle.waiting["redis"] = "refused"
    assert health.live(lifecycle, begin + 3600)[0] == 200


def test_a_server_that_does_not_answer_a_call_is_named_and_waited_for(lifecycle):
    lifecycle.polled()
    begin = time.monotonic()
    with lifecycle.calling("postgres"):
        assert health.ready(lifecycle, begin + 4)[0] == 200
        assert health.ready(lifecycle, begin + 10) == (
            503,
            {"ready": False, "waiting": {"postgres": "no answer for 10 s"}},
        )
        assert health.live(lifecycle, begin + 3600)[0] == 200
    assert health.ready(lifecycle, begin + 10)[0] == 200
    assert health.live(lifecycle, begin + 3600)[0] == 503


@pytest.mark.parametrize(
    ("group", "who"), [(False, "the disk"), (True, "the disk or another worker")]
)
def test_a_snapshot_that_does_not_become_durable_is_named_and_waited_for(lifecycle, group, who):
    lifecycle.group = group
    lifecycle.polled()
    lifecycle.snapshotted()
    begin = time.monotonic()
    assert health.ready(lifecycle, begin + 4)[0] == 200
    code, told = health.ready(lifecycle, begin + 10)
    assert (code, told["waiting"]) == (503, {"snapshot": f"{who} has not answered for 10 s"})
    assert health.live(lifecycle, begin + 3600)[0] == 200
    lifecycle.polled()
    assert health.ready(lifecycle, begin + 10)[0] == 200


def test_it_answers_while_it_serves(lifecycle):
    with health.serving(0, lifecycle) as port:
        address = f"http://127.0.0.1:{port}"
        assert urllib.request.urlopen(f"{address}/live").status == 200
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{address}/ready")
        assert caught.value.code == 503
        assert b"headrace_" in urllib.request.urlopen(f"{address}/metrics").read()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"{address}/live")


def test_a_port_that_is_taken_is_misuse_with_the_setting(lifecycle):
    with (
        health.serving(0, lifecycle) as port,
        pytest.raises(Misuse, match=f"{port}.*run.http_port"),
        health.serving(port, lifecycle),
    ):
        pass
