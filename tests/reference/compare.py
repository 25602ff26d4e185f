"""Comparison of two sets of outputs: texts and whole numbers exactly, doubles nearly."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tests.reference.vocabulary import Record


def same(expected: Any, actual: Any, relative: float, absolute: float) -> bool:
    """Return whether two values of a record agree; an int and a double never do."""
    if type(expected) is not type(actual):
        return False
    if isinstance(expected, float):
        return math.isclose(expected, actual, rel_tol=relative, abs_tol=absolute)
    if isinstance(expected, dict):
        return expected.keys() == actual.keys() and all(
            same(value, actual[key], relative, absolute) for key, value in expected.items()
        )
    return bool(expected == actual)


def first_difference(
    expected: Mapping[str, Sequence[Record]],
    actual: Mapping[str, Sequence[Record]],
    relative: float = 1e-9,
    absolute: float = 1e-12,
) -> str | None:
    """Return a line that tells where two sets of outputs first differ, or None.

    The records of each output are compared one by one, in their order.
    """
    for output in sorted(expected.keys() | actual.keys()):
        ours, theirs = expected.get(output, ()), actual.get(output, ())
        for index, (one, other) in enumerate(zip(ours, theirs, strict=False)):
            if not same(one, other, relative, absolute):
                return f"{output}[{index}]: expected {one}, got {other}"
        if len(ours) > len(theirs):
            return f"{output}[{len(theirs)}]: expected {ours[len(theirs)]}, got nothing"
        if len(theirs) > len(ours):
            return f"{output}[{len(ours)}]: expected nothing, got {theirs[len(ours)]}"
    return None
