"""Rules that are nearly right are told from the right ones by random histories.

Each is a change of one place in the source. A comparison with the reference that missed one would
not protect us from it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

import connectors.adt.messages
import operators.adt.cancels
import operators.adt.visit
import state.adt.triggers
from connectors.hl7.message import Message
from operators.adt.visit import Visit
from state.adt.facts import Fact
from tests.operators.adt.histories import differs, history
from tests.reference.adt import timeline

MOST = 4000
"""Histories that are tried; most wrong rules show within fifty."""


class Wrong(NamedTuple):
    """``right`` in a module becomes ``wrong``."""

    module: ModuleType
    right: str
    wrong: str


TRIGGERS, CANCELS = state.adt.triggers, operators.adt.cancels
VISIT, PARSED = operators.adt.visit, connectors.adt.messages
RULES = {
    "A08 moves the patient": Wrong(
        TRIGGERS, '"A08": Effect.CORRECTS', '"A08": Effect.CORRECTS | Effect.PLACES'
    ),
    "A31 corrects nothing": Wrong(TRIGGERS, '"A31": Effect.CORRECTS', '"A31": NOTHING'),
    "A02 classifies": Wrong(
        TRIGGERS, '"A02": Effect.PLACES |', '"A02": Effect.PLACES | Effect.CLASSIFIES |'
    ),
    "A06 keeps the class": Wrong(
        TRIGGERS, '"A06": Effect.PLACES | Effect.CLASSIFIES |', '"A06": Effect.PLACES |'
    ),
    "A38 cancels admissions": Wrong(TRIGGERS, '"A38": Effect.PLANS', '"A38": Effect.ADMITS'),
    "the latest discharge counts": Wrong(
        VISIT,
        "return fact.recorded_ns, discharges, fact.clinical_ns, fact.digest",
        "return fact.clinical_ns, discharges, fact.recorded_ns, fact.digest",
    ),
    "a correction counts before its discharge": Wrong(VISIT, "if f.recorded_ns > first_ns", ""),
    "rows go on behind the discharge": Wrong(VISIT, "step.start_ns > leaving.end_ns", "False"),
    "a row may be empty": Wrong(VISIT, "start_ns < end_ns)", "start_ns <= end_ns)"),
    "neighbours stay apart": Wrong(VISIT, "last.end_ns == row.start_ns", "False"),
    "nothing is inferred": Wrong(VISIT, "since_ns < first.clinical_ns", "False"),
    "null is no class": Wrong(
        VISIT, "if fact.patient_class is not None and (", "if fact.patient_class and ("
    ),
    "null is no place": Wrong(VISIT, "if fact.location is not None:", "if fact.location:"),
    "a disposition cannot be emptied": Wrong(
        VISIT, "if fact.disposition is not None:", "if fact.disposition:"
    ),
    "all facts of one time place": Wrong(
        VISIT, "(fact.trigger, fact.clinical_ns): fact", "fact.digest: fact"
    ),
    "the leave recorded last counts": Wrong(
        VISIT,
        "away = having(facts, Effect.LEAVES | Effect.RETURNS)",
        "away = sorted(having(facts, Effect.LEAVES | Effect.RETURNS), key=by_recording)",
    ),
    "a cancel takes back what comes later": Wrong(
        CANCELS, "[fact for fact in others if fact.recorded_ns <= cancel.recorded_ns]", "others"
    ),
    "a cancel's time is not used": Wrong(CANCELS, "target = named or ", "target = "),
    "a cancel sent again finds another target": Wrong(
        CANCELS,
        "if fact.clinical_ns == cancel.occurred_ns]",
        "if fact.clinical_ns == cancel.occurred_ns and fact not in void]",
    ),
    "a transfer's destination is not used": Wrong(
        CANCELS, "choices = [to_there, from_there, facts]", "choices = [from_there, facts]"
    ),
    "a transfer's origin is not used": Wrong(
        CANCELS, "choices = [to_there, from_there, facts]", "choices = [to_there, facts]"
    ),
    "A13 cancels one discharge": Wrong(
        CANCELS, "        return of_kind\n", "        return of_kind[-1:]\n"
    ),
    "A13 places nobody": Wrong(
        CANCELS, "for each in back if each.location", "for each in back if False"
    ),
    "A11 leaves the moves": Wrong(
        CANCELS, "elif CANCELS[cancel.trigger] is Effect.ADMITS:", "elif False:"
    ),
    "a deletion is for good": Wrong(CANCELS, "if fact.recorded_ns > deleted_ns]", "if False]"),
    "what happened is when it was recorded": Wrong(
        PARSED, "(*left, occurred_ns, *recorded)", "(*left, *recorded, occurred_ns)"
    ),
    "a discharge is at EVN-6": Wrong(
        PARSED, "(*left, occurred_ns, *recorded)", "(occurred_ns, *left, *recorded)"
    ),
    "the message is recorded when it is sent": Wrong(
        PARSED,
        'recorded = (_time_ns(evn.text(2), zone), _time_ns(message.text("MSH", 7), zone))',
        'recorded = (_time_ns(message.text("MSH", 7), zone), _time_ns(evn.text(2), zone))',
    ),
}


@pytest.mark.parametrize("name", RULES)
def test_a_wrong_rule_is_caught(name):
    parse, visit = changed(RULES[name])
    assert caught(parse, visit), f"{MOST} histories do not tell that {name}"


def test_the_right_rules_are_not():
    parse, visit = changed(Wrong(VISIT, "", ""))
    assert not caught(parse, visit, 300)


def caught(
    parse: Callable[[bytes], Iterable[Fact]],
    visit: Callable[[Iterable[Fact]], Visit],
    most: int = MOST,
) -> bool:
    rng = random.Random(11)
    for _ in range(most):
        raws = history(rng)
        found = visit({fact for raw in raws for fact in parse(raw)})
        if differs(found, timeline(Message(raw) for raw in raws)):
            return True
    return False


def changed(rule: Wrong) -> tuple[Callable[..., Iterable[Fact]], Callable[..., Visit]]:
    """Return `parse` and `visit` of a program in which one rule is changed."""
    made: dict[str, ModuleType] = {}
    for module in (TRIGGERS, CANCELS, VISIT, PARSED):
        assert module.__file__ is not None
        source = Path(module.__file__).read_text()
        if module is rule.module:
            assert rule.right in source, "the rule is written in another way by now"
            source = source.replace(rule.right, rule.wrong)
        made[module.__name__] = _built(module.__name__, source, made)
    return made[PARSED.__name__].parse, made[VISIT.__name__].visit


def _built(name: str, source: str, others: dict[str, ModuleType]) -> ModuleType:
    """Return a module of this source, which takes those before it in place of the right ones."""
    module = ModuleType(name)
    with pytest.MonkeyPatch.context() as patched:
        for each, other in {**others, name: module}.items():
            patched.setitem(__import__("sys").modules, each, other)
        exec(compile(source, name, "exec"), module.__dict__)  # our own source
    return module
