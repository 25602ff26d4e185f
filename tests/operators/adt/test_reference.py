"""Visits are those of the reference, which was written from the definition alone."""

from __future__ import annotations

import os
import random

from connectors.adt.messages import parse
from connectors.hl7.message import Message
from operators.adt.visit import Visit, visit
from state.adt.facts import Fact
from state.adt.triggers import USED
from tests.reference.adt import Row, Timeline, iso, timeline

HISTORIES = int(os.environ.get("HEADRACE_HISTORIES", "600"))
"""How many histories are compared: 100,000 by command take some minutes."""
BEDS = ("W^1^A", "W^2^A", "W^3^A", "W^1^A^X", '""', "")


def test_random_histories_are_those_of_the_reference():
    rng = random.Random(int(os.environ.get("HEADRACE_SEED", "1")))
    for number in range(HISTORIES):
        raws = [_message(rng, each) for each in range(rng.randint(1, 7))]
        facts: set[Fact] = {fact for raw in raws for fact in parse(raw)}
        found = visit(facts)
        wanted = timeline(Message(raw) for raw in raws)
        told = b"\n".join(raws).replace(b"\r", b"\n").decode()
        assert _rows(found) == wanted.location_visits, f"history {number}\n{told}"
        assert _encounters(found) == wanted.encounters, f"history {number}\n{told}"
        assert _anomalies(found) == _of_visits(wanted), f"history {number}\n{told}"


def _message(rng: random.Random, number: int) -> bytes:
    """Return a message about one visit, with any fields that matter, of a narrow span of time."""

    def time(*others: str) -> str:
        return rng.choice((f"202403051{rng.randint(0, 9)}", *others))

    trigger = rng.choice(sorted(USED))
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
