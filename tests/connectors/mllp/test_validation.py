"""Ids are looked at, in any message whose MSH can be read."""

from __future__ import annotations

import random

import pytest

from connectors.adt.envelope import domain
from connectors.mllp.answers import DUPLICATE, FIELD_MISSING, judge
from connectors.mllp.validation import fault_of
from tests.connectors.mllp.rig import message

MERGE = message("M1", kind="ADT^A40")


@pytest.mark.parametrize(
    ("raw", "condition", "field"),
    [
        (message(""), FIELD_MISSING, "MSH-10"),
        (message("C1").replace(b"1001", b""), FIELD_MISSING, "PID-3"),
        (message("C1").replace(b"1001", b'""'), FIELD_MISSING, "PID-3"),
        (MERGE + b"MRG||X\r", FIELD_MISSING, "MRG-1"),
        (MERGE + b"MRG|1001^^^GH^PI\r", DUPLICATE, "MRG-1"),
        (MERGE + b"MRG|1^^^GH\rPID|||2^^^GH\rMRG|2^^^GH\r", DUPLICATE, "MRG-1"),
    ],
)
def test_a_fault_names_its_field_and_repeats_nothing(raw, condition, field):
    found = fault_of(raw)
    assert found is not None
    assert found[0] == condition
    assert field in str(found[1])
    assert "1001" not in str(found[1])


@pytest.mark.parametrize(
    "raw",
    [
        message("C1"),
        MERGE + b"MRG|1001^^^OTHER^MR\r",
        MERGE + b"MRG|1^^^GH\rPID|||2^^^GH\rMRG|1001^^^GH\r",
        message("C1", kind="ADT^A20").split(b"PID")[0] + b"NPU|4W^12^A|C\r",
    ],
)
def test_what_may_be_is_no_fault(raw):
    assert fault_of(raw) is None


def test_no_bytes_are_too_strange_to_be_looked_at():
    rng = random.Random(11)
    original = MERGE + b"MRG|1000^^^GH~7^^^GH\rOBX|1|TX|\\X0D\\^\\.br\\\r"
    looked_at = 0
    for _ in range(3000):
        raw = bytearray(original)
        for _ in range(rng.randint(1, 8)):
            place = rng.randrange(len(raw))
            raw[place : place + rng.randint(0, 2)] = rng.randbytes(rng.randint(0, 2))
        judged = judge(bytes(raw))
        assert domain(judged.header)
        if judged.keep:
            fault_of(bytes(raw))
            looked_at += 1
    assert looked_at > 500
