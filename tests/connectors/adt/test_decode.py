"""A batch of messages into what they say, and dead letters for what cannot be used."""

from __future__ import annotations

import numpy as np

from connectors.adt.messages import decode
from state.errors import FromTheFuture, WrongType
from state.records import Messages

DAY_NS = 86_400 * 10**9
SENT_NS = 1_709_625_600 * 10**9
"""8 o'clock on 5 March 2024."""
RAW = (
    b"MSH|^~\\&|PAS|GH|||2024030508||ADT^A01|1|P|2.5\rEVN|A01|2024030508\r"
    b"PID|1||7^^^GH^MR\rPV1|1|I|W^1^A||||||||||||||||V1"
)


def batch(*values: bytes, came_ns: int = SENT_NS) -> Messages:
    return Messages(
        topic="adt.raw",
        partitions=1,
        partition=np.zeros(len(values), np.int32),
        offset=np.arange(len(values)),
        timestamp_ns=np.full(len(values), came_ns),
        keyed=np.ones(len(values), np.bool_),
        data=np.frombuffer(b"".join(values), np.uint8),
        starts=np.cumsum([0, *map(len, values)]),
        keys=[b"GH"] * len(values),
        headers={},
        ranges={0: (0, len(values))},
    )


def test_what_cannot_be_used_is_a_dead_letter_and_the_rest_goes_on():
    block = decode(batch(RAW.replace(b"7^^^GH^MR", b""), RAW))
    assert [each.coordinates.offset for each in block.rows] == [1]
    [dead] = block.dead
    assert (dead.error, dead.coordinates.offset) == (WrongType.__name__, 0)


def test_what_was_recorded_in_the_future_is_a_dead_letter():
    early = batch(RAW, came_ns=SENT_NS - DAY_NS)
    assert len(decode(early, max_ahead_ns=DAY_NS)) == 1
    block = decode(early, max_ahead_ns=DAY_NS - 1)
    assert (len(block), block.dead[0].error) == (0, FromTheFuture.__name__)
