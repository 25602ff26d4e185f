"""What the tables say of visits and patients, and how that changes with a message."""

from __future__ import annotations

from typing import NamedTuple

from operators.adt.attributes import Condition, Fields, Patient, details
from operators.adt.beds import Span
from operators.adt.census import Presence
from operators.adt.orders import Deletion
from operators.adt.visit import Encounter, Row
from state.adt.facts import VisitKey

NOT_REAL = ("cancelled", "entered-in-error")


class Anomaly(NamedTuple):
    """What is strange; of the texts "" is for nothing."""

    kind: str
    patient: str
    visit: str = ""
    location: str = ""
    start_ns: int | None = None
    end_ns: int | None = None
    field: str = ""


class Shown(NamedTuple):
    """What the tables say of one visit."""

    rows: tuple[Row, ...]
    encounter: Encounter | None
    anomalies: frozenset[Anomaly]
    beds: dict[str, tuple[Span, ...]]
    """When the patient was in each bed."""
    wards: tuple[Presence, ...]
    """When the patient was in each ward."""
    details: Fields
    conditions: tuple[Condition, ...]

    @property
    def is_real(self) -> bool:
        """Return whether there was such a visit, and it was not taken back."""
        return self.encounter is not None and self.encounter.status not in NOT_REAL


class Change(NamedTuple):
    """A visit whose tables are no longer what they were."""

    key: VisitKey
    before: Shown
    after: Shown

    def beds(self) -> set[str]:
        """Return the beds in which the patient was at other times than was known."""
        then, now = self.before.beds, self.after.beds
        return {at for at in then.keys() | now.keys() if then.get(at) != now.get(at)}


class PatientChange(NamedTuple):
    """A patient who is no longer shown as before; None where there is nothing to show."""

    patient: str
    before: Patient | None
    after: Patient | None


class Moved(NamedTuple):
    """Orders of a visit were told under other numbers than was known, or its patient deleted."""

    key: VisitKey
    before: list[VisitKey]
    after: list[VisitKey]
    deletion: Deletion | None
    """The one that was known before."""


class Changes(NamedTuple):
    """What has changed in a family: visits, patients, and what is strange about these."""

    visits: list[Change]
    patients: list[PatientChange]
    moved: list[Moved]
    gone: set[Anomaly]
    new: set[Anomaly]


class Summary(NamedTuple):
    """What others have to know of a family without reading its statements."""

    beds: dict[VisitKey, dict[str, tuple[Span, ...]]]
    wards: dict[VisitKey, tuple[Presence, ...]]
    visits: list[tuple[str, str, bool]]
    """Patient, number, and whether there was such a visit."""
    mothers: dict[str, frozenset[str]]


NOTHING = Shown((), None, frozenset(), {}, (), details(()), ())
