"""Wrong rules of persons, details and diagnoses."""

from __future__ import annotations

from tests.operators.adt.mutants import Mutant

ATTRIBUTES, REPORT = "operators.adt.attributes", "operators.adt.report"
ATTRIBUTE_RULES = {
    "null does not erase": Mutant(
        ATTRIBUTES,
        "if said is not None:\n                found[at] = said or None",
        "if said:\n                found[at] = said",
    ),
    "what is empty erases": Mutant(
        ATTRIBUTES,
        "            if said is not None:\n                found[at] = said or None",
        "            found[at] = said or None",
    ),
    "the order is that of the digests": Mutant(
        ATTRIBUTES, "return statement[:3]", "return 0, 0, statement[2]"
    ),
    "the first statement counts": Mutant(
        ATTRIBUTES, "return statement[:3]", "return -statement[0], -statement[1], statement[2]"
    ),
    "a list of diagnoses adds to the one before": Mutant(
        ATTRIBUTES,
        "found = {key: one for key, one in found.items() if key[0] != each.kind}",
        "pass",
    ),
    "a list of one type replaces all types": Mutant(
        ATTRIBUTES, "if key[0] != each.kind}", "if False}"
    ),
    "of a code listed twice the last one counts": Mutant(
        ATTRIBUTES, "in reversed(each.listed):", "in each.listed:"
    ),
    "a diagnosis that is gone stays": Mutant(ATTRIBUTES, "if not one.is_gone\n", ""),
    "what was told before a deletion stays": Mutant(
        ATTRIBUTES, "if since_ns is None or statement.recorded_ns > since_ns", ""
    ),
    "what was told when it was deleted stays": Mutant(
        ATTRIBUTES, "statement.recorded_ns > since_ns", "statement.recorded_ns >= since_ns"
    ),
    "who says nothing is nobody": Mutant(ATTRIBUTES, "        found[-1] = each\n", ""),
    "the newest list alone is kept": Mutant(
        ATTRIBUTES, "return {*whole.values(), *changes.values()}", "return {*whole.values()}"
    ),
    "the newest change alone is kept": Mutant(
        ATTRIBUTES, "return {*whole.values(), *changes.values()}", "return {*changes.values()}"
    ),
    "who has died lives": Mutant(REPORT, 'True if said["died"] else', ""),
    "the numbers that were merged are not told": Mutant(
        REPORT, '"merged": list(patient.merged)', '"merged": []'
    ),
    "a diagnosis that is gone is not retracted": Mutant(
        REPORT,
        "for kind_system_code in sorted(then.keys() - now.keys()):",
        "for kind_system_code in ():",
    ),
}
