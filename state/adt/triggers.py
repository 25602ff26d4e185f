"""What each trigger of ADT does. Source: HL7 v2.9, chapter 3; shared meaning in adt.md, 2.3.

A trigger that is in none of these tables says nothing, and is an anomaly.
"""

from __future__ import annotations

from typing import Final


class Effect:
    """What a fact does to a visit; one fact may do several things, which are added.

    Numbers, for enum.Flag is slow: half of the time of a visit was spent in its operators.
    """

    ADMITS: Final = 1 << 0
    PLACES: Final = 1 << 1
    TRANSFERS: Final = 1 << 2
    FROM_A_BED: Final = 1 << 3
    """It tells the bed before, too."""
    CLASSIFIES: Final = 1 << 4
    PLANS: Final = 1 << 5
    DISCHARGES: Final = 1 << 6
    CORRECTS: Final = 1 << 7
    LEAVES: Final = 1 << 8
    RETURNS: Final = 1 << 9
    DELETES: Final = 1 << 10


NOTHING = 0
BACK_IN = "A13 in a bed"
"""Stands for the bed of a cancelled discharge, which need not be the one before."""
DELETES_PERSON = "A29"
TRIGGERS = {
    "A01": Effect.ADMITS | Effect.PLACES | Effect.CLASSIFIES,
    "A02": Effect.PLACES | Effect.TRANSFERS | Effect.FROM_A_BED,
    "A03": Effect.DISCHARGES,
    "A04": Effect.ADMITS | Effect.PLACES | Effect.CLASSIFIES,
    "A05": Effect.PLANS,
    "A06": Effect.PLACES | Effect.CLASSIFIES | Effect.FROM_A_BED,
    "A07": Effect.PLACES | Effect.CLASSIFIES | Effect.FROM_A_BED,
    "A08": Effect.CORRECTS,
    BACK_IN: Effect.PLACES,
    "A17": Effect.PLACES | Effect.FROM_A_BED,
    "A21": Effect.LEAVES,
    "A22": Effect.RETURNS,
    "A23": Effect.DELETES,
    DELETES_PERSON: Effect.DELETES,
    "A31": Effect.CORRECTS,
}
CANCELS = {
    "A11": Effect.ADMITS,
    "A12": Effect.TRANSFERS,
    "A13": Effect.DISCHARGES,
    "A38": Effect.PLANS,
    "A52": Effect.LEAVES,
    "A53": Effect.RETURNS,
}
"""What each cancel takes back."""
OF_VISITS = (TRIGGERS.keys() | CANCELS.keys()) - {BACK_IN, DELETES_PERSON}
ALIASES = frozenset({"A18", "A30", "A34", "A36", "A39", "A40", "A43", "A46", "A47"})
"""MRG-1 becomes PID-3."""
ACCOUNTS = frozenset({"A35", "A41", "A44", "A49"})
"""MRG-3 becomes PID-18."""
VISITS = frozenset({"A42", "A45", "A50"})
"""MRG-5 becomes PV1-19."""
MOVES = frozenset({"A44", "A45"})
"""From the patient of MRG-1 to that of PID-3."""
SWAPS = "A17"
BED_STATUS = "A20"
IGNORED = frozenset(
    f"A{number:02}"
    for number in (9, 10, 14, 15, 16, 24, 25, 26, 27, 28, 32, 33, 37, 54, 55, 60, 61, 62)
)
"""Known, and without an effect on where a patient is; who that is they tell as all others do."""
IN_GROUPS = ALIASES | ACCOUNTS | VISITS | {SWAPS}
"""A message of these may be about several patients."""
OF_PATIENTS = OF_VISITS | IN_GROUPS | IGNORED | {DELETES_PERSON}
KNOWN = OF_PATIENTS | {BED_STATUS}


TELLS = (
    Effect.ADMITS
    | Effect.PLACES
    | Effect.PLANS
    | Effect.DISCHARGES
    | Effect.LEAVES
    | Effect.RETURNS
)
"""What shows that there is a visit."""
BEGUN = Effect.PLACES | Effect.DISCHARGES | Effect.LEAVES | Effect.RETURNS
"""What an admission begins, and what falls with it."""


def effect(trigger: str) -> int:
    """Return what a trigger does to a visit by itself."""
    return TRIGGERS.get(trigger, NOTHING)
