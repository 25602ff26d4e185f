"""The bytes of answers."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from connectors.web.rest.answers import to_body

NAMES = st.sampled_from(["ts_ns", "_ns", "x", 'a_ns":1,"b', "A_ns"]) | st.text(max_size=5)
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.sampled_from(['"ts_ns":1', 'ts_ns":12,', "\\"]) | st.text(max_size=8)
VALUES = st.recursive(
    NUMBERS | TEXTS | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
)


def told(value: Any) -> Any:
    """Return what a client is to read, by the definition."""
    if isinstance(value, dict):
        return {
            k: str(v) if k.endswith("_ns") and type(v) is int else told(v) for k, v in value.items()
        }
    return [told(each) for each in value] if isinstance(value, list) else value


@given(VALUES)
def test_integers_of_times_are_texts_and_nothing_else_changes(value):
    assert orjson.loads(to_body(value)) == told(value)
