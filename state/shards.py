"""Shards: the fixed units of work, named so that a shard stays on one worker.

Bytewax sends an item with key ``k`` to worker ``route_hash(k) % workers``, while it
deals source and sink partitions out evenly; so the source and the state of a shard
would often sit in different processes and every block would be pickled. We choose
the names instead: ``route_hash(name of shard i) % 840 == i % 840``, hence shard i belongs to
worker i % W for every W up to 8, and each process lists only its own shards.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

_MASK = (1 << 64) - 1
_LCM = 840
"""Divisible by 1 to 8."""
_START = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)
"""SipHash's state under a zero key."""
_SALT_DIGITS = 6
_TRIES = 1024
"""Names that are tried at once."""


def _rotate(x: int, bits: int) -> int:
    return ((x << bits) | (x >> (64 - bits))) & _MASK


def route_hash(text: str) -> int:
    """Return the hash by which Bytewax routes a key: SipHash-1-3 under a zero key.

    Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012), with one
    compression and three finalisation rounds, over the text's UTF-8 and a byte 0xFF, as
    Rust's ``DefaultHasher`` sees a string.
    """
    v0, v1, v2, v3 = _START

    def rounds(count: int) -> None:
        nonlocal v0, v1, v2, v3
        for _ in range(count):
            v0 = (v0 + v1) & _MASK
            v1 = _rotate(v1, 13) ^ v0
            v0 = _rotate(v0, 32)
            v2 = (v2 + v3) & _MASK
            v3 = _rotate(v3, 16) ^ v2
            v0 = (v0 + v3) & _MASK
            v3 = _rotate(v3, 21) ^ v0
            v2 = (v2 + v1) & _MASK
            v1 = _rotate(v1, 17) ^ v2
            v2 = _rotate(v2, 32)

    data = text.encode() + b"\xff"
    whole = len(data) - len(data) % 8
    last = int.from_bytes(data[whole:], "little") | (len(data) & 0xFF) << 56
    words = [int.from_bytes(data[at : at + 8], "little") for at in range(0, whole, 8)]
    for word in [*words, last]:
        v3 ^= word
        rounds(1)
        v0 ^= word
    v2 ^= 0xFF
    rounds(3)
    return v0 ^ v1 ^ v2 ^ v3


@cache
def shard_name(index: int) -> str:
    """Return the name of shard ``index``, the same for ever: it keys the snapshots."""
    salt = 0
    while route_hash(f"{index}.{salt}") % _LCM != index % _LCM:
        salt += 1
    return f"{index}.{salt}"


def shard_names(count: int) -> list[str]:
    """Return the names of ``count`` shards, in order."""
    return [shard_name(index) for index in range(count)]


def worker_of(name: str, workers: int) -> int:
    """Return the worker on which Bytewax keeps the state of this key."""
    return route_hash(name) % workers


@cache
def page_name(shard: str, page: int) -> str:
    """Return the name of one page of a shard's state; it is on the shard's worker."""
    home, stem = route_hash(shard) % _LCM, f"{shard}.p{page}."
    for first in range(0, 10**_SALT_DIGITS, _TRIES):
        found = np.flatnonzero(_route_hashes(stem, first) % np.uint64(_LCM) == home)
        if len(found):
            return f"{stem}{first + int(found[0]):0{_SALT_DIGITS}d}"
    raise AssertionError("one name in 840 fits")


def _route_hashes(stem: str, first: int) -> NDArray[np.uint64]:
    """Return `route_hash` of ``stem`` followed by each of _TRIES numbers from ``first`` on.

    One by one they would take 10 ms for a name, which is a pause at the first touch of a page.
    """
    head = np.frombuffer(stem.encode(), np.uint8)
    numbers = np.arange(first, first + _TRIES)[:, None]
    digits = (numbers // 10 ** np.arange(_SALT_DIGITS)[::-1] % 10 + ord("0")).astype(np.uint8)
    length = len(head) + _SALT_DIGITS + 1
    padded = np.zeros((_TRIES, -(-(length + 1) // 8) * 8), np.uint8)
    padded[:, : len(head)] = head
    padded[:, len(head) : length - 1] = digits
    padded[:, length - 1] = 0xFF
    padded[:, -1] = length & 0xFF
    words = padded.view("<u8")
    v = [np.full(_TRIES, start, np.uint64) for start in _START]

    def rotate(x: NDArray[np.uint64], bits: int) -> NDArray[np.uint64]:
        return (x << np.uint64(bits)) | (x >> np.uint64(64 - bits))

    def rounds(count: int) -> None:
        for _ in range(count):
            v[0] = v[0] + v[1]
            v[1] = rotate(v[1], 13) ^ v[0]
            v[0] = rotate(v[0], 32)
            v[2] = v[2] + v[3]
            v[3] = rotate(v[3], 16) ^ v[2]
            v[0] = v[0] + v[3]
            v[3] = rotate(v[3], 21) ^ v[0]
            v[2] = v[2] + v[1]
            v[1] = rotate(v[1], 17) ^ v[2]
            v[2] = rotate(v[2], 32)

    for column in range(words.shape[1]):
        v[3] = v[3] ^ words[:, column]
        rounds(1)
        v[0] = v[0] ^ words[:, column]
    v[2] = v[2] ^ np.uint64(0xFF)
    rounds(3)
    return v[0] ^ v[1] ^ v[2] ^ v[3]
