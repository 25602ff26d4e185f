"""The words of a timeline: what messages say, and the triggers that say it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

ADMISSIONS = {"A01", "A04"}
CLASS_CHANGES = {"A06", "A07"}
BACK_IN = "A13 places"
"""The bed of a cancelled discharge; the cancel itself is another fact."""
FROM_ANOTHER_BED = {"A02", "A17"} | CLASS_CHANGES
PLACINGS = ADMISSIONS | FROM_ANOTHER_BED | {BACK_IN}
PLANNED, DISCHARGE, ON_LEAVE, BACK = "A05", "A03", "A21", "A22"
CORRECTIONS = {"A08", "A31"}
DELETES_VISIT, DELETES_PERSON = "A23", "A29"
CANCELS = {
    "A11": ADMISSIONS,
    "A12": {"A02"},
    "A13": {DISCHARGE},
    "A38": {PLANNED},
    "A52": {ON_LEAVE},
    "A53": {BACK},
}
TELLS_OF_A_VISIT = (PLACINGS - {BACK_IN}) | {PLANNED, DISCHARGE, ON_LEAVE, BACK}
ALIASES = {"A18", "A30", "A34", "A36", "A39", "A40", "A43", "A46", "A47"}
ACCOUNT_RENAMES, VISIT_RENAMES = {"A35", "A41", "A49"}, {"A42", "A50"}
ACCOUNT_MOVE, VISIT_MOVE = "A44", "A45"
REKEYS = ACCOUNT_RENAMES | VISIT_RENAMES | {ACCOUNT_MOVE, VISIT_MOVE}
BED_STATUS = "A20"
NO_EFFECT = {f"A{number:02}" for number in (9, 10, 14, 15, 16, 24, 25, 26, 27, 28, 32, 33, 37)}
NO_EFFECT |= {"A54", "A55", "A60", "A61", "A62"}
OF_A_VISIT = TELLS_OF_A_VISIT | CORRECTIONS | set(CANCELS) | {DELETES_VISIT}
KNOWN = OF_A_VISIT | ALIASES | REKEYS | NO_EFFECT | {BED_STATUS, DELETES_PERSON}
MANY_GROUPS = ALIASES | REKEYS | {"A17"}

MEDICAL_RECORD = ("MR", "MRN")


class Id(NamedTuple):
    """A number and who gave it; ``by_time`` where a visit is named by its admission."""

    number: str
    authority: str
    by_time: bool = False

    def __str__(self) -> str:
        return f"{self.number}^^^{self.authority}".rstrip("^")


VisitKey = tuple[Id, Id]
"""A patient and a visit of this patient."""
Node = TypeVar("Node")


@dataclass(frozen=True)
class Fact:
    """What a message says of a visit; t is the clinical time, r the recorded one, in ns.

    Of the others, None says nothing, and "" that there is nothing. ``since`` is PV1-44, ``until``
    PV1-45, ``aim`` the time of what a cancel cancels.
    """

    trigger: str
    patient: Id
    visit: Id | None
    t: int
    r: int
    h: str
    place: str | None = None
    prior: str | None = None
    patient_class: str | None = None
    since: int | None = None
    until: int | None = None
    disposition: str | None = None
    aim: int | None = None


class Edge(NamedTuple, Generic[Node]):
    """A number became another one."""

    source: Node
    target: Node
    r: int
    t: int
    h: str


class Rekey(NamedTuple):
    """A visit got another number, another patient, or both."""

    source: VisitKey
    target: VisitKey
    r: int
    t: int
    h: str
    moves: bool


class Oddity(NamedTuple):
    """What is strange in a message itself."""

    kind: str
    patient: Id | None
    visit: Id | None
    t: int
    field: str | None


class Bed(NamedTuple):
    """The status of a bed from a time on."""

    t: int
    r: int
    h: str
    location: str
    status: str


@dataclass
class Said:
    """All that the messages of a domain say; sets, so that no order and no repetition shows."""

    facts: set[Fact] = field(default_factory=set)
    aliases: set[Edge[Id]] = field(default_factory=set)
    rekeys: set[Rekey] = field(default_factory=set)
    mothers: set[tuple[Id, Id]] = field(default_factory=set)
    beds: set[Bed] = field(default_factory=set)
    oddities: set[Oddity] = field(default_factory=set)


def age(said: Fact | Edge[Node]) -> tuple[int, int, str]:
    """Return what orders from the first recorded to the newest."""
    return said.r, said.t, said.h
