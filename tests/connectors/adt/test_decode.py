"""A batch of messages into what they say, and dead letters for what cannot be used."""

from __future__ import annotations

import numpy as np
import pytest

from connectors.adt.messages import decode
from state.errors import FromTheFuture, OtherDomain, WrongType
from state.records import Messages

DAY_NS = 86_400 * 10**9
SENT_NS = 1_709_625_600 * 10**9
"""8 o'clock on 5 March 2024."""
RAW = (
    b"MSH|^~\\&|PAS|GH|||2024030508||ADT^A01|1|P|2.5\rEVN|A01|2024030508\r"
    b"PID|1||7^^^GH^MR\rPV1|1|I|W^1^A||||||||||||||||V1"
)


def batch(
    *values: bytes, came_ns: int = SENT_NS, partitions: int = 1, key: bytes | None = b"GH"
) -> Messages:
    return Messages(
        topic="adt.raw",
        partitions=partitions,
        partition=np.zeros(len(values), np.int32),
        offset=np.arange(len(values)),
        timestamp_ns=np.full(len(values), came_ns),
        keyed=np.ones(len(values), np.bool_),
        data=np.frombuffer(b"".join(values), np.uint8),
        starts=np.cumsum([0, *map(len, values)]),
        keys=[key] * len(values),
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


@pytest.mark.parametrize(
    ("key", "domains", "dead"),
    [
        (b"GH", {}, False),
        (None, {}, False),
        (b"trust", {"GH": "trust"}, False),
        (b"GH", {"GH": "trust"}, True),
        (b"trust", {}, True),
    ],
)
def test_of_several_partitions_what_is_under_another_key_is_a_dead_letter(key, domains, dead):
    block = decode(batch(RAW, partitions=2, key=key), domains=domains)
    assert [each.error for each in block.dead] == [OtherDomain.__name__] * dead
    [row] = (decode(batch(RAW, key=key), domains=domains)).rows
    assert row.domain == domains.get("GH", "GH")


def test_a_key_may_be_of_the_bytes_that_were_sent():
    raw = RAW.replace(b"|GH|", "|Z\u00fcrich\\T\\B|".encode("latin_1"))
    key = "Z\u00fcrich\\T\\B".encode("latin_1")
    [row] = decode(batch(raw, partitions=2, key=key)).rows
    assert row.domain == "Z\u00fcrich&B"
