"""What of patient care's tables may leave it without telling whose they are: an allow-list.

A field that has no line here is dropped, and so is an output that has none. A test tells who adds
a column to one of these outputs that it needs a line.

Source: 45 CFR 164.514(b)(2)(i), the letters of whose list stand behind the lines, and (c) for
codes; OCR's guidance on it of 26 November 2012.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Literal, NamedTuple

Mode = Literal["safe_harbor", "pseudonymised"]


class Treatment(Enum):
    """What is done with a field."""

    DROP = auto()
    KEEP = auto()
    """The value where it has the field's `FORMS`, else nothing: a sender may write anything into a
    field of codes, a name too."""
    CODE = auto()
    """A code that stands for it, of patient, visit, ward and bed."""
    YEAR = auto()
    """``<field>_year``."""
    DAY = auto()
    """``<field>_day``: whole days of 24 h since the visit began, where it is not before that. No
    year: with one at both ends of a short stay, the turn of the year would tell the date."""
    AGE = auto()
    """``birth_year``, or of who may be over 89 ``age``, which is 90+."""
    ZIP3 = auto()
    """``zip3`` and ``state`` of an address in the United States."""
    SHIFT = auto()
    """The time, moved by the patient's number of days."""


class Treatments(NamedTuple):
    """What is done with a field in each mode."""

    safe_harbor: Treatment
    pseudonymised: Treatment


T = Treatment
_DROP, _KEEP = Treatments(T.DROP, T.DROP), Treatments(T.KEEP, T.KEEP)
MOVED = {"time": "at"}
"""The names of moved times, where history has a column of its own of that name."""
_CODE, _DAY = Treatments(T.CODE, T.CODE), Treatments(T.DAY, T.SHIFT)
# The facility is a place smaller than a state (B).
_FACILITY = Treatments(T.DROP, T.CODE)
ALLOWED = {
    "patients.domain": _FACILITY,
    "patients.patient": _CODE,
    "patients.birth_date": Treatments(T.AGE, T.SHIFT),
    "patients.sex": _KEEP,
    "patients.address": Treatments(T.ZIP3, T.ZIP3),
    # Its year, beside a stay of days that ends with the death, would tell the date.
    "patients.died": Treatments(T.DROP, T.SHIFT),
    "patients.deceased": _KEEP,
    "patients.merged": _DROP,
    "patients.family": _DROP,
    "patients.given": _DROP,
    "patients.phone": _DROP,
    "encounters.domain": _FACILITY,
    "encounters.patient": _CODE,
    "encounters.visit": _CODE,
    "encounters.status": _KEEP,
    "encounters.class": _KEEP,
    "encounters.admitted": Treatments(T.YEAR, T.SHIFT),
    "encounters.discharged": _DAY,
    "encounters.disposition": _KEEP,
    "encounters.admission_type": _KEEP,
    "encounters.service": _KEEP,
    "encounters.source": _KEEP,
    "encounters.transfers": _KEEP,
    # To the second a length of stay is as good as a name to who has another table with it.
    "encounters.stay_s": Treatments(T.DROP, T.KEEP),
    "encounters.boarding_s": Treatments(T.DROP, T.KEEP),
    "encounters.attending": _DROP,
    "encounters.vip": _DROP,
    "location_visits.domain": _FACILITY,
    "location_visits.patient": _CODE,
    "location_visits.visit": _CODE,
    # A ward's name may be its hospital's, or its street's; what moves where is in the codes.
    "location_visits.location": _CODE,
    "location_visits.class": _KEEP,
    "location_visits.start": _DAY,
    "location_visits.end": _DAY,
    "location_visits.inferred": _KEEP,
    "location_visits.stays": _DROP,  # in tables each of them is a line
    "conditions.domain": _FACILITY,
    "conditions.patient": _CODE,
    "conditions.visit": _CODE,
    "conditions.code": _KEEP,
    "conditions.system": _KEEP,
    "conditions.type": _KEEP,
    "conditions.rank": _KEEP,
    "conditions.time": _DAY,
    "conditions.condition": _DROP,
    "conditions.text": _DROP,
    "observations.domain": _FACILITY,
    "observations.patient": _CODE,
    "observations.visit": _CODE,
    "observations.code": _KEEP,
    "observations.system": _KEEP,
    "observations.comparator": _KEEP,
    "observations.value_ucum": _KEEP,
    "observations.unit_ucum": _KEEP,
    "observations.status": _KEEP,
    "observations.time": _DAY,
    "observations.observation": _DROP,
    "observations.text": _DROP,
    "observations.value": _DROP,
    "observations.unit": _DROP,
    "observations.reason": _DROP,
    "observations.filler": _DROP,
    "observations.sub_id": _DROP,
    "observations.nth": _DROP,
    "beds.domain": _FACILITY,
    "beds.location": _CODE,
    "beds.status": _KEEP,
    "beds.patient": _CODE,
    "beds.visit": _CODE,
    "beds.since": Treatments(T.DROP, T.SHIFT),
}
"""``output.field`` of a line of ``tables/`` -> what is done with it."""

ICD_10 = r"[A-Z][0-9][0-9A-Z](\.?[0-9A-Z]{1,4})?"
FORMS = {
    "patients.sex": "[ABFMNOU]",  # table 0001
    "patients.deceased": "true|false",
    "encounters.status": "planned|in-progress|onleave|finished|cancelled|entered-in-error",
    "encounters.class": "[BCEINOPRU]",  # 0004
    "encounters.disposition": "[0-9]{2}",  # 0112
    "encounters.admission_type": "[ACELNRU]",  # 0007
    "encounters.service": "CAR|MED|PUL|SUR|URO",  # 0069
    "encounters.source": "[1-9]",  # 0023
    "encounters.transfers": "[0-9]{1,3}",
    "encounters.stay_s": "[0-9]+",
    "encounters.boarding_s": "[0-9]+",
    "location_visits.class": "[BCEINOPRU]",
    "location_visits.inferred": "true|false",
    "conditions.code": ICD_10,
    "conditions.system": "I10|I10C|ICD10|ICD-10|ICD-10-CM",
    "conditions.type": "[AFW]",  # 0052
    "conditions.rank": "[0-9]{1,2}",
    "observations.code": "[0-9]{1,5}-[0-9]",
    "observations.system": "LN|LOINC",
    "observations.comparator": "<=?|>=?",
    "observations.value_ucum": r"-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?",
    "observations.unit_ucum": r"[A-Za-z0-9*/%\[\]{}._^]{1,20}",
    "observations.status": "registered|preliminary|final|amended|corrected|cancelled|"
                           "entered-in-error|unknown",
    "beds.status": "[CHIKOU]",  # 0116
}  # fmt: skip
"""What a value that is kept looks like, as JSON without quotes: numbers of tables are HL7's."""
STATES = (
    "A[KLRSZ]|C[AOT]|D[CE]|FL|G[AU]|HI|I[ADLN]|K[SY]|LA|M[ADEINOPST]|N[CDEHJMVY]|O[HKR]|P[AR]|RI|"
    "S[CD]|T[NX]|UT|V[AIT]|W[AIVY]"
)
"""The states, the district and the territories, as the post writes them."""
NEEDED = {"conditions": ("code", "system"), "observations": ("code", "system", "value_ucum")}
"""Without these, nothing is left of a line that is worth having."""
MOST_DIGITS = 6
"""Significant digits of a number as sent. A measurement has no more; the number of a patient, an
account or a telephone that stands in its place has."""
SMALL_ZIP3 = (
    "036", "059", "063", "102", "203", "556", "692", "790", "821",
    "823", "830", "831", "878", "879", "884", "890", "893",
)  # fmt: skip
"""Where 20,000 people or fewer live, by the census of 2000 (OCR's guidance)."""
AGES = frozenset({
    "21112-8", "80904-6",  # birth date, birth year
    "21611-9", "21612-7", "29553-5", "30525-0",  # estimated, reported, calculated, any
    "30972-4", "35267-4", "35659-2",  # at an adverse event, at onset, as a specimen was taken
    "39016-1", "43993-5", "63900-5",  # at death, at delivery, now or at death
})  # fmt: skip
"""LOINC: what tells an age or a birth."""
PER_YEAR = {"a": 1.0, "a_g": 1.0, "a_j": 1.0, "a_t": 1.0, "mo": 12.0, "wk": 52.1775, "d": 365.2425}
"""How many of a unit of time in UCUM are a year: so long a time is an age, whatever its code."""
