"""Wrong rules of what is kept: persons and results, what is forgotten, and whose domain it is.

As in `tests.operators.adt.test_wrong_rules`, each is a change of one place in the source.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from datetime import UTC
from itertools import product
from types import ModuleType
from typing import Any

import pytest

import connectors.adt.attributes
import connectors.adt.envelope
import connectors.adt.fields
import connectors.adt.messages
import connectors.adt.reader
import operators.adt.attributes
import operators.adt.family
import operators.adt.held
import operators.adt.observed
import operators.adt.orders
import operators.adt.report
import operators.adt.results
import operators.adt.shown
import operators.adt.timeline
from connectors.hl7.message import Message
from operators.logic import Logic
from tests.connectors.adt.test_decode import RAW, batch
from tests.operators.adt import test_attributes, test_horizon
from tests.operators.adt.tables import tables
from tests.operators.adt.test_wrong_rules import Wrong, changed
from tests.operators.adt.told import Told

MOST = 1500
"""Histories that are tried; most wrong rules show within fifty."""
ENVELOPE, FIELDS = connectors.adt.envelope, connectors.adt.fields
READER, PARSED = connectors.adt.reader, connectors.adt.messages
LISTED, ATTRIBUTES = connectors.adt.attributes, operators.adt.attributes
OBSERVED, ORDERS = operators.adt.observed, operators.adt.orders
SHOWN, FAMILY, HELD = operators.adt.shown, operators.adt.family, operators.adt.held
REPORT, RESULTS, TIMELINE = operators.adt.report, operators.adt.results, operators.adt.timeline
READ = (ENVELOPE, FIELDS, READER, LISTED, PARSED)
KEPT = (ATTRIBUTES, OBSERVED, ORDERS, SHOWN, FAMILY, HELD, REPORT, RESULTS, TIMELINE)

OF_PERSONS = {
    "the oldest statement counts": Wrong(
        ATTRIBUTES, "return statement[:3]", "return -statement[0], *statement[1:3]"
    ),
    "null says nothing": Wrong(
        ATTRIBUTES,
        "if said is not None:\n                found[at] = said or None",
        "if said:\n                found[at] = said or None",
    ),
    "the newest statement outdoes all": Wrong(
        ATTRIBUTES,
        "        found.update((at, each) for at, said in enumerate(each.values) "
        "if said is not None)\n",
        "",
    ),
    "no list of diagnoses is whole": Wrong(
        ATTRIBUTES, "if each.whole:\n            found", "if False:\n            found"
    ),
    "a diagnosis that is taken back stays": Wrong(ATTRIBUTES, "if not one.is_gone", ""),
    "changes of diagnoses are not kept": Wrong(
        ATTRIBUTES, "return {*whole.values(), *changes.values()}", "return {*whole.values()}"
    ),
    "attributes outlive a deletion": Wrong(
        ATTRIBUTES, "if since_ns is None or statement.recorded_ns > since_ns", ""
    ),
    "what is recorded with a deletion stays": Wrong(
        ATTRIBUTES, "statement.recorded_ns > since_ns", "statement.recorded_ns >= since_ns"
    ),
    "an action makes a list whole": Wrong(LISTED, "whole = not any(", "whole = any("),
    "results stay when their patient is merged": Wrong(
        TIMELINE, "self._results.move(family, changes.moved)", "pass"
    ),
    "results are not taken from where they were": Wrong(
        RESULTS, "for told in (*before, *after)", "for told in after"
    ),
    "results of a deleted person stay": Wrong(
        FAMILY, "or deleted.get(key[0]) != self.deleted.get(key[0])", ""
    ),
    "the first deletion counts": Wrong(FAMILY, "max(Deletion(", "min(Deletion("),
    "a result recorded with the deletion stands": Wrong(
        OBSERVED, "observation.recorded_ns <= deleted_ns", "observation.recorded_ns < deleted_ns"
    ),
    "what is deleted stands beside what is told again": Wrong(
        OBSERVED, "if (row.name, row.time) not in told_again", ""
    ),
    "an order stays as it was first kept": Wrong(
        ORDERS,
        "        self._packed = None\n        return True",
        "        return True",
    ),
    "a family stays as it was first kept": Wrong(
        HELD, "family = self.read()\n        self._packed = None", "family = self.read()"
    ),
    "a snapshot loses the orders": Wrong(
        FAMILY, "made._orders = {told: dict(of_key) for told, of_key in orders}", "pass"
    ),
    "a join loses the orders": Wrong(FAMILY, "in other._orders.items()", "in ()"),
}
OF_HORIZON = {
    "what is late counts": Wrong(
        TIMELINE, "report.late(BEYOND_HORIZON)\n            return", "report.late(BEYOND_HORIZON)"
    ),
    "a visit is kept for one horizon": Wrong(
        TIMELINE,
        "limit_ns = self.oldest_ns(domain) - self._horizon_ns",
        "limit_ns = self.oldest_ns(domain)",
    ),
    "who is there is forgotten": Wrong(FAMILY, "encounter.status not in LASTING", "True"),
    "who is forgotten stays in bed": Wrong(
        TIMELINE, "self.domain(domain).forget(key, beds.get(key, ()))", "pass"
    ),
    "orders are not forgotten": Wrong(
        TIMELINE, "self.entities.drop(order_name(domain, told, order))", "pass"
    ),
    "what is strange is not forgotten": Wrong(
        FAMILY, "        self._forget_strange(before_ns)\n", ""
    ),
    "what is strange is forgotten with a visit": Wrong(
        FAMILY, "if _told_ns(each) < before_ns]", "]"
    ),
    "what is strange waits for a visit": Wrong(
        FAMILY, "*(_told_ns(each) for each in self.strange())", ""
    ),
    "a family of nothing is kept": Wrong(TIMELINE, "if family.is_empty:", "if False:"),
    "one part of the pages is looked at": Wrong(TIMELINE, "range(clock % PARTS, ", "range(0, "),
    "hours without messages are skipped": Wrong(
        TIMELINE,
        "first = census.clock if before is None else max(before + 1, census.clock - PARTS + 1)",
        "first = census.clock",
    ),
}
OF_SENDERS = {
    "the application is not asked": Wrong(ENVELOPE, "for field in (4, 3)", "for field in (4,)"),
    "the key is the facility": Wrong(
        ENVELOPE, "shared(header, domains).encode() or _name(header)", "_name(header)"
    ),
    "names are of UTF-8": Wrong(
        ENVELOPE, 'decode("cp1252", "replace")', 'decode("ascii", "replace")'
    ),
    "the flow asks the facility": Wrong(READER, "name = self._shared or part(", "name = part("),
    "wards of two facilities are one": Wrong(
        READER, "home = self._shared or self.facility", "home = self.facility"
    ),
    "its own facility is named": Wrong(
        FIELDS, "if any(parts) and facility != self._home:", "if any(parts):"
    ),
    "the bed of another is the sender's": Wrong(FIELDS, "facility = facility or (", "facility = ("),
    "any key will do": Wrong(PARSED, "if messages.partitions > 1 and said.statements", "if False"),
    "a key is needed": Wrong(PARSED, "if key is None or key", "if key"),
    "the key of one partition is asked": Wrong(PARSED, "if messages.partitions > 1 and", "if"),
}


@pytest.mark.parametrize("name", OF_PERSONS)
def test_a_wrong_rule_of_persons_and_results_is_caught(name):
    assert told_otherwise(OF_PERSONS[name]), f"{MOST} histories do not tell that {name}"


@pytest.mark.parametrize("name", OF_HORIZON)
def test_a_wrong_rule_of_the_horizon_is_caught(name, monkeypatch):
    assert fails(OF_HORIZON[name], monkeypatch), f"no test of the horizon tells that {name}"


@pytest.mark.parametrize("name", OF_SENDERS)
def test_a_wrong_rule_of_domains_is_caught(name):
    assert placed_otherwise(OF_SENDERS[name]), f"no message tells that {name}"


def test_the_right_rules_are_not(monkeypatch):
    right = Wrong(TIMELINE, "", "")
    assert not told_otherwise(right, 60)
    assert not fails(right, monkeypatch)
    assert not placed_otherwise(Wrong(PARSED, "", ""))


def told_otherwise(rule: Wrong, most: int = MOST) -> bool:
    """Return whether histories of persons and results tell a rule from the right one."""
    made = changed(rule, (*READ, *KEPT))
    make = restored(made[TIMELINE].Timeline)
    rng = random.Random(13)
    for _ in range(most):
        raws = test_attributes.history(rng)
        try:
            found, wanted = tables(raws, read=made[PARSED].parse, make=make), Told(raws)
        except (AssertionError, KeyError):  # emitted twice, or retracted and never there
            return True
        for name in test_attributes.SAID:
            if test_attributes.plain(found[name]) != test_attributes.plain(getattr(wanted, name)()):
                return True
    return False


def restored(timeline: Any) -> Callable[[int], Logic]:
    """Return a timeline that starts anew from its snapshot before each message."""

    def process(self: Any, item: Any, outbox: Any) -> Any:
        fresh = timeline(self.entities.count)
        for page in list(self.entities.filled()):
            fresh.entities.load(page, self.entities.dump(page))
        self.entities, self._domains = fresh.entities, fresh._domains
        return timeline.process(self, item, outbox)

    return type("Restored", (timeline,), {"process": process})


def fails(rule: Wrong, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Return whether a test of the horizon fails by a rule."""
    made = changed(rule, KEPT)
    monkeypatch.setattr(test_horizon, "Timeline", made[TIMELINE].Timeline)
    monkeypatch.setattr(test_horizon, "Held", made[HELD].Held)
    return any(map(_fails, _tests(test_horizon)))


def _tests(module: ModuleType) -> Iterable[Callable[[], None]]:
    return [test for name, test in vars(module).items() if name.startswith("test_")]


def _fails(test: Callable[[], None]) -> bool:
    try:
        test()
    except (AssertionError, KeyError):  # a visit is listed, and nothing is known of it
        return True
    return False


def placed_otherwise(rule: Wrong) -> bool:
    """Return whether a message has another key, domain or bed by a rule than by the definition."""
    made = changed(rule, READ)
    names = "GH", "GN", "Zürich", ""
    shares: list[dict[str, str]] = [{}, {"GN": "GH"}, {"GH": "T", "Zürich": "T"}]
    for facility, application, domains, codec in product(
        names, names, shares, ("utf_8", "latin_1")
    ):
        for owner in ("", "GH", "GN"):
            head = rf"MSH|^~\&|{application}|{facility}|||2024||ADT^A01|1|P|2.5"
            message = Message(f"{head}\rPV1|1|I|W^1^A^{owner}".encode(codec))
            name = facility or application or "unknown"
            domain = domains.get(name, name)
            reader = made[READER].Reader(message, UTC, domains)
            bed = owner or (name if name in domains else "")
            home = domain if name in domains else facility
            location = f"W^1^A^{bed}" if bed not in ("", home) else "W^1^A"
            key = made[ENVELOPE].domain(message.header, domains)
            as_sent = domain.encode("utf_8" if name in domains else codec)
            if (key, reader.domain()) != (as_sent, domain):
                return True
            if reader.location(message.one("PV1"), 3) != location:
                return True
    return any(
        len(made[PARSED].decode(batch(RAW, partitions=partitions, key=key)).dead) != dead
        for partitions, key, dead in ((2, b"GH", 0), (2, b"T", 1), (2, None, 0), (1, b"T", 0))
    )
