"""The contract of every logic; one joins by a test that calls `check` with items of its own."""

from __future__ import annotations

import copy
import pickle
import random
from collections.abc import Callable, Sequence
from typing import Any

from operators.logic import Logic
from operators.outputs import Outputs
from operators.pages import Paged
from state.outputs import Output
from state.records import DeadLetter
from tests.contracts.operators import assert_plain

Make = Callable[[], Logic]
Told = tuple[list[tuple[Any, ...]], list[Any]]
"""Every record with its counter, and what was handed on, in order."""


def check(make: Make, items: Sequence[Any], outputs: Sequence[Output] = ()) -> None:
    """Check a logic on items that make it emit or hand on something; raises AssertionError."""
    check_restarts(make, items, outputs)
    check_input_is_left_alone(make, items)
    check_snapshot_is_a_copy(make, items)


def check_restarts(make: Make, items: Sequence[Any], outputs: Sequence[Output]) -> None:
    """A restart from a snapshot between any two items changes nothing."""
    whole = told(make, items, outputs, lambda: False)
    assert any(whole), "the items make nothing of it"
    rng = random.Random(3)
    for probability in (1.0, 0.3, 0.02):
        assert told(make, items, outputs, lambda p=probability: rng.random() < p) == whole  # type: ignore[misc]


def check_input_is_left_alone(make: Make, items: Sequence[Any]) -> None:
    """No item is changed, and none is kept: what becomes of it later changes nothing."""
    given = copy.deepcopy(list(items))
    logic, outputs = make(), Outputs()
    for item in given:
        list(logic.process(item, outputs))
    assert pickle.dumps(given) == pickle.dumps(copy.deepcopy(list(items)))


def check_snapshot_is_a_copy(make: Make, items: Sequence[Any]) -> None:
    """What follows a snapshot does not change it, and it holds plain values alone."""
    logic, outputs = make(), Outputs()
    half = len(items) // 2
    for item in items[:half]:
        list(logic.process(item, outputs))
    kept = state_of(logic)
    assert_plain(kept)
    then = pickle.dumps(kept)
    for item in items[half:]:
        list(logic.process(item, outputs))
    assert pickle.dumps(kept) == then


def told(
    make: Make, items: Sequence[Any], outputs: Sequence[Output], restart: Callable[[], bool]
) -> Told:
    """Return all that a logic says of the items, restarted where ``restart`` says so."""
    return _told(make, make(), Outputs(outputs), items, restart)


def _told(
    make: Make, logic: Logic, outbox: Outputs, items: Sequence[Any], restart: Callable[[], bool]
) -> Told:
    records: list[tuple[Any, ...]] = []
    handed: list[Any] = []
    for item in items:
        found = list(logic.process(copy.deepcopy(item), outbox))
        handed += [each for each in found if not isinstance(each, DeadLetter)]
        for batch in outbox.take():
            rows = zip(batch.ids, batch.keys, batch.values, strict=True)
            for row, record in enumerate(rows):
                place = (batch.output, batch.origin, batch.first + row)
                records.append((*place, *record, row in batch.retracted))
        if restart():
            logic = restored(make, pickle.loads(pickle.dumps(state_of(logic))))
    return records, handed


State = tuple[dict[str, Any], dict[int, dict[str, Any]]]
"""A logic's snapshot, and its pages by number."""


def going_on(
    make: Make,
    state: State,
    counters: dict[str, int],
    items: Sequence[Any],
    outputs: Sequence[Output],
) -> Told:
    """Return what a logic of a stored state says of the items."""
    logic, outbox = restored(make, state), Outputs(outputs)
    outbox.counters = dict(counters)
    return _told(make, logic, outbox, items, lambda: False)


def state_of(logic: Logic) -> State:
    """Return a logic's snapshot and its pages."""
    pages = {}
    if isinstance(logic, Paged):
        pages = {page: logic.entities.dump(page) for page in logic.entities.filled()}
    return logic.snapshot(), pages


def restored(make: Make, state: State) -> Logic:
    """Return a logic with the state that `state_of` gave."""
    logic = make()
    parts, pages = state
    logic.restore(parts)
    if isinstance(logic, Paged):
        for page, entities in pages.items():
            logic.entities.load(page, entities)
    return logic
