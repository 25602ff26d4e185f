"""Made-up visits as HL7 messages, and what their table has to be."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, datetime
from string import ascii_letters
from typing import Any

from connectors.hl7.message import Message as Hl7
from replay.message import Message
from replay.partitioner import partition_of
from state.clock import NS
from tests.reference.adt import timeline

START_NS = 1_700_000_000 * NS
CANARY = "CANARYPATIENT"
"""Begins every patient number and ward: a text that must be nowhere in clear."""
BAD = b"PID|1||" + CANARY.encode()
HOSPITALS = 7
STAY = ("location", "class", "start", "end", "inferred")


def domain(visit: str) -> str:
    """Return the hospital of a visit."""
    return f"{CANARY[:6]}{int(visit.lstrip(ascii_letters)) % HOSPITALS}"


def name(visit: str) -> str:
    """Return a visit as our outputs name it."""
    return f"{visit}^^^{domain(visit)}"


def key(named: str) -> str:
    """Return the key in our tables of a visit as they name it."""
    visit, _, hospital = named.partition("^^^")
    return f"{named}|{CANARY}{visit}^^^{hospital}|{hospital}"


def hl7(trigger: str, visit: str, recorded_ns: int, clinical_ns: int, location: str) -> bytes:
    """Return one ADT message."""
    recorded, clinical = (
        datetime.fromtimestamp(ns // NS, UTC).strftime("%Y%m%d%H%M%S")
        for ns in (recorded_ns, clinical_ns)
    )
    segments = [
        f"MSH|^~\\&|ADT|{domain(visit)}|||{recorded}||ADT^{trigger}|{visit}|P|2.3",
        f"EVN|{trigger}|{recorded}||||{clinical}",
        f"PID|1||{CANARY}{visit}",
        f"PV1|1|I|{CANARY}^{location}^{visit}{'|' * 16}{visit}",
    ]
    return "\r".join(segments).encode()


def messages(seed: int, visits: int, partitions: int = 2, stem: str = "V") -> list[Message]:
    """Return visits, of which some are cancelled; what is recorded comes in any order, and twice.

    Visit numbers begin with ``stem``. The last message of each partition cannot be used.
    """
    rng = random.Random(seed)
    values: list[tuple[str, int, bytes]] = []
    for v in range(visits):
        visit, at_ns = f"{stem}{v}", START_NS + v * 60 * NS
        triggers = ["A01", "A02", "A02", "A11"][: rng.randrange(1, 5)]
        for n, trigger in enumerate(triggers):
            recorded_ns = at_ns + n * 600 * NS
            value = hl7(trigger, visit, recorded_ns, recorded_ns - 60 * NS, str(n))
            values += [(visit, recorded_ns, value)] * rng.choice((1, 1, 2))
    rng.shuffle(values)
    made: list[Message] = []
    offsets = [0] * partitions
    for visit, recorded_ns, value in values:
        hospital = domain(visit).encode()
        p = partition_of(hospital, partitions)
        made.append(Message("adt.raw", p, offsets[p], recorded_ns, hospital, value))
        offsets[p] += 1
    unusable = [
        Message("adt.raw", p, offsets[p], START_NS, b"unusable", BAD) for p in range(partitions)
    ]
    return made + unusable


def expected(given: list[Message]) -> dict[str, list[dict[str, Any]]]:
    """Return the stays of each visit that is not cancelled, of the set of its messages."""
    told = [Hl7(message.value or b"") for message in given if message.value != BAD]
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in sorted(timeline(told).location_visits, key=lambda each: str(each["start"])):
        visit = str(row["visit"])
        found[visit].append({each: row[each] for each in STAY})
    return found
