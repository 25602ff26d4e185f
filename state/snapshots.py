"""Snapshots: versioned plain values, never class instances.

A pickle of an instance holds a module path, and a renamed file would lose the
state; so a snapshot is made of tuples, dicts, str, int and bytes alone, and an
array is (dtype, shape, bytes).
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from state.errors import SnapshotRefused

VERSION = 1

_CHECKED = b"hrc1"
"""Begins bytes that have a checksum; a pickle, as it was written at first, begins otherwise."""

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


def checked(data: bytes) -> bytes:
    """Return the bytes of a snapshot with their checksum before them."""
    return b"%b%b%b" % (_CHECKED, zlib.crc32(data).to_bytes(4, "big"), data)


def unchecked(data: bytes) -> bytes:
    """Return the bytes that `checked` was given. Raises ValueError where one has changed."""
    if not data.startswith(_CHECKED):
        return data
    head = len(_CHECKED) + 4
    content = data[head:]
    if zlib.crc32(content).to_bytes(4, "big") != data[len(_CHECKED) : head]:
        raise ValueError("its checksum differs")
    return content
