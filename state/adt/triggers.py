"""What each trigger of ADT does to a visit. Source: HL7 v2.9, chapter 3; shared meaning in adt.md.

A trigger that is not here says nothing of where a patient is.
"""

from __future__ import annotations

from enum import Flag, auto


class Effect(Flag):
    """What a fact does; one fact may do several things."""

    ADMITS = auto()
    PLACES = auto()
    TRANSFERS = auto()
    FROM_A_BED = auto()
    """It tells the bed before, too."""
    CLASSIFIES = auto()
    PLANS = auto()
    DISCHARGES = auto()
    CORRECTS = auto()
    LEAVES = auto()
    RETURNS = auto()
    DELETES = auto()


NOTHING = Effect(0)
BACK_IN = "A13 in a bed"
"""Stands for the bed of a cancelled discharge, which need not be the one before."""
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
USED = (TRIGGERS.keys() | CANCELS.keys()) - {BACK_IN}


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


def effect(trigger: str) -> Effect:
    """Return what a trigger does by itself."""
    return TRIGGERS.get(trigger, NOTHING)
