"""The state machine of one endpoint, without sockets or clocks."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.web.notify.delivery import CLOSED, GONE, HALF_OPEN, OPEN, Deliveries, Delivery
from connectors.web.notify.endpoint import Policy


def deliveries(count: int, **policy) -> Deliveries:
    made = Deliveries(Policy(**policy), Random(1))
    for number in range(count):
        made.add(str(number), b"{}", (number, 0), 0.0, 0.0)
    return made


def take(machine: Deliveries, now_s: float) -> Delivery:
    delivery = machine.due(now_s)
    assert delivery is not None
    return delivery


def fail(machine: Deliveries, now_s: float, **how) -> None:
    delivery = take(machine, now_s)
    machine.failed(delivery, now_s, **{"dead": False, **how})


def test_no_more_than_in_flight_are_sent_at_once():
    machine = deliveries(5, in_flight=2)
    first, second = take(machine, 0.0), take(machine, 0.0)
    assert (first.id, second.id) == ("0", "1")
    assert machine.due(0.0) is None
    assert machine.wait_s(0.0) is None
    machine.delivered(second)
    assert take(machine, 0.0).id == "2"


def test_the_position_is_before_the_oldest_that_is_not_done():
    machine = deliveries(3)
    first, second = take(machine, 0.0), take(machine, 0.0)
    machine.delivered(second)
    assert machine.position((9, 0)) == (0, 0)
    machine.failed(first, 0.0, dead=True)
    assert machine.position((9, 0)) == (2, 0)
    machine.delivered(take(machine, 0.0))
    assert machine.position((9, 0)) == (9, 0)


@given(st.integers(1, 200), st.integers(0, 2**32))
def test_a_pause_is_uniform_below_a_bound_that_doubles(attempt, seed):
    machine = Deliveries(
        Policy(backoff_s=1.0, max_backoff_s=60.0, breaker_failures=1000, attempts=1000),
        Random(seed),
    )
    machine.add("0", b"{}", (0, 0), 0.0, 0.0)
    draws, now_s = Random(seed), 0.0
    for number in range(1, attempt + 1):
        fail(machine, now_s)
        pause_s = draws.uniform(0.0, min(2.0 ** (number - 1), 60.0))
        assert machine.wait_s(now_s) == pytest.approx(pause_s, abs=1e-6)
        now_s += pause_s + 1e-6


def test_what_the_endpoint_asks_for_is_kept():
    machine = deliveries(1, backoff_s=0.001)
    fail(machine, 0.0, pause_s=7.0)
    assert machine.wait_s(0.0) == 7.0
    assert machine.due(6.9) is None
    assert machine.due(7.0) is not None


def test_the_breaker_opens_half_opens_and_closes():
    machine = deliveries(9, in_flight=4, breaker_failures=3, breaker_s=30.0, max_backoff_s=0.001)
    fail(machine, 0.0)
    fail(machine, 0.0)
    assert machine.state == CLOSED
    fail(machine, 0.0)
    assert machine.state == OPEN
    assert machine.due(29.9) is None
    assert machine.wait_s(10.0) == 20.0
    fail(machine, 30.0)
    assert machine.state == OPEN
    assert machine.due(59.9) is None
    probe = take(machine, 60.0)
    assert machine.state == HALF_OPEN
    assert machine.due(60.0) is None
    machine.delivered(probe)
    assert machine.state == CLOSED
    assert [machine.due(60.0) is not None for _ in range(5)] == [True] * 4 + [False]


def test_a_success_between_failures_keeps_the_breaker_closed():
    machine = deliveries(20, breaker_failures=2)
    for _ in range(5):
        fail(machine, 0.0)
        machine.delivered(take(machine, 0.0))
    assert machine.state == CLOSED


def test_gone_is_for_good_and_keeps_what_waits():
    machine = deliveries(3)
    first, second = take(machine, 0.0), take(machine, 0.0)
    machine.gone(first)
    machine.delivered(second)
    assert machine.state == GONE
    assert machine.due(1e9) is None
    assert machine.wait_s(1e9) is None
    assert len(machine) == 2
    assert machine.position((9, 0)) == (0, 0)


def test_it_ends_after_attempts_or_at_an_age():
    machine = deliveries(1, attempts=2, max_age_s=100.0, max_backoff_s=0.001)
    first = take(machine, 0.0)
    assert not machine.exhausted(first, 99.9)
    assert machine.exhausted(first, 100.0)
    machine.failed(first, 0.0, dead=False)
    assert machine.exhausted(take(machine, 1.0), 1.0)
    old = Deliveries(Policy(max_age_s=100.0), Random(1))
    old.add("0", b"{}", (0, 0), 60.0, 1000.0)
    assert not old.exhausted(take(old, 1000.0), 1039.0)
    old = Deliveries(Policy(max_age_s=100.0), Random(1))
    old.add("0", b"{}", (0, 0), 60.0, 1000.0)
    assert old.exhausted(take(old, 1000.0), 1040.0)


@given(st.lists(st.sampled_from(["take", "ok", "fail", "dead", "later"]), max_size=80))
def test_every_record_is_done_once_or_waits(steps):
    machine = deliveries(6, in_flight=2, breaker_failures=2, breaker_s=5.0, max_backoff_s=3.0)
    flying, done, now_s = [], [], 0.0
    for step in steps:
        if step == "later":
            now_s += 1.0
        elif step == "take":
            if (delivery := machine.due(now_s)) is not None:
                flying.append(delivery)
        elif flying:
            delivery = flying.pop(0)
            if step == "ok":
                machine.delivered(delivery)
            else:
                machine.failed(delivery, now_s, dead=step == "dead")
            if step != "fail":
                done.append(int(delivery.id))
        assert len(flying) <= 2
        assert len(set(done)) == len(done) == 6 - len(machine)
        left = set(range(6)) - set(done)
        assert machine.position((6, 0))[0] == min(left, default=6)


def test_beyond_the_lines_of_a_minute_the_last_stands_for_all():
    made = Deliveries(Policy(per_minute=3), Random(1))
    for number in range(10):
        made.add(str(number), b"%d" % number, (number, 0), 0.0, 100.0)
    sent = []
    while (delivery := made.due(100.0)) is not None:
        sent.append(delivery.id)
        made.delivered(delivery)
    assert sent == ["0", "1", "2"]
    assert made.position((9, 0)) == (3, 0), "what was left out is not done before the last is sent"
    assert made.wait_s(100.0) == 60.0
    last = made.due(160.0)
    assert last is not None
    assert (last.id, last.raw, last.more) == ("9", b"9", 6)
    made.add("10", b"10", (10, 0), 0.0, 160.0)
    assert last.id == "9", "what is under way does not change"
    made.delivered(last)
    assert made.position((10, 0)) == (10, 0)
