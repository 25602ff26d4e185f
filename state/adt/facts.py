"""What messages say of patients and visits.

A patient, and a visit, is ``id^^^authority``.
"""

from __future__ import annotations

from typing import NamedTuple

from state.records import Coordinates


class Fact(NamedTuple):
    """One trigger for one visit; times in ns since 1970 UTC.

    ``clinical_ns`` is when it happened, ``recorded_ns`` when that was recorded. ``digest`` is that
    of the message without its envelope: with the times it makes the order of facts whole.
    """

    clinical_ns: int
    recorded_ns: int
    digest: str
    trigger: str
    """ADT's, such as A01."""
    patient: str
    visit: str
    location: str | None = None
    """PV1-3: ward^room^bed. Of the texts None says nothing, and "" that there is nothing."""
    prior: str | None = None
    """PV1-6, of the same form."""
    patient_class: str | None = None
    """PV1-2."""
    disposition: str | None = None
    """PV1-36."""
    occurred_ns: int | None = None
    """EVN-6 where it was sent: a cancel names by it what it cancels."""
    admitted_ns: int | None = None
    """PV1-44."""
    discharged_ns: int | None = None
    """PV1-45."""


VisitKey = tuple[str, str]
"""A patient and a visit of this patient."""


class Alias(NamedTuple):
    """The patient's number ``prior`` became ``survivor``."""

    recorded_ns: int
    clinical_ns: int
    digest: str
    prior: str
    survivor: str


class Rekey(NamedTuple):
    """A visit got another number, another patient, or both.

    ``moves``: from one patient to another, whoever they are (A44, A45); else it is a new number.
    """

    recorded_ns: int
    clinical_ns: int
    digest: str
    old: VisitKey
    new: VisitKey
    moves: bool


class Told(NamedTuple):
    """A fact, and the message that told it."""

    coordinates: Coordinates
    fact: Fact
