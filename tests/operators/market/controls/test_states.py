"""The trading state: its table, the worst of its causes, and what silence means."""

from __future__ import annotations

import itertools

import pytest

from operators.market.controls.liveness import seen_state
from operators.market.controls.states import (
    FREE,
    TRANSITIONS,
    Cause,
    Event,
    Standing,
    State,
    effective,
)

ACTIVE, REDUCING, HALTED = State


def test_every_cause_has_a_way_back_to_active_from_each_state_that_it_reaches() -> None:
    for cause, table in TRANSITIONS.items():
        reached = {ACTIVE} | {s for row in table.values() for s in row.values()}
        assert all(ACTIVE in table[state].values() for state in reached - {ACTIVE}), cause


def test_a_thrown_kill_switch_knows_resume_alone() -> None:
    standing = Standing()
    assert standing.move(Cause.KILL, Event.KILL, "fire", "s/0/1")
    for event in set(Event) - {Event.RESUME}:
        assert not standing.move(Cause.KILL, event, "", "s/0/2")
    assert standing.worst.source == "s/0/1"
    assert standing.move(Cause.KILL, Event.RESUME, "", "s/0/3")
    assert standing.worst == FREE


def test_resuming_the_kill_switch_lifts_no_other_hold() -> None:
    standing = Standing()
    standing.move(Cause.VAR, Event.REDUCE, "var", "r/0/0")
    standing.move(Cause.KILL, Event.KILL, "fire", "c/0/0")
    standing.move(Cause.KILL, Event.RESUME, "", "c/0/1")
    assert standing.worst.cause == Cause.VAR
    assert standing.worst.state == REDUCING


@pytest.mark.parametrize(("own", "everyone"), list(itertools.product(State, State)))
def test_the_worse_of_the_accounts_own_and_everyones_state_counts(
    own: State, everyone: State
) -> None:
    by_state = {ACTIVE: Event.ACTIVATE, REDUCING: Event.REDUCE, HALTED: Event.HALT}
    mine, all_ = Standing(), Standing()
    mine.move(Cause.MANUAL, by_state[own], "mine", "")
    all_.move(Cause.MANUAL, by_state[everyone], "all", "")
    hold = effective(mine, all_)
    assert hold.state == max(own, everyone)
    if hold.state != ACTIVE:
        assert hold.reason == ("mine" if own >= everyone else "all")


def test_who_has_heard_nothing_in_time_is_halted() -> None:
    assert seen_state(None, 0, 0, 10) == HALTED
    assert seen_state(ACTIVE, 100, 110, 10) == ACTIVE
    assert seen_state(ACTIVE, 100, 111, 10) == HALTED
    assert seen_state(REDUCING, 100, 105, 10) == REDUCING
