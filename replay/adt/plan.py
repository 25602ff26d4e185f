"""What is true in a simulated hospital: visits, and mistakes that stay. No message tells it all."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from replay.adt.people import Person

STATUSES = {
    "A01": "in-progress",
    "A03": "finished",
    "A04": "in-progress",
    "A05": "planned",
    "A11": "cancelled",
    "A13": "in-progress",
    "A21": "onleave",
    "A22": "in-progress",
    "A38": "cancelled",
}
"""How a visit stands after a trigger; other triggers leave it as it was."""


@dataclass(slots=True, eq=False)
class Visit:
    """A visit as the messages sent so far tell it, and whose it is in truth."""

    number: str
    owner: Person
    """Whose it is."""
    registered: Person
    """Under whose number messages tell of it: another's until a merge or a move."""
    admission_type: str
    """PV1-4: E emergency, C elective, L labour, N newborn."""
    patient_class: str
    location: str = ""
    status: str = ""
    admitted_s: int | None = None
    inpatient_s: int | None = None
    """When it became a stay of an inpatient."""
    discharged_s: int | None = None
    disposition: str = ""
    values: dict[str, float] = field(default_factory=dict)
    """The last value of each laboratory test."""
    probability: float | None = None
    """Of an unplanned readmission within 30 days, as `replay.adt.risk` has it; None if it does not
    count: it goes on, or ended by death, against advice or in another hospital."""


@dataclass(slots=True)
class Plan:
    """What the messages sent so far have to give."""

    visits: list[Visit] = field(default_factory=list)
    double_booked: set[tuple[str, str]] = field(default_factory=set)
    """The bed and the visit of each transfer into a taken bed that was not cancelled."""
    mistakes: Counter[str] = field(default_factory=Counter)
    """How many were made of each kind."""
