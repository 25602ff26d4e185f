"""Wrong rules of which observations stand, and of what a message changes in them."""

from __future__ import annotations

from tests.operators.adt.mutants import Mutant

OBSERVED, RESULTS = "operators.adt.observed", "operators.adt.results"
ORDERS, REPORT = "operators.adt.orders", "operators.adt.report"
OBSERVED_RULES = {
    "the latest clinical time counts": Mutant(
        OBSERVED,
        "stage, observation.recorded_ns, observation.clinical_ns",
        "stage, observation.clinical_ns, observation.recorded_ns",
    ),
    "a preliminary one counts as a result": Mutant(
        OBSERVED, "NOT_YET.get(observation.status, RESULT)", "RESULT"
    ),
    "a pending one counts as a preliminary one": Mutant(
        OBSERVED, '"registered": 0', '"registered": 1'
    ),
    "the clinical time does not enter": Mutant(
        OBSERVED,
        "observation.recorded_ns, observation.clinical_ns, observation",
        "observation.recorded_ns, 0, observation",
    ),
    "a confirmation makes anything final": Mutant(
        OBSERVED, "if newest.status == PRELIMINARY and any", "if any"
    ),
    "a confirmation makes nothing final": Mutant(
        OBSERVED, "if newest.status == PRELIMINARY and any", "if False and any"
    ),
    "a confirmation takes the value away": Mutant(
        OBSERVED, "[each for each in told if not each.confirms] or told", "told"
    ),
    "LOINC and LN are two systems": Mutant(
        OBSERVED, 'ALIKE = {"LOINC": "LN"}', "ALIKE: dict[str, str] = {}"
    ),
    "a sub id tells nothing apart": Mutant(
        OBSERVED, "observation.code, system, observation.sub_id)", 'observation.code, system, "")'
    ),
    "a system tells nothing apart": Mutant(
        OBSERVED, "observation.code, system, observation", 'observation.code, "", observation'
    ),
    "a code tells nothing apart": Mutant(
        OBSERVED, "observation.filler, observation.code, system", 'observation.filler, "", system'
    ),
    "an order tells nothing apart": Mutant(
        OBSERVED, "Name(observation.filler, obs", 'Name("", obs'
    ),
    "without an order and a time all are one": Mutant(
        OBSERVED, "not each.timed and each.filler", "not each.timed"
    ),
    "a correction without a time is about one result": Mutant(
        OBSERVED, "each.confirms or each.status in CHANGES", "each.confirms"
    ),
    "a confirmation without a time is about one result": Mutant(
        OBSERVED, "each.confirms or each.status in CHANGES", "each.status in CHANGES"
    ),
    "a deletion is a result": Mutant(
        OBSERVED, '"corrected", "cancelled", WRONG}', '"corrected", "cancelled"}'
    ),
    "a cancel is a result": Mutant(
        OBSERVED, '"corrected", "cancelled", WRONG}', '"corrected", WRONG}'
    ),
    "scores use what is not final": Mutant(
        OBSERVED, "RESULTS = frozenset({FINAL,", "RESULTS = frozenset({FINAL, PRELIMINARY,"
    ),
    "the oldest time without one counts": Mutant(
        OBSERVED, "standing(untimed)[0].clinical_ns", "min(each.clinical_ns for each in untimed)"
    ),
    "what corrects all is also one more": Mutant(
        OBSERVED, "if untimed - about_all or not by_time:", "if untimed:"
    ),
    "a result without a time is lost beside one with": Mutant(
        OBSERVED, "if untimed - about_all or not by_time:", "if not by_time:"
    ),
    "all statuses of a message stand": Mutant(OBSERVED, " and one.status == other.status", ""),
    "all messages stand": Mutant(OBSERVED, "return _message(one) == _message(other) and", "return"),
    "lines are joined by a space": Mutant(OBSERVED, 'value="\\n".join', 'value=" ".join'),
    "numbers are joined as text is": Mutant(OBSERVED, "if kind == TEXT:", "if True:"),
    "a correction moves the result to its own time": Mutant(
        OBSERVED, "iso_time(time_ns),", "iso_time(of.clinical_ns),"
    ),
    "a local code is LOINC's": Mutant(
        OBSERVED, "of.code if of.system in LOINC or not of.system else", "of.code if True else"
    ),
    "a code without a system is not LOINC's": Mutant(
        OBSERVED, "of.system in LOINC or not of.system else", "of.system in LOINC else"
    ),
    "what nothing tells apart has one key": Mutant(
        OBSERVED, "row._replace(nth=nth)", "row._replace(nth=0)"
    ),
    "what a message tells twice is two": Mutant(
        OBSERVED,
        "dict.fromkeys(_row(key, time_ns, each) for each in _joined(of_message))",
        "[_row(key, time_ns, each) for each in _joined(of_message)]",
    ),
    "a text that looks like a number is one": Mutant(
        OBSERVED, "of.kind != NUMBER or of.value is None", "of.value is None"
    ),
}
RESULT_RULES = {
    "a family does not know its orders": Mutant(
        RESULTS, "if family.add_order(told, order, observation.recorded_ns):", "if False:"
    ),
    "a merge leaves what the survivor had": Mutant(RESULTS, "in (*before, *after)", "in after"),
    "a merge brings nothing along": Mutant(RESULTS, "in (*before, *after)", "in before"),
    "a merge retracts nothing": Mutant(
        RESULTS, "self._standing(key, before, order)", "self._standing(key, after, order)"
    ),
    "results told under prior numbers do not count": Mutant(
        RESULTS, "told = self._families[key].ordered.get(key, ())", "told = [key]"
    ),
    "what stood before a result is not asked": Mutant(
        RESULTS,
        "self._standing(key, family.ordered.get(key, ()), order)",
        "self._standing(key, (), order)",
    ),
    "a visit without a number shares its orders": Mutant(
        RESULTS,
        "SEPARATOR.join((domain, ORDER, *told, order))",
        "SEPARATOR.join((domain, ORDER, told[0], order))",
    ),
    "an order is kept as it was": Mutant(
        ORDERS,
        "        self._told[observation] = where\n        self._packed = None\n",
        "        self._told[observation] = where\n",
    ),
    "what stands no more is not retracted": Mutant(
        REPORT,
        'sorted(then.keys() - now.keys()):\n            self._put("observations"',
        '():\n            self._put("observations"',
    ),
    "a result that is told again is emitted again": Mutant(
        REPORT, "if then.get(parts) != row:", "if True:"
    ),
}
