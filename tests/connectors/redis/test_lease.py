"""A generation is written by the run that began last, on a real Valkey."""

from __future__ import annotations

import uuid

import pytest
from pydantic import SecretStr

from connectors.redis.client import client, pool
from connectors.redis.keys import Keys
from connectors.redis.lease import TRUST_S, Lease, moment
from state.errors import Fenced
from state.lifecycle import Lifecycle


@pytest.fixture
def lease(valkey):
    """Makes the lease of a process of a run."""
    keys = Keys(f"t{uuid.uuid4().hex}", 3)

    def made(writer: str) -> Lease:
        return Lease(pool(SecretStr(valkey.url)), keys, writer, Lifecycle())

    return made


def test_the_first_run_need_not_wait(lease):
    began = moment()
    lease("one").check()
    assert moment() - began < 60, "a machine may stall"


def test_who_takes_a_lease_over_waits_until_nobody_trusts_the_former(lease):
    former = lease("one")
    former.check()
    later = lease("two")
    later.take()
    taken = moment()
    later.check()
    assert moment() - taken >= TRUST_S
    with pytest.raises(Fenced, match=r"generation 3 of t\w+ is run twice: two writes it now"):
        former.check()


def test_processes_of_one_run_share_the_lease_and_all_wait_for_the_former(lease):
    former, one, other = lease("former"), lease("one"), lease("one")
    former.take()
    one.take()
    other.take()
    taken = moment()
    other.check()
    assert moment() - taken >= TRUST_S
    one.check()
    former._confirmed = 0.0
    with pytest.raises(Fenced):
        former.check()


def test_a_confirmed_lease_is_trusted_for_a_while_and_then_asked_for(lease):
    one = lease("one")
    one.take()
    lease("two").take()
    one.confirmed(moment() + 3600)
    one.check()
    one._confirmed = moment() - TRUST_S - 1
    with pytest.raises(Fenced):
        one.check()


def test_a_lease_that_redis_has_lost_is_nobody_s(lease, valkey):
    one = lease("one")
    one.take()
    with client(SecretStr(valkey.url)) as connection:
        connection.delete(one._keys.writer)
    one._confirmed = asked = moment() - TRUST_S - 1
    one.check()
    assert one._confirmed > asked, "Redis was asked, and had nobody"
