"""Snapshots: versioned plain values, never class instances.

A pickle of an instance holds a module path, and a renamed file would lose the
state; so a snapshot is made of tuples, dicts, str, int and bytes alone, and an
array is (dtype, shape, bytes).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from state.errors import SnapshotRefused

VERSION = 1

Plain = Any
"""None, bool, int, float, str, bytes, or a tuple, list or dict of these."""
Packed = tuple[str, int, str, dict[str, Plain]]


def pack_array(values: NDArray[Any]) -> tuple[str, tuple[int, ...], bytes]:
    """Return an array as plain values; a copy of its bytes."""
    return (values.dtype.str, values.shape, values.tobytes())


def unpack_array(packed: tuple[str, tuple[int, ...], bytes]) -> NDArray[Any]:
    """Return a writable array from what `pack_array` gave."""
    dtype, shape, data = packed
    return np.frombuffer(data, dtype=dtype).reshape(shape).copy()


def pack(settings_hash: str, parts: dict[str, Plain]) -> Packed:
    """Return a snapshot of named parts under the settings' hash."""
    return ("headrace", VERSION, settings_hash, parts)


def unpack(packed: Packed, settings_hash: str) -> dict[str, Plain]:
    """Return the named parts of a snapshot.

    Raises SnapshotRefused where the version or the settings' hash differ.
    """
    magic, version, found_hash, parts = packed
    if magic != "headrace" or version != VERSION:
        raise SnapshotRefused("version", f"{magic} {version}", f"headrace {VERSION}")
    if found_hash != settings_hash:
        raise SnapshotRefused("settings hash", found_hash, settings_hash)
    return parts
