"""Rules that are nearly right are told from the right ones by random histories.

Each is a change of one place in the source. A comparison with the reference that missed one would
not protect us from it.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

import connectors.adt.fields
import connectors.adt.messages
import connectors.adt.reader
import operators.adt.beds
import operators.adt.cancels
import operators.adt.domain
import operators.adt.family
import operators.adt.held
import operators.adt.identity
import operators.adt.report
import operators.adt.shown
import operators.adt.timeline
import operators.adt.visit
import state.adt.triggers
from connectors.hl7.message import Message
from state.adt.facts import Fact
from tests.operators.adt import domains
from tests.operators.adt.histories import differs, history
from tests.operators.adt.tables import Rows, tables
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
IDENTITY, BEDS, FAMILY = operators.adt.identity, operators.adt.beds, operators.adt.family
SHOWN = operators.adt.shown
DOMAIN, HELD, REPORT = operators.adt.domain, operators.adt.held, operators.adt.report
TIMELINE, READER = operators.adt.timeline, connectors.adt.reader
FIELDS = connectors.adt.fields
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
        CANCELS, "elif CANCELS[cancel.trigger] == Effect.ADMITS:", "elif False:"
    ),
    "a deletion is for good": Wrong(CANCELS, "if fact.recorded_ns > deleted_ns]", "if False]"),
    "what happened is when it was recorded": Wrong(
        PARSED, "(*left, (self._evn, 6), *recorded)", "(*left, *recorded, (self._evn, 6))"
    ),
    "a discharge is at EVN-6": Wrong(
        PARSED, "(*left, (self._evn, 6), *recorded)", "((self._evn, 6), *left, *recorded)"
    ),
    "the message is recorded when it is sent": Wrong(
        PARSED,
        "recorded = [(self._evn, 2), (msh, 7)]",
        "recorded = [(msh, 7), (self._evn, 2)]",
    ),
}


OF_DOMAINS = {
    "an alias is not followed": Wrong(
        IDENTITY,
        "return self._patients.end(patient)\n\n    def key",
        "return patient\n\n    def key",
    ),
    "an alias is followed once": Wrong(
        IDENTITY, "        while node in self._ends:", "        if node in self._ends:"
    ),
    "the first merge of a number counts": Wrong(
        IDENTITY, "for edge in sorted(set(edges))}", "for edge in sorted(set(edges), reverse=True)}"
    ),
    "in a circle the newest gives way": Wrong(
        IDENTITY, "sorted(newest.values(), reverse=True)", "sorted(newest.values())"
    ),
    "a move follows its patient": Wrong(
        IDENTITY, "return key if key in self._bound else", "return"
    ),
    "a move goes by any merge": Wrong(
        IDENTITY, "self._edges[node].recorded_ns > recorded_ns", "False"
    ),
    "a new number is for the old patient": Wrong(
        IDENTITY, "return self.survivor(patient), visit", "return patient, visit"
    ),
    "one group of a message is read": Wrong(
        PARSED, "return found[1:] or found", "return found[1:2] or found"
    ),
    "an authority is not told apart": Wrong(
        FIELDS, '"^^^".join((part(number), part(authority)))', "part(number)"
    ),
    "the first number of any type counts": Wrong(
        FIELDS,
        'max(usable, key=lambda each: each[0], default=(False, "", ""))',
        '(usable or [(False, "", "")])[0]',
    ),
    "a deleted person keeps the visits": Wrong(
        TRIGGERS, "    DELETES_PERSON: Effect.DELETES,\n", ""
    ),
    "a deletion stays with its number": Wrong(
        FAMILY, "for who in {patient, identity.survivor(patient)}:", "for who in {patient}:"
    ),
    "a newborn is a double booking": Wrong(
        BEDS, "return two in of_one or one in of_two or bool(of_one & of_two)", "return False"
    ),
    "twins are a double booking": Wrong(BEDS, " or bool(of_one & of_two)", ""),
    "a change of class splits a double booking": Wrong(
        BEDS, "stays = before is not None and before.location == row.location", "stays = False"
    ),
    "a room is a bed": Wrong(BEDS, 'location.split("^")[2:3]', 'location.split("^")'),
    "who leaves meets who comes": Wrong(BEDS, "span.end_ns > time_ns", "span.end_ns >= time_ns"),
    "a cancelled visit is a reuse": Wrong(SHOWN, "self.encounter.status not in NOT_REAL", "True"),
    "a reuse stays when a visit is cancelled": Wrong(
        DOMAIN, "of_number[patient] = after.is_real", "of_number[patient] = True"
    ),
    "the first status of a bed stays": Wrong(
        DOMAIN, "return known is None or known < told", "return known is None"
    ),
    "a double booking stays": Wrong(
        DOMAIN, "{_double(booking) for booking in changed & before},", "set(),"
    ),
    "a double booking by two others is forgotten": Wrong(
        DOMAIN, "changed -= self._beds.booked", "self._beds.booked"
    ),
    "births are not followed": Wrong(DOMAIN, "if births.before != births.after:", "if False:"),
    "the first to come is in a bed": Wrong(
        BEDS, "max(there.items(), key", "min(there.items(), key"
    ),
}
"""Rules of what several patients and visits have to do with each other."""


@pytest.mark.parametrize("name", RULES)
def test_a_wrong_rule_is_caught(name):
    assert caught(RULES[name]), f"{MOST} histories do not tell that {name}"


@pytest.mark.parametrize("name", OF_DOMAINS)
def test_a_wrong_rule_of_domains_is_caught(name):
    assert caught_in_domains(OF_DOMAINS[name]), f"{MOST} histories do not tell that {name}"


def test_the_right_rules_are_not():
    assert not caught(Wrong(VISIT, "", ""), 300)
    assert not caught_in_domains(Wrong(VISIT, "", ""), 100)


def caught(rule: Wrong, most: int = MOST) -> bool:
    made = changed(rule, (TRIGGERS, CANCELS, VISIT, FIELDS, READER, PARSED))
    rng = random.Random(11)
    for _ in range(most):
        raws = history(rng)
        said = [each for raw in raws for each in made[PARSED].parse(raw).statements]
        found = made[VISIT].visit({each for each in said if isinstance(each, Fact)})
        if differs(found, timeline(Message(raw) for raw in raws)):
            return True
    return False


def caught_in_domains(rule: Wrong, most: int = MOST) -> bool:
    made = changed(rule, (TRIGGERS, IDENTITY, CANCELS, VISIT, BEDS, SHOWN, FAMILY, DOMAIN,
                          HELD, REPORT, TIMELINE, FIELDS, READER, PARSED))  # fmt: skip
    rng = random.Random(12)
    for _ in range(most):
        raws = domains.history(rng)
        try:
            if domains.differs(raws, partial(_tables, made)):
                return True
        except AssertionError:  # it was emitted twice, or retracted and never there
            return True
    return False


def _tables(made: dict[ModuleType, Any], raws: list[bytes]) -> dict[str, Rows]:
    return tables(raws, read=made[PARSED].parse, make=made[TIMELINE].Timeline)


def changed(rule: Wrong, modules: Iterable[ModuleType]) -> dict[ModuleType, Any]:
    """Return a program in which one rule is changed: each module, and what it is there.

    ``modules`` are in an order in which each one imports only those before it.
    """
    made: dict[str, ModuleType] = {}
    found = {}
    for module in modules:
        assert module.__file__ is not None
        source = Path(module.__file__).read_text()
        if module is rule.module:
            assert rule.right in source, "the rule is written in another way by now"
            source = source.replace(rule.right, rule.wrong)
        found[module] = made[module.__name__] = _built(module.__name__, source, made)
    return found


def _built(name: str, source: str, others: dict[str, ModuleType]) -> ModuleType:
    """Return a module of this source, which takes those before it in place of the right ones."""
    module = ModuleType(name)
    with pytest.MonkeyPatch.context() as patched:
        for each, other in {**others, name: module}.items():
            patched.setitem(__import__("sys").modules, each, other)
        exec(compile(source, name, "exec"), module.__dict__)  # our own source
    return module
