"""Units as laboratories and devices send them, in UCUM, and values in the unit of their LOINC code.

A unit that has two meanings, or none that we know, has none: a value is never guessed.

Sources of the factors: UCUM 2.1 (Regenstrief; ``m[Hg]`` = 133.3220 kPa, ``[degF]`` = 5/9 K from
459.67, SI prefixes). An equivalent is a mole of charge; the ions of `CHARGES` have their numbers
from the periodic table. Names that begin with MDC are ISO/IEEE 11073-10101's; UMOLL, MMOLL, MLMIN
and PERCENT are Simhospital's.
"""

from __future__ import annotations

import re
from decimal import Context, Decimal
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple
from unicodedata import normalize

PLACES = 12
"""Significant digits of a quotient that has no end; what ends before is exact."""


class Unit(NamedTuple):
    """A unit of UCUM: value * factor + offset is the value in the base unit of its dimension."""

    dimension: str
    """Such as mass/volume. Two units of one dimension can be converted into each other."""
    factor: Fraction
    offset: Fraction = Fraction(0)


class Ucum(NamedTuple):
    """A value in UCUM; or no value, and the reason, which names code and unit."""

    value: Decimal | None
    unit: str | None
    reason: str = ""


CHARGE, SUBSTANCE = "charge/volume", "substance/volume"
FACTORS = {
    "mass/volume": "g/L=1 g/dL=10 g/mL=1000 mg/L=1/1000 mg/dL=1/100 mg/mL=1 ug/L=1/1000000 "
    "ug/dL=1/100000 ug/mL=1/1000 ng/L=1/1000000000 ng/dL=1/100000000 ng/mL=1/1000000 "
    "pg/mL=1/1000000000",
    SUBSTANCE: "mol/L=1000 mmol/L=1 umol/L=1/1000 nmol/L=1/1000000 pmol/L=1/1000000000",
    CHARGE: "eq/L=1000 meq/L=1",
    "number/volume": "/L=1 /mL=1000 /uL=1000000 /nL=1000000000 /pL=1000000000000",
    "activity/volume": "U/L=1 kU/L=1000 mU/L=1/1000 U/mL=1000",
    "effect/volume": "[IU]/L=1 m[IU]/L=1/1000 [IU]/mL=1000 m[IU]/mL=1 u[IU]/mL=1/1000",
    "fraction": "%=1/100",
    "pressure": "Pa=1 hPa=100 kPa=1000 mbar=100 mm[Hg]=133.322 cm[H2O]=98.0665",
    "frequency": "/min=1 /s=60 Hz=60 /h=1/60",
    "flow": "L/min=1 mL/min=1/1000 L/h=1/60 mL/h=1/60000",
    "flow/area": "mL/min/{1.73_m2}=1",
    "volume": "L=1 dL=1/10 mL=1/1000 fL=1/1000000000000000",
    "mass": "g=1 kg=1000 mg=1/1000 ug=1/1000000 pg=1/1000000000000 [lb_av]=453.59237 "
    "[oz_av]=28.349523125",
    "length": "m=1 cm=1/100 mm=1/1000 [in_i]=0.0254",
    "time": "s=1 ms=1/1000 min=60 h=3600",
    "mass/area": "kg/m2=1",
    "osmolality": "mosm/kg=1",
}
"""The units of each dimension, by UCUM's code, in the base unit of the dimension, which is 1."""
UNITS = {
    code: Unit(dimension, Fraction(factor))
    for dimension, factors in FACTORS.items()
    for code, factor in (each.rsplit("=", 1) for each in factors.split())
} | {
    "K": Unit("temperature", Fraction(1)),
    "Cel": Unit("temperature", Fraction(1), Fraction("273.15")),
    "[degF]": Unit("temperature", Fraction(5, 9), Fraction("459.67") * Fraction(5, 9)),
}
"""By UCUM's code (case-sensitive). Powers of ten of a count, such as 10*3/uL, are read by form."""
COUNT = re.compile(r"10\*([0-9]{1,2})(/[pnum]?L)")
SENT_COUNT = re.compile(
    r"x?10(?:\*\*|\*|\^|e\+?|exp)?\(?0?(3|6|9|12)\)?(?:cells?|/cells?)?/"
    r"(l|ml|ul|mm3|mm\^3|mm\*3|cmm|cumm|mcl)"
)
"""A power of ten as it is sent, folded: x10*9/L, 10^3/uL, 10e9/l, x10(9)/L, 10*6/mm3."""
VOLUMES = {"l": "L", "ml": "mL"}
"""Others of `SENT_COUNT` are a cubic millimetre, which is a microlitre."""
SPELLINGS: dict[str, str] = {
    "g/dL": "gm/dl gms/dl g% gm% g/100ml gm/100ml gdl gmdl gram/dl grams/dl",
    "g/L": "gm/l gms/l gram/l grams/l",
    "mg/dL": "mg% mg/100ml mgdl mgs/dl",
    "mg/L": "mgl",
    "ug/L": "mcg/l ugl",
    "ug/dL": "mcg/dl ugdl",
    "ug/mL": "mcg/ml",
    "ng/mL": "ngml",
    "pg/mL": "pgml",
    "mmol/L": "mmoll mmols/l mmole/l mmoles/l millimol/l millimole/l",
    "umol/L": "umoll umols/l umole/l umoles/l mcmol/l mcmoll micromol/l micromole/l micromoles/l",
    "nmol/L": "nmoll",
    "pmol/L": "pmoll",
    "meq/L": "meql meqs/l milliequivalent/l milliequivalents/l",
    "10*3/uL": "k/ul k/mcl k/mm3 k/cmm k/cumm thou/ul thou/mcl thou/mm3 thou/cumm thousand/ul "
               "thousands/ul tsd/ul",
    "10*6/uL": "m/ul m/mcl m/mm3 m/cmm m/cumm mil/ul mil/mcl mill/ul mil/mm3 million/ul "
               "millions/ul mio/ul",
    "10*9/L": "giga/l gpt/l bil/l",
    "10*12/L": "tera/l tpt/l",
    "/uL": "cells/ul cells/mcl cells/mm3 cells/cumm /mm3 /cmm /cumm /mcl #/ul",
    "U/L": "units/l unit/l",
    "[IU]/L": "iu/l iul intlunit/l",
    "[IU]/mL": "iu/ml",
    "m[IU]/L": "miu/l",
    "m[IU]/mL": "miu/ml",
    "u[IU]/mL": "uiu/ml mciu/ml",
    "%": "percent pct mdc_dim_percent %sat %o2",
    "mm[Hg]": "mmhg mmofhg torr mdc_dim_mmhg",
    "kPa": "mdc_dim_kilo_pascal",
    "cm[H2O]": "cmh2o mdc_dim_cm_h2o",
    "/min": "1/min bpm b/min beats/min beat/min beats/minute beatsperminute {beats}/min {beat}/min "
            "{breaths}/min breaths/min breath/min breaths/minute breathsperminute br/min brpm rpm "
            "resp/min permin perminute /minute min-1 mdc_dim_beat_per_min mdc_dim_resp_per_min "
            "mdc_dim_per_min",
    "L/min": "lpm lmin l/minute liters/min litres/min liter/min litre/min mdc_dim_x_l_per_min "
             "mdc_dim_l_per_min",
    "mL/min": "mlmin ml/minute mdc_dim_milli_l_per_min",
    "mL/min/{1.73_m2}": "ml/min/1.73m2 ml/min/1.73m^2 ml/min/1.73m*2 ml/min/1.73 ml/min/1.73sqm "
                        "ml/min/{1.73m2}",
    "Cel": "c degc degreec degreesc degreecelsius degreescelsius celsius centigrade "
           "mdc_dim_degc",
    "[degF]": "f degf degreef degreesf degreefahrenheit degreesfahrenheit fahrenheit "
              "mdc_dim_fahr",
    "K": "kelvin degk",
    "kg": "kgs kilogram kilograms mdc_dim_kilo_g",
    "g": "gm gms gram grams",
    "[lb_av]": "lb lbs pound pounds",
    "[oz_av]": "oz ounce ounces",
    "[in_i]": "in inch inches",
    "mL": "cc mls",
    "s": "sec secs second seconds",
    "min": "mins minute minutes",
    "h": "hr hrs hour hours",
    "mosm/kg": "mosmol/kg",
}  # fmt: skip
"""Spellings of each unit beside UCUM's own, folded as `folded` does it."""
DEGREES = str.maketrans({"°": "deg", "º": "deg", "\u2103": "degC", "\u2109": "degF"})
TWO_MEANINGS = {"G/L": ("g/L", "10*9/L"), "T/L": ("10*12/L",)}
"""As sent, and what it may be: French laboratories count cells in giga and tera a litre."""
CANONICAL = {
    "718-7": "g/dL",
    "2951-2": "mmol/L",
    "2823-3": "mmol/L",
    "6690-2": "10*3/uL",
    "764-1": "%",
    "2019-8": "mm[Hg]",
    "9279-1": "/min",
    "59408-5": "%",
    "2708-6": "%",
    "3151-8": "L/min",
    "3150-6": "%",
    "8480-6": "mm[Hg]",
    "8462-4": "mm[Hg]",
    "8867-4": "/min",
    "8310-5": "Cel",
}
"""The unit of each LOINC code that a score reads (adt.md, 6.1), potassium and the diastolic one."""
CHARGES = {"2951-2": 1, "2823-3": 1}
"""Of the ion of a code: Na+, K+. So many equivalents are one mole."""


LONGEST = 200
"""No unit has more characters."""


def ucum(value: str, unit: str | None, code: str = "") -> Ucum:
    """Return a number in UCUM, in the canonical unit of its LOINC code if the code has one.

    ``value`` is the number as sent, ``unit`` what stands beside it, ``code`` is "" for a code that
    is not LOINC's. Without a value the reason says why, such as ``718-7: unit frob``.

    >>> ucum("118", "g/L", "718-7")
    Ucum(value=Decimal('11.8'), unit='g/dL', reason='')
    """
    if not unit:
        return Ucum(None, None, _reason(code, "no unit"))
    if len(unit) > LONGEST:
        return Ucum(None, None, _reason(code, "a unit too long for one"))
    return _ucum(value, unit, code)


@lru_cache(maxsize=1 << 12)
def _ucum(value: str, unit: str, code: str) -> Ucum:
    wanted = CANONICAL.get(code)
    fitting = [each for each in meanings(unit) if wanted is None or _fits(each, wanted, code)]
    if len(fitting) != 1:
        return Ucum(None, None, _reason(code, f"unit {unit}"))
    [found] = fitting
    if wanted is None or found == wanted:
        return Ucum(Decimal(value), found)
    return Ucum(converted(Decimal(value), _in_moles(found, wanted, code), unit_of(wanted)), wanted)


@lru_cache(maxsize=1 << 10)
def meanings(unit: str) -> tuple[str, ...]:
    """Return what a unit as sent may be in UCUM's codes; () where nobody knows."""
    sent = unit.strip()
    if sent in TWO_MEANINGS:
        return TWO_MEANINGS[sent]
    if sent in UNITS or COUNT.fullmatch(sent):
        return (sent,)
    short = folded(sent)
    count = SENT_COUNT.fullmatch(short)
    if count:
        return (f"10*{count[1]}/{VOLUMES.get(count[2], 'uL')}",)
    found = BY_SPELLING.get(short)
    return () if found is None else (found,)


def folded(unit: str) -> str:
    """Return a unit in small letters, without spaces, dots at its end and signs beyond ASCII.

    >>> folded("µmol / L")
    'umol/l'
    """
    text = normalize("NFKC", unit.translate(DEGREES)).casefold().replace("\u03bc", "u")
    return "".join(text.split()).rstrip(".")


def unit_of(code: str) -> Unit:
    """Return a unit by its code in UCUM. Raises KeyError for one that is not ours."""
    count = COUNT.fullmatch(code)
    if count is None:
        return UNITS[code]
    return _scaled(UNITS[count[2]], Fraction(10) ** int(count[1]))


def converted(value: Decimal, source: Unit, target: Unit) -> Decimal:
    """Return a value in another unit of the same dimension.

    Exact where it has at most `PLACES` significant digits, else rounded to them, half to even.
    """
    base = Fraction(value) * source.factor + source.offset
    found = (base - target.offset) / target.factor
    context = Context(prec=max(PLACES, len(value.as_tuple().digits)))
    return context.divide(Decimal(found.numerator), Decimal(found.denominator))


def _scaled(unit: Unit, by: Fraction) -> Unit:
    return unit._replace(factor=unit.factor * by)


def _in_moles(found: str, wanted: str, code: str) -> Unit:
    """Return a unit; one of charge is one of substance where the code is that of an ion."""
    unit, dimension = unit_of(found), unit_of(wanted).dimension
    if unit.dimension == CHARGE and dimension == SUBSTANCE and code in CHARGES:
        return Unit(dimension, unit.factor / CHARGES[code])
    return unit


def _fits(found: str, wanted: str, code: str) -> bool:
    return _in_moles(found, wanted, code).dimension == unit_of(wanted).dimension


def _reason(code: str, what: str) -> str:
    return f"{code}: {what}" if code else what


BY_SPELLING = {
    spelling: code
    for code, spellings in (dict.fromkeys(UNITS, "") | SPELLINGS).items()
    for spelling in (folded(code), *spellings.split())
}
