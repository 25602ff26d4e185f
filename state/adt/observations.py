"""What messages say of results and vital signs.

As in `state.adt.facts` a patient, and a visit, is ``id^^^authority``, and times are in ns since
1970 UTC. Values and units are as they were sent: what they are in UCUM follows from them
(`operators.adt.units`), and which of several observations stands (`operators.adt.observed`).
"""

from __future__ import annotations

from typing import NamedTuple

LOINC = frozenset({"LN", "LOINC"})
"""What senders call LOINC in OBX-3; the first is the name of table 0396."""
UNKNOWN = "unknown"
PRELIMINARY, FINAL, WRONG = "preliminary", "final", "entered-in-error"
STATUSES = {
    "A": "amended",
    "B": "amended",
    "C": "corrected",
    "D": WRONG,
    "F": FINAL,
    "I": "registered",
    "N": "cancelled",
    "O": "registered",
    "P": PRELIMINARY,
    "R": PRELIMINARY,
    "S": PRELIMINARY,
    "U": FINAL,
    "V": FINAL,
    "W": WRONG,
    "X": "cancelled",
}
"""OBX-11 in the words of FHIR R4 (observation-status); anything else is `UNKNOWN`.

Source: HL7 v2.9, table 0085, and the concept map ObservationResultStatusCodesInterpretation of
v2-to-FHIR, which leaves B, I, N, O, R, S, U and V open: those are read as table 0085 explains them.
"""
CONFIRMS = "U"
"""The status that makes a preliminary result final and does not send it again."""

NUMBER, TEXT, CODED = "number", "text", "coded"
"""The kinds of values. What is said to be a number and is none is text."""


class Observation(NamedTuple):
    """One OBX. Of the texts "" is for nothing."""

    recorded_ns: int
    clinical_ns: int
    digest: str
    """That of the message without its envelope, and the place of the OBX in it: the three make the
    order of all observations whole."""
    patient: str
    visit: str
    """"" where the message names none."""
    filler: str
    """The order's number of who fills it, else of who placed it: id^namespace."""
    code: str
    system: str
    """Of the code, as sent: LN is LOINC."""
    text: str
    """What the code means."""
    sub_id: str
    """OBX-4: tells observations of one code apart."""
    timed: bool
    """Whether the clinical time is the observation's, and not only that of the sending."""
    kind: str
    """`NUMBER`, `TEXT`, `CODED`, or "" where there is no value."""
    value: str | None
    """As sent; None where there is none, as for encapsulated data (ED, RP), which is not kept."""
    comparator: str | None
    """One of < <= > >= where the value is a bound."""
    unit: str | None
    """As sent."""
    status: str
    """One of `STATUSES`."""
    confirms: bool
    """Whether it only says that what was sent as preliminary is final."""
