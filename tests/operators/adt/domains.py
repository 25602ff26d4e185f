"""Random histories of a domain: patients, visits and beds that have to do with each other."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from connectors.hl7.message import Message
from state.adt.attributes import DETAILS
from state.adt.triggers import ACCOUNTS, ALIASES, KNOWN, OF_VISITS, VISITS
from tests.operators.adt.tables import Rows, tables
from tests.reference.adt import Timeline, timeline

BEDS = ("W^1^A", "W^2^A", "W^3^", "W^1^A^X", '""', "")
PATIENTS = ("1", "2", "3", "1^^^NH", "4~5^^^GH^MR")
NUMBERS = ("V1", "V2", "V1^^^NH", "")
BEYOND = (*DETAILS, "stay_s", "transfers", "boarding_s")
"""Columns of encounters that the reference does not know (test_attributes.py, test_report.py)."""
THEMES = (
    ("A01", "A01", "A02", "A03", *sorted(ALIASES)),
    ("A01", "A01", "A02", "A45", "A44", "A40"),
    ("A01", "A02", "A42", "A50", "A35", "A41", "A49", "A40"),
    ("A01", "A01", "A02", "A11", "A12", "A17", "A03"),
    ("A01", "A01", "A40", "A29", "A23", "A08"),
    ("A01", "A20", "A20", "A99", "A08", "A40"),
    (*sorted(KNOWN), "A99"),
)
"""Triggers that have to do with each other."""


def history(rng: random.Random) -> list[bytes]:
    """Return one to nine messages of one domain."""
    theme = rng.choice(THEMES)
    return [_message(rng, rng.choice(theme), n) for n in range(rng.randint(1, 9))]


def differs(raws: list[bytes], made: Callable[[list[bytes]], dict[str, Rows]] = tables) -> str:
    """Return in what the tables, ``made`` of these messages, differ from the reference's, or ""."""
    found, wanted = made(raws), timeline([Message(raw) for raw in raws])
    pairs = {
        "location_visits": wanted.location_visits,
        "encounters": wanted.encounters,
        "anomalies": wanted.anomalies,
    }
    pairs["beds"] = _beds(wanted)
    for row in found["beds"]:
        if row["patient"] is None:
            row["since"] = None  # that of the status, of which the reference keeps no time
    for row in found["encounters"]:
        for name in BEYOND:
            del row[name]
    return "".join(
        f"{name}: {_plain(found[name])} != {_plain(rows)}\n"
        for name, rows in pairs.items()
        if _plain(found[name]) != _plain(rows)
    )


def _beds(wanted: Timeline) -> Rows:
    """Return the beds that the reference's statuses and rows of visits come to."""
    empty = {"status": None, "patient": None, "visit": None, "since": None}
    beds = {str(each["location"]): empty | each for each in wanted.beds}
    lasting = [row for row in wanted.location_visits if row["end"] is None]
    for row in sorted(lasting, key=lambda row: _arrival(row, wanted.location_visits)):
        location = str(row["location"])
        if location.split("^")[2:3] not in ([], [""]):
            since = _since(row, wanted.location_visits)
            who = {"patient": row["patient"], "visit": row["visit"], "since": since}
            beds[location] = {**empty, "location": location, **beds.get(location, {}), **who}
    return list(beds.values())


def _arrival(row: dict[str, Any], rows: Rows) -> tuple[str, str, str]:
    return str(_since(row, rows)), row["patient"], row["visit"]


def _since(row: dict[str, Any], rows: Rows) -> Any:
    """Return since when a patient is in a bed, under whatever class."""
    same = ("patient", "visit", "location")
    before = [
        each
        for each in rows
        if each["end"] == row["start"] and all(each[name] == row[name] for name in same)
    ]
    return _since(before[0], rows) if before else row["start"]


def _plain(rows: Rows) -> list[list[tuple[str, Any]]]:
    plain = [
        sorted((n, v) for n, v in row.items() if n not in ("domain", "anomaly")) for row in rows
    ]
    return sorted(plain, key=str)


def _message(rng: random.Random, trigger: str, number: int) -> bytes:
    """Return a message with any fields that matter, of a narrow span of time."""

    def time(*others: str) -> str:
        return rng.choice((f"202403051{rng.randint(0, 9)}", *others))

    recorded = time()
    head = [
        rf"MSH|^~\&|PAS|GH|||{time()}||ADT^{trigger}|C{number}|P|2.5",
        f"EVN|{trigger}|{rng.choice((recorded, ''))}||||{rng.choice((recorded, time(), 'x', ''))}",
    ]
    groups = 2 if trigger == "A17" or (trigger in ALIASES and rng.random() < 0.3) else 1
    body = [segment for _ in range(groups) for segment in _group(rng, trigger, time)]
    if trigger == "A20":
        body.append(f"NPU|{rng.choice(BEDS[:3])}|{rng.choice(('C', 'O', 'U'))}")
    return "\r".join((*head, *body)).encode()


def _group(rng: random.Random, trigger: str, time: Any) -> list[str]:
    pid = [""] * 22
    pid[0:2] = ["PID", "1"]
    pid[3] = rng.choice(PATIENTS)
    pid[18] = _number(rng, needed=trigger in ACCOUNTS)
    pid[21] = rng.choice(("", "", "", rng.choice(PATIENTS[:3])))
    pv1 = [""] * 46
    pv1[0:2] = ["PV1", "1"]
    pv1[2] = rng.choice(("I", "O", "E", "", '""'))
    pv1[3], pv1[6] = rng.choice(BEDS), rng.choice(BEDS)
    pv1[19] = _number(rng, needed=trigger in OF_VISITS | VISITS)
    pv1[36] = rng.choice(("01", "20", "", '""'))
    pv1[44], pv1[45] = time("", "", '""'), time("", "", "x")
    segments = ["|".join(pid)]
    if trigger in ALIASES | ACCOUNTS | VISITS:
        visit, account = (_number(rng, needed=True) for _ in range(2))
        segments.append(f"MRG|{rng.choice(PATIENTS)}||{account}||{visit}")
    return [*segments, "|".join(pv1)]


def _number(rng: random.Random, *, needed: bool) -> str:
    return rng.choice(NUMBERS[:-1] if needed else NUMBERS)
