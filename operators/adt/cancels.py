"""Which facts of a visit stand, and which were taken back.

A cancel takes back what was recorded up to its own recording, so what is entered again later
stands. Its target is the fact of its kind at the time that it names; some senders name none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from state.adt.facts import Fact
from state.adt.triggers import CANCELS, Effect, effect


class Standing(NamedTuple):
    """The facts that stand and those taken back, both in order; cancels are in neither."""

    facts: list[Fact]
    void: list[Fact]
    met: list[Fact]
    """Cancels that took something back."""
    unmet: list[Fact]
    """Cancels whose target is not known, or not yet."""


def by_time(fact: Fact) -> tuple[int, int, str]:
    """The order of facts in which they happened."""
    return fact.clinical_ns, fact.recorded_ns, fact.digest


def by_recording(fact: Fact) -> tuple[int, int, str]:
    """The order of facts in which they were recorded."""
    return fact.recorded_ns, fact.clinical_ns, fact.digest


def standing(facts: Iterable[Fact]) -> Standing:
    """Apply all cancels and deletions, in the order of their recording."""
    ordered = sorted(facts, key=by_time)
    others = [fact for fact in ordered if fact.trigger not in CANCELS]
    void: set[Fact] = set()
    met: list[Fact] = []
    unmet: list[Fact] = []
    for cancel in sorted((f for f in ordered if f.trigger in CANCELS), key=by_recording):
        known = [fact for fact in others if fact.recorded_ns <= cancel.recorded_ns]
        targets = _targets(cancel, known, void)
        void.update(targets)
        if targets and cancel.trigger == "A11":
            void.update(_begun(targets, known, void))
        (met if targets else unmet).append(cancel)
    for deletion in (fact for fact in others if Effect.DELETES in effect(fact.trigger)):
        void.update(f for f in others if f.recorded_ns <= deletion.recorded_ns)
    return Standing(
        [fact for fact in others if fact not in void],
        [fact for fact in others if fact in void],
        met,
        unmet,
    )


def _targets(cancel: Fact, known: Sequence[Fact], void: set[Fact]) -> list[Fact]:
    """Return the facts that a cancel takes back, among those recorded up to it."""
    kind = CANCELS[cancel.trigger]
    of_kind = [fact for fact in known if kind in effect(fact.trigger)]
    if cancel.trigger == "A12":
        of_kind = [fact for fact in of_kind if fact.trigger == "A02"]
    if cancel.trigger == "A13":  # after it the patient is in, whatever was recorded before
        return of_kind
    named = [fact for fact in of_kind if fact.clinical_ns == cancel.occurred_ns]
    # A cancel that is sent again names what is void by now, and must not find another target.
    return named or _guessed(cancel, [fact for fact in of_kind if fact not in void])


def _guessed(cancel: Fact, facts: Sequence[Fact]) -> list[Fact]:
    """Return the target of a cancel that names none: of a transfer by its beds, else the newest."""
    choices = [facts]
    if cancel.trigger == "A12":
        to_there = [fact for fact in facts if fact.location and fact.location == cancel.prior]
        from_there = [fact for fact in facts if fact.prior and fact.prior == cancel.location]
        choices = [to_there, from_there, facts]
    return next(([max(some, key=by_time)] for some in choices if some), [])


def _begun(admissions: Sequence[Fact], known: Sequence[Fact], void: set[Fact]) -> list[Fact]:
    """Return the moves that cancelled admissions began, where no other admission was recorded."""
    if any(Effect.ADMITS in effect(fact.trigger) and fact not in void for fact in known):
        return []
    since_ns = min(fact.clinical_ns for fact in admissions)
    return [
        fact
        for fact in known
        if Effect.PLACES in effect(fact.trigger) and fact.clinical_ns >= since_ns
    ]
