"""Rules of the tables that are nearly right are told from the right ones by the tests there are.

`test_wrong_rules.py` does so for visits and domains, whose reference is written from the
definition. Here the tests of a part run on a program in which one of its rules is wrong. Where one
survives, either a test is missing or the rule is not needed.
"""

from __future__ import annotations

import os
from typing import NamedTuple

import pytest

from tests.operators.adt.mutants import Mutant, survivors
from tests.operators.adt.wrong.attributes import ATTRIBUTE_RULES
from tests.operators.adt.wrong.census import CENSUS, CENSUS_RULES
from tests.operators.adt.wrong.deidentify import CLASSES, DEIDENTIFY_RULES
from tests.operators.adt.wrong.fhir import FHIR_RULES
from tests.operators.adt.wrong.observed import OBSERVED_RULES, RESULT_RULES
from tests.operators.adt.wrong.omop import OMOP_RULES

TESTS = "tests/operators/adt"
PLANTED = "tests/replay/adt/test_deidentify.py::test_what_is_planted_in_any_field_is_nowhere"
EVERY = 1 if os.environ.get("HEADRACE_MUTANTS") == "all" else 6
"""All take some minutes; else each sixth of a part."""


class Part(NamedTuple):
    """The tests of a part, and rules of it that are wrong."""

    tests: tuple[str, ...]
    wrong: dict[str, Mutant]


PARTS = {
    "census": Part((f"{TESTS}/test_census.py", f"{TESTS}/test_attributes.py"), CENSUS_RULES),
    "observed": Part((f"{TESTS}/test_observed.py",), OBSERVED_RULES),
    "results": Part((f"{TESTS}/test_attributes.py",), RESULT_RULES),
    "attributes": Part((f"{TESTS}/test_attributes.py",), ATTRIBUTE_RULES),
    "fhir": Part(
        (f"{TESTS}/fhir/test_encounters.py", f"{TESTS}/fhir/test_official.py"), FHIR_RULES
    ),
    "deidentified": Part((f"{TESTS}/test_deidentify.py",), DEIDENTIFY_RULES),
    "omop": Part((f"{TESTS}/test_omop.py",), OMOP_RULES),
}
RIGHT = Mutant(CENSUS, "", "")


@pytest.mark.parametrize("name", PARTS)
def test_wrong_rules_are_caught(name):
    tests, wrong = PARTS[name]
    assert survivors(dict(list(wrong.items())[::EVERY]), tests) == []


@pytest.mark.parametrize("name", list(CLASSES)[::EVERY])
def test_an_identifier_that_leaves_is_caught_by_the_test_of_its_class(name):
    assert survivors({name: CLASSES[name]}, [f"{PLANTED}[{name}]"]) == []


def test_right_rules_are_not():
    tests = sorted({test for part in PARTS.values() for test in part.tests})
    assert survivors({"right": RIGHT}, tests) == ["right"]
