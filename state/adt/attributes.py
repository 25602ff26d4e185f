"""What messages say of persons and visits beside where and when: of each field the newest counts.

As in `state.adt.facts` times are in ns since 1970 UTC. Of the values None says nothing, and "" that
there is nothing.
"""

from __future__ import annotations

from typing import NamedTuple

PERSON = ("family", "given", "birth_date", "sex", "address", "phone", "died", "deceased")
"""The fields of a person, as the output ``patients`` names them."""
DETAILS = ("admission_type", "attending", "service", "source", "vip")
"""The fields of a visit, as the output ``encounters`` names them."""
ADDRESS = ("line", "city", "state", "zip", "country")
"""The parts of an address, which is one text: `ADDRESS_END` ends each part but the last."""
ADDRESS_END = "\x1f"


class Person(NamedTuple):
    """What a message says of who a patient is."""

    recorded_ns: int
    clinical_ns: int
    digest: str
    patient: str
    values: tuple[str | None, ...]
    """In the order of `PERSON`."""


class Details(NamedTuple):
    """What a message says of a visit."""

    recorded_ns: int
    clinical_ns: int
    digest: str
    patient: str
    visit: str
    values: tuple[str | None, ...]
    """In the order of `DETAILS`."""


class Diagnosis(NamedTuple):
    """One DG1; of the texts "" is for nothing."""

    code: str
    system: str
    text: str
    rank: str
    time_ns: int | None
    is_gone: bool = False
    """Whether it says that this diagnosis is none (DG1-21 is D)."""


class Diagnoses(NamedTuple):
    """The diagnoses of one type that a message names.

    ``whole``: they are all of this type, and any other is none any more (snapshot mode). Else each
    of them is added, changed or taken back (action codes, DG1-21). Source: HL7 v2.9, 2.10.4.
    """

    recorded_ns: int
    clinical_ns: int
    digest: str
    patient: str
    visit: str
    kind: str
    """DG1-6, such as F."""
    whole: bool
    listed: tuple[Diagnosis, ...]


Attribute = Person | Details | Diagnoses
