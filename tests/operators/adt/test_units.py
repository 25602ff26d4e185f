"""Units as they are sent, in UCUM: exact, and never a guess."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.adt.units import (
    CANONICAL,
    CHARGES,
    SPELLINGS,
    TWO_MEANINGS,
    UNITS,
    Ucum,
    converted,
    folded,
    meanings,
    ucum,
    unit_of,
)


@pytest.mark.parametrize(
    ("sent", "wanted"),
    [
        ("g/dL", "g/dL"), ("gm/dL", "g/dL"), ("gm/dl", "g/dL"), ("G/DL", "g/dL"), ("g%", "g/dL"),
        ("g/L", "g/L"), ("mmol/L", "mmol/L"), ("MMOL/L", "mmol/L"), ("MMOLL", "mmol/L"),
        ("meq/L", "meq/L"), ("mEq/L", "meq/L"), ("UMOLL", "umol/L"), ("umol/L", "umol/L"),
        ("µmol/L", "umol/L"), ("\u03bcmol / l", "umol/L"), ("mcmol/L", "umol/L"),
        ("10*3/uL", "10*3/uL"), ("10^3/uL", "10*3/uL"), ("x10^3/uL", "10*3/uL"),
        ("x10*9/L", "10*9/L"), ("10E9/L", "10*9/L"), ("10e+9/l", "10*9/L"), ("10⁹/L", "10*9/L"),
        ("X10(12)/L", "10*12/L"), ("10*6/mm3", "10*6/uL"), ("10**3/mcL", "10*3/uL"),
        ("K/uL", "10*3/uL"), ("THOU/MM3", "10*3/uL"), ("M/uL", "10*6/uL"), ("Giga/L", "10*9/L"),
        ("T/L", "10*12/L"), ("/nL", "/nL"),
        ("%", "%"), ("PERCENT", "%"), ("MDC_DIM_PERCENT", "%"),
        ("mmHg", "mm[Hg]"), ("mm Hg", "mm[Hg]"), ("mm[Hg]", "mm[Hg]"), ("MDC_DIM_MMHG", "mm[Hg]"),
        ("kPa", "kPa"), ("KPA", "kPa"),
        ("/min", "/min"), ("bpm", "/min"), ("beats/min", "/min"), ("MDC_DIM_BEAT_PER_MIN", "/min"),
        ("Cel", "Cel"), ("°C", "Cel"), ("deg C", "Cel"), ("℃", "Cel"), ("MDC_DIM_DEGC", "Cel"),
        ("degF", "[degF]"), ("°F", "[degF]"), ("[degF]", "[degF]"),
        ("L/min", "L/min"), ("MDC_DIM_X_L_PER_MIN", "L/min"), ("MLMIN", "mL/min"),
        ("fL", "fL"), ("pg", "pg"), ("[IU]/mL", "[IU]/mL"), ("IU/mL", "[IU]/mL"),
    ],
)  # fmt: skip
def test_a_spelling_of_the_field_is_one_unit(sent, wanted):
    assert meanings(sent) == (wanted,)


@pytest.mark.parametrize("sent", ["frob", "/10", "10*/L", "mol", "UL/L", "?", " ", "^"])
def test_what_nobody_knows_is_no_unit(sent):
    assert meanings(sent) == ()


def test_no_spelling_has_two_meanings():
    told = [spelling for each in SPELLINGS.values() for spelling in each.split()]
    own = {folded(code): code for code in UNITS}
    assert len(own) == len(UNITS)
    assert [each for each, count in Counter(told).items() if count > 1] == []
    assert not own.keys() & set(told)
    for code, spellings in SPELLINGS.items():
        assert unit_of(code)
        assert {meanings(each) for each in spellings.split()} == {(code,)}
        assert all(folded(each) == each for each in spellings.split())


@pytest.mark.parametrize(
    ("value", "unit", "code", "wanted"),
    [
        ("118", "g/L", "718-7", "11.8"),
        ("11.8", "gm/dL", "718-7", "11.8"),
        ("140", "meq/L", "2951-2", "140"),
        ("4.1", "MEQ/L", "2823-3", "4.1"),
        ("4100", "umol/L", "2823-3", "4.1"),
        ("11.3", "x10*9/L", "6690-2", "11.3"),
        ("11300", "/mm3", "6690-2", "11.3"),
        ("98.6", "degF", "8310-5", "37"),
        ("310.15", "K", "8310-5", "37"),
        ("-40", "degF", "8310-5", "-40"),
        ("1.5", "/s", "8867-4", "90"),
        ("133.322", "kPa", "2019-8", "1000"),
        ("500", "mL/min", "3151-8", "0.5"),
        ("1000000", "L/min", "3151-8", "1000000"),
    ],
)
def test_a_value_is_exact_in_the_unit_of_its_code(value, unit, code, wanted):
    found = ucum(value, unit, code)
    assert found == Ucum(Decimal(wanted), CANONICAL[code])
    if unit != CANONICAL[code]:
        assert str(found.value) == wanted


def test_what_does_not_end_is_rounded_once():
    assert ucum("100.1", "degF", "8310-5").value == Decimal("37.8333333333")
    assert ucum("5.3", "kPa", "2019-8").value == Decimal("39.7533790372")
    long = "12345678901234567890.5"
    assert ucum(long, "g/L", "718-7").value == Decimal("1234567890123456789.05")


@pytest.mark.parametrize(
    ("unit", "code", "reason"),
    [
        ("frob", "718-7", "718-7: unit frob"),
        ("mmol/L", "718-7", "718-7: unit mmol/L"),
        ("meq/L", "718-7", "718-7: unit meq/L"),
        ("mg/dL", "2951-2", "2951-2: unit mg/dL"),
        ("G/L", "8310-5", "8310-5: unit G/L"),
        (None, "718-7", "718-7: no unit"),
        ("", "", "no unit"),
        ("frob", "", "unit frob"),
        ("G/L", "", "unit G/L"),
    ],
)
def test_without_a_unit_that_fits_there_is_a_reason_and_no_value(unit, code, reason):
    assert ucum("11.8", unit, code) == Ucum(None, None, reason)


def test_what_is_too_long_for_a_unit_is_none_and_not_repeated():
    assert ucum("1", "x" * 1_000_000, "718-7") == (None, None, "718-7: a unit too long for one")


def test_a_unit_of_two_meanings_is_the_one_that_fits_the_code():
    assert ucum("118", "G/L", "718-7") == Ucum(Decimal("11.8"), "g/dL")
    assert ucum("11.3", "G/L", "6690-2") == Ucum(Decimal("11.3"), "10*3/uL")
    assert all(unit_of(each) for of in TWO_MEANINGS.values() for each in of)


def test_a_code_without_a_unit_of_its_own_keeps_the_value():
    assert ucum("98.00", "UMOLL", "2160-0") == Ucum(Decimal(98), "umol/L")


def test_each_code_has_a_unit_that_we_know():
    assert {code: meanings(unit) for code, unit in CANONICAL.items()} == {
        code: (unit,) for code, unit in CANONICAL.items()
    }
    assert {CANONICAL[code] for code in CHARGES} == {"mmol/L"}


DIMENSIONS = [
    [code for code in (*UNITS, "10*3/uL", "10*9/L") if unit_of(code).dimension == dimension]
    for dimension in sorted({unit.dimension for unit in UNITS.values()})
]
NUMBERS = st.decimals(-(10**6), 10**6, places=3)


@given(st.sampled_from(DIMENSIONS).flatmap(lambda of: st.tuples(*[st.sampled_from(of)] * 2)),
       NUMBERS)  # fmt: skip
def test_there_and_back_is_the_value(units, value):
    one, other = map(unit_of, units)
    there = converted(value, one, other)
    exact = (Fraction(value) * one.factor + one.offset - other.offset) / other.factor
    assert abs(Fraction(there) - exact) <= abs(exact) / 10**11
    if Fraction(there) == exact:
        assert converted(there, other, one) == value
    assert converted(value, one, one) == value


@given(st.text(max_size=20))
def test_any_text_is_a_unit_that_we_know_or_none(text):
    assert all(unit_of(each) for each in meanings(text))
