"""Random histories of one visit, and how what we make of them differs from the reference's."""

from __future__ import annotations

import random

from operators.adt.visit import Visit
from state.adt.triggers import OF_VISITS
from tests.reference.adt import Timeline
from tests.reference.adt.rows import Row, iso

BEDS = ("W^1^A", "W^2^A", "W^3^A", "W^1^A^X", '""', "")

FAMILIES = (
    ("A01", "A02", "A12"),
    ("A02", "A02", "A12"),
    ("A01", "A03", "A08", "A13", "A02"),
    ("A01", "A04", "A05", "A11", "A38", "A02"),
    ("A01", "A21", "A22", "A52", "A53"),
    ("A01", "A02", "A06", "A07", "A17", "A23"),
)
"""Triggers that have to do with each other."""


def history(rng: random.Random) -> list[bytes]:
    """Return one to seven messages about one visit.

    Few triggers in one history: of all of them, seldom two have to do with each other.
    """
    triggers = rng.choice(
        (*FAMILIES, *(tuple(rng.choices(sorted(OF_VISITS), k=k)) for k in (2, 4, 7)))
    )
    return [_message(rng, rng.choice(triggers), n) for n in range(rng.randint(1, 7))]


def differs(found: Visit, wanted: Timeline) -> str:
    """Return what is not the same, or ""."""
    pairs = {
        "rows": (_rows(found), wanted.location_visits),
        "encounters": (_encounters(found), wanted.encounters),
        "anomalies": (_anomalies(found), _of_visits(wanted)),
    }
    return "".join(
        f"{name}: {ours} != {theirs}" for name, (ours, theirs) in pairs.items() if ours != theirs
    )


def _message(rng: random.Random, trigger: str, number: int) -> bytes:
    """Return a message about one visit, with any fields that matter, of a narrow span of time."""

    def time(*others: str) -> str:
        return rng.choice((f"202403051{rng.randint(0, 9)}", *others))

    recorded = time()
    pv1 = [""] * 46
    pv1[0:2] = ["PV1", "1"]
    pv1[2] = rng.choice(("I", "O", "E", "", '""'))
    pv1[3], pv1[6] = rng.choice(BEDS), rng.choice(BEDS)
    pv1[19] = "V1"
    pv1[36] = rng.choice(("01", "20", "", '""'))
    pv1[44], pv1[45] = time("", "", '""'), time("", "", "x")
    return "\r".join(
        (
            rf"MSH|^~\&|PAS|GH|||{time()}||ADT^{trigger}|C{number}|P|2.5",
            f"EVN|{trigger}|{rng.choice((recorded, ''))}||||{rng.choice((recorded, time(), ''))}",
            "PID|1||1^^^GH^MR",
            "|".join(pv1),
        )
    ).encode()


def _rows(found: Visit) -> list[Row]:
    rows: list[Row] = [
        {
            "patient": "1^^^GH",
            "visit": "V1^^^GH",
            "location": row.location,
            "class": row.patient_class or None,
            "start": iso(row.start_ns),
            "end": None if row.end_ns is None else iso(row.end_ns),
            "inferred": row.inferred,
        }
        for row in found.rows
    ]
    return sorted(rows, key=lambda row: str(tuple(row.items())))


def _encounters(found: Visit) -> list[Row]:
    told = found.encounter
    if told is None:
        return []
    return [
        {
            "patient": "1^^^GH",
            "visit": "V1^^^GH",
            "status": told.status,
            "class": told.patient_class or None,
            "admitted": None if told.admitted_ns is None else iso(told.admitted_ns),
            "discharged": None if told.discharged_ns is None else iso(told.discharged_ns),
            "disposition": told.disposition or None,
        }
    ]


def _anomalies(found: Visit) -> set[tuple[object, ...]]:
    moved = {
        ("moved_after_discharge", row.location or None, iso(row.start_ns))
        for row in found.moved_after_discharge
    }
    waiting = {
        ("cancel_without_target", None, iso(fact.clinical_ns))
        for fact in found.cancels_without_target
    }
    return moved | waiting


def _of_visits(wanted: Timeline) -> set[tuple[object, ...]]:
    return {
        (row["kind"], row["location"], row["start"])
        for row in wanted.anomalies
        if row["kind"] in {"moved_after_discharge", "cancel_without_target"}
    }
