"""Messages of a made-up hospital: stays of four beds, with a correction and a discharge."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

BEGIN = datetime(2024, 3, 1, tzinfo=UTC)
MINUTES = 20_000
SEGMENTS = (
    r"MSH|^~\&|PAS|GH|HEADRACE|GH|{time}||ADT^{trigger}|C{visit}{place}|P|2.5.1||||||UNICODE UTF-8",
    "EVN|{trigger}|{time}||||{time}",
    "PID|1||{patient}^^^GH^MR||TESTCASE^ANNA||19610412|F|||1 HIGH ST^^LEEDS^^LS1 1AA",
    "PV1|1|I|{bed}||||||||||||||||V{visit}^^^GH^VN|||||||||||||||||||||||||{admitted}",
)
STAY = (("A01", 0), ("A02", 60), ("A02", 180), ("A08", 200), ("A02", 400), ("A03", 1400))
"""Triggers, and minutes after the admission."""


def messages(visits: int, seed: int = 1, beds: int = 1000) -> Iterator[bytes]:
    """Yield the messages of so many visits in the order of their times."""
    rng = random.Random(seed)  # the same hospital each time
    planned = []
    for visit in range(visits):
        begin = rng.randrange(MINUTES)
        places = [f"W{bed % 20}^{bed // 20}^A" for bed in rng.choices(range(beds), k=len(STAY))]
        for place, (trigger, after) in enumerate(STAY):
            bed = places[place - 1] if trigger in ("A08", "A03") else places[place]
            planned.append((begin + after, visit, place, trigger, bed, begin))
    for at, visit, place, trigger, bed, begin in sorted(planned):
        yield "\r".join(SEGMENTS).format(
            time=_time(at), admitted=_time(begin), trigger=trigger, visit=visit, place=place,
            patient=100_000 + visit, bed=bed,
        ).encode()  # fmt: skip


def _time(minutes: int) -> str:
    return (BEGIN + timedelta(minutes=minutes)).strftime("%Y%m%d%H%M%S")
