"""The known risk of an unplanned readmission within 30 days, of a simulated stay.

It is a logistic function of what messages hold, so the probability that it gives is the best
forecast there can be (Bayes): ln(p / (1 - p)) is the sum of

- ``INTERCEPT``,
- ``PER_ADMISSION`` for each admission as an inpatient in the 365 days before, up to 5,
- ``PER_CHARLSON`` for each point of the Charlson index of the stay's diagnoses (DG1), up to 6,
- ``PER_LOG_DAY`` times ln(1 + days) from the inpatient admission to the discharge,
- ``UNPLANNED`` where PV1-4 is E,
- ``LOW_HAEMOGLOBIN``, ``LOW_SODIUM`` where the last value before the discharge is below 12 g/dL,
  135 mmol/L (none is not low),
- ``PER_YEAR`` for each year of age over 65, less for fewer.

It holds for adults who leave alive, not against advice, and not for another hospital.
"""

from __future__ import annotations

from math import exp, log
from typing import NamedTuple

INTERCEPT = -3.8
PER_ADMISSION = 0.4
PER_CHARLSON = 0.15
PER_LOG_DAY = 0.3
UNPLANNED = 0.6
LOW_HAEMOGLOBIN = 0.9
LOW_SODIUM = 0.9
PER_YEAR = 0.018
WITHIN_DAYS = 30
MOST_ADMISSIONS, MOST_CHARLSON = 5, 6
LEAST_HAEMOGLOBIN, LEAST_SODIUM = 12, 135
ADULT = 18


class Features(NamedTuple):
    """What the risk of a stay follows from, as of its discharge."""

    admissions: int
    charlson: int
    days: float
    unplanned: bool
    haemoglobin: float | None
    sodium: float | None
    age: int


def probability(stay: Features) -> float:
    """Return the probability of a readmission."""
    odds = INTERCEPT + PER_ADMISSION * min(stay.admissions, MOST_ADMISSIONS)
    odds += PER_CHARLSON * min(stay.charlson, MOST_CHARLSON)
    odds += PER_LOG_DAY * log(1 + stay.days) + UNPLANNED * stay.unplanned
    odds += LOW_HAEMOGLOBIN * _is_low(stay.haemoglobin, LEAST_HAEMOGLOBIN)
    odds += LOW_SODIUM * _is_low(stay.sodium, LEAST_SODIUM) + PER_YEAR * (stay.age - 65)
    return 1 / (1 + exp(-odds))


def _is_low(value: float | None, least: float) -> bool:
    return value is not None and value < least
