"""Which facts of a visit stand, and which were taken back.

A cancel takes back what was recorded up to its own recording, so what is entered again later
stands. Its target is the fact of its kind at the time that it names; some senders name none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import NamedTuple

from state.adt.facts import Fact
from state.adt.triggers import BACK_IN, BEGUN, CANCELS, NOTHING, TRIGGERS, Effect


class Standing(NamedTuple):
    """The facts that stand and those taken back, both as they happened; cancels are in neither."""

    facts: list[Fact]
    void: list[Fact]
    unmet: list[Fact]
    """Cancels whose target is not known, or not yet."""


by_time: Callable[[Fact], tuple[int, int, str]] = itemgetter(0, 1, 2)
"""The order of facts in which they happened: clinical time, recorded time, digest."""
by_recording: Callable[[Fact], tuple[int, int, str]] = itemgetter(1, 0, 2)
"""The order of facts in which they were recorded: recorded time, clinical time, digest."""


def having(facts: Iterable[Fact], kinds: int) -> list[Fact]:
    """Return the facts that do one of these."""
    return [fact for fact in facts if TRIGGERS.get(fact.trigger, NOTHING) & kinds]


def kinds(facts: Iterable[Fact]) -> int:
    """Return all that some facts do. To ask this once is faster than `having` for each kind."""
    found = NOTHING
    for fact in facts:
        found |= TRIGGERS.get(fact.trigger, NOTHING)
    return found


def standing(facts: Iterable[Fact]) -> Standing:
    """Apply the last deletion, and then all cancels in the order of their recording."""
    left = _since_deletion(facts)
    cancels = sorted((fact for fact in left if fact.trigger in CANCELS), key=by_recording)
    others = [fact for fact in left if fact.trigger not in CANCELS]
    if not cancels:
        return Standing(sorted(others, key=by_time), [], [])
    back = [each for each in cancels if CANCELS[each.trigger] == Effect.DISCHARGES]
    beds = {each: _bed(each) for each in back if each.location}
    others = sorted([*others, *beds.values()], key=by_time)
    void: set[Fact] = set()
    unmet: list[Fact] = []
    for cancel in cancels:
        known = [fact for fact in others if fact.recorded_ns <= cancel.recorded_ns]
        targets = _targets(cancel, known, void)
        void.update(targets)
        if not targets:
            unmet.append(cancel)
            void.update({beds[cancel]} if cancel in beds else ())
        elif CANCELS[cancel.trigger] == Effect.ADMITS:
            void.update(_begun(targets, known, void))
    return Standing(
        [fact for fact in others if fact not in void],
        [fact for fact in others if fact in void and fact.trigger != BACK_IN],
        unmet,
    )


def _since_deletion(facts: Iterable[Fact]) -> list[Fact]:
    """Return the facts recorded after the last deletion: all, where there is none."""
    told = list(facts)
    deletions = having(told, Effect.DELETES)
    if not deletions:
        return told
    deleted_ns = max(fact.recorded_ns for fact in deletions)
    return [fact for fact in told if fact.recorded_ns > deleted_ns]


def _bed(cancel: Fact) -> Fact:
    """Return the fact that a cancelled discharge places the patient, when that was recorded."""
    return cancel._replace(trigger=BACK_IN, clinical_ns=cancel.recorded_ns)


def _targets(cancel: Fact, known: Sequence[Fact], void: set[Fact]) -> list[Fact]:
    """Return the facts that a cancel takes back, among those recorded up to it."""
    kind = CANCELS[cancel.trigger]
    of_kind = having(known, kind)
    if kind == Effect.DISCHARGES:  # after it the patient is in, whatever was recorded before
        return of_kind
    named = [fact for fact in of_kind if fact.clinical_ns == cancel.occurred_ns]
    # A cancel that is sent again names what is void by now, and must not find another target.
    target = named or _guessed(cancel, [fact for fact in of_kind if fact not in void])
    # An older copy of the target must not come back in its place.
    return [fact for fact in of_kind if target and fact.clinical_ns == target[0].clinical_ns]


def _guessed(cancel: Fact, facts: Sequence[Fact]) -> list[Fact]:
    """Return the target of a cancel that names none: of a transfer by its beds, else the newest."""
    choices = [facts]
    if CANCELS[cancel.trigger] == Effect.TRANSFERS:
        to_there = [fact for fact in facts if fact.location and fact.location == cancel.prior]
        from_there = [fact for fact in facts if fact.prior and fact.prior == cancel.location]
        choices = [to_there, from_there, facts]
    return next(([max(some, key=by_recording)] for some in choices if some), [])


def _begun(admissions: Sequence[Fact], known: Sequence[Fact], void: set[Fact]) -> list[Fact]:
    """Return what cancelled admissions began, where no other admission was recorded."""
    if any(fact not in void for fact in having(known, Effect.ADMITS)):
        return []
    since_ns = min(fact.clinical_ns for fact in admissions)
    return [fact for fact in having(known, BEGUN) if fact.clinical_ns >= since_ns]
