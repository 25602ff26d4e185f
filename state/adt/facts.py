"""What messages say of patients, visits and beds.

A patient, and a visit, is ``id^^^authority``. Times are in ns since 1970 UTC: the clinical time is
when something happened, the recorded one when that was recorded. A digest is that of the message
without its envelope: with the two times it makes the order of all statements of one kind whole.
"""

from __future__ import annotations

from typing import NamedTuple

from state.adt.attributes import Attribute
from state.adt.observations import Observation
from state.records import Coordinates

VisitKey = tuple[str, str]
"""A patient and a visit of this patient."""


class Fact(NamedTuple):
    """One trigger for one visit, or for a person where ``visit`` is ""."""

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


class Mother(NamedTuple):
    """A newborn and its mother (PID-21): the two may share a bed."""

    child: str
    mother: str


class BedStatus(NamedTuple):
    """The status of a bed from a time on (A20)."""

    clinical_ns: int
    recorded_ns: int
    digest: str
    location: str
    status: str


class Oddity(NamedTuple):
    """Something strange in a message itself; of the texts "" is for nothing."""

    clinical_ns: int
    kind: str
    patient: str
    visit: str
    field: str
    """Such as EVN-6, where it is in a field."""
    recorded_ns: int = 0
    """0 in snapshots of before, which kept these for good."""


Statement = Fact | Alias | Rekey | Mother | BedStatus | Oddity | Attribute | Observation


class Told(NamedTuple):
    """What a message says, and where it lies."""

    coordinates: Coordinates
    domain: str
    """What can be merged, moved or swapped shares it (the key of its Kafka message)."""
    recorded_ns: int
    statements: tuple[Statement, ...]
