"""The generation that readers use, asked for beside a flow."""

from __future__ import annotations

import uuid

import redis
from pydantic import SecretStr

from connectors.redis.promoted import NAME, Promoted
from connectors.redis.reader import promote
from flows.servers import Valkey
from state.lifecycle import Lifecycle
from tests.waiting import eventually


def test_a_switch_is_noticed_and_an_outage_leaves_what_was_known(own_valkey: Valkey) -> None:
    system, lifecycle = f"t{uuid.uuid4().hex}", Lifecycle()
    promoted = Promoted(SecretStr(own_valkey.url), system, lifecycle)
    eventually(lambda: promoted() == 1)
    assert lifecycle.waiting == {}
    promote(redis.Redis.from_url(own_valkey.url), system, 2)
    eventually(lambda: promoted() == 2)
    own_valkey.stop()
    assert promoted() == 2
    lifecycle.stopping.set()


def test_before_the_first_answer_it_says_what_it_waits_for() -> None:
    lifecycle = Lifecycle()
    promoted = Promoted(SecretStr("redis://127.0.0.1:1/0"), "market", lifecycle)
    assert promoted() is None
    assert "which generation of market" in lifecycle.waiting[NAME]
    lifecycle.stopping.set()
