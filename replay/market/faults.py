"""Messages that no decoder can use, for simulated sessions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from state.clock import NS

Spoilt = tuple[bytes | None, bytes]
"""A key and a value."""


def spoil(
    rng: np.random.Generator,
    key: pa.Array,
    value: pa.Array,
    allowed: NDArray[np.bool_],
    share: float,
) -> tuple[pa.Array, pa.Array]:
    """Return keys and values with a ``share`` of the rows unusable, by one of `FAULTS` each.

    Only rows where ``allowed`` is true are touched.
    """
    rows = np.flatnonzero((rng.random(len(value)) < share) & allowed).tolist()
    if not rows:
        return key, value
    keys, values = key.to_pylist(), value.to_pylist()
    for row, fault in zip(rows, rng.integers(0, len(FAULTS), len(rows)).tolist(), strict=True):
        keys[row], values[row] = FAULTS[fault](keys[row], values[row])
    return pa.array(keys, pa.binary()), pa.array(values, pa.binary())


def _truncated(key: bytes, value: bytes) -> Spoilt:
    return key, value[: len(value) // 2]


def _without_key(_: bytes, value: bytes) -> Spoilt:
    return None, value


def _replaced(name: bytes, new: Callable[[bytes], bytes]) -> Callable[[bytes, bytes], Spoilt]:
    """Return a fault that rewrites one field, a quote's bid or ask where it has no such field."""

    def fault(key: bytes, value: bytes) -> Spoilt:
        label = next(label for label in (name, b'"bid":', b'"ask":') if label in value)
        start = value.index(label) + len(label)
        end = value.index(b",", start)
        return key, value[:start] + new(value[start:end]) + value[end:]

    return fault


FAULTS: tuple[Callable[[bytes, bytes], Spoilt], ...] = (
    _truncated,
    _without_key,
    _replaced(b'"price":', lambda old: b"NaN"),
    _replaced(b'"price":', lambda old: b"-1.5"),
    _replaced(b'"price":', lambda old: b'"' + old + b'"'),
    _replaced(b'"ts_ns":', lambda old: b"%d" % (int(old) + 3600 * NS)),
)
"""Half of a JSON, no key, a NaN, a negative price, a price in quotes, an hour ahead."""
