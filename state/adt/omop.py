"""What patient care says in OMOP's Common Data Model 5.4: tables and concepts.

Source: OMOP CDM v5.4, and OHDSI's standardised vocabularies, for the concepts' numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any, NamedTuple

Record = dict[str, Any]
Rows = dict[str, list[Record]]
"""The rows of each table, as columns by name."""
OUTPUTS = ("patients", "encounters", "location_visits", "conditions", "observations")
"""The outputs that rows are made of."""
TABLES = (
    "person",
    "observation_period",
    "visit_occurrence",
    "visit_detail",
    "condition_occurrence",
    "measurement",
    "observation",
    "death",
)
"""The tables with rows of one person, in an order in which each refers to those before it."""


class Mapped(NamedTuple):
    """The concept of a code as sent, and the standard one that it stands for; 0 for none."""

    source: int = 0
    standard: int = 0


class Concept(NamedTuple):
    """A row of the table concept; the fields are its columns."""

    concept_id: int
    concept_name: str
    domain_id: str
    vocabulary_id: str
    concept_class_id: str
    standard_concept: str | None
    concept_code: str
    valid_start_date: date = date(1970, 1, 1)
    valid_end_date: date = date(2099, 12, 31)
    invalid_reason: str | None = None


Concepts = Callable[[str, str], Mapped]
"""What a code is, by the name of its vocabulary and itself."""

EHR = 32817
"""The type of a row that an electronic health record told."""
INPATIENT, OUTPATIENT, EMERGENCY, THROUGH_EMERGENCY = 9201, 9202, 9203, 262
CLASSES = {"I": INPATIENT, "E": EMERGENCY, "O": OUTPATIENT, "R": OUTPATIENT}
"""PV1-2 -> the concept of a visit."""
GENDERS = {"M": 8507, "F": 8532}
OPERATORS = {"<": 4171756, "<=": 4171754, ">": 4172704, ">=": 4171755}
NO_VISIT = frozenset({"planned", "cancelled", "entered-in-error"})
"""How a visit stands that never was."""
NOT_MADE = frozenset({"registered", "cancelled", "entered-in-error"})
"""How an observation stands that was never made, or is none."""
LOINC, ICD, UCUM = "LOINC", "ICD10CM", "UCUM"
VOCABULARIES = {
    "LN": LOINC,
    "LOINC": LOINC,
    "I10": ICD,
    "I10C": ICD,
    "ICD10": ICD,
    "ICD-10": ICD,
    "ICD-10-CM": ICD,
    "ICD10CM": ICD,
}
"""What senders call a system of codes -> what OMOP does."""
BUILT_IN = (
    Concept(0, "No matching concept", "Metadata", "None", "Undefined", None, "No matching concept"),
    Concept(EHR, "EHR", "Type Concept", "Type Concept", "Type Concept", "S", "OMOP4976890"),
    Concept(INPATIENT, "Inpatient Visit", "Visit", "Visit", "Visit", "S", "IP"),
    Concept(OUTPATIENT, "Outpatient Visit", "Visit", "Visit", "Visit", "S", "OP"),
    Concept(EMERGENCY, "Emergency Room Visit", "Visit", "Visit", "Visit", "S", "ER"),
    Concept(THROUGH_EMERGENCY, "Emergency Room and Inpatient Visit", "Visit", "Visit", "Visit",
            "S", "ERIP"),
    Concept(8507, "MALE", "Gender", "Gender", "Gender", "S", "M"),
    Concept(8532, "FEMALE", "Gender", "Gender", "Gender", "S", "F"),
    Concept(4171756, "<", "Meas Value Operator", "SNOMED", "Qualifier Value", "S", "276139006"),
    Concept(4171754, "<=", "Meas Value Operator", "SNOMED", "Qualifier Value", "S", "276137008"),
    Concept(4172704, ">", "Meas Value Operator", "SNOMED", "Qualifier Value", "S", "276140008"),
    Concept(4171755, ">=", "Meas Value Operator", "SNOMED", "Qualifier Value", "S", "276138003"),
)  # fmt: skip
"""The concepts that rows name without any vocabulary."""
