"""Columns of int64 that one process of a measurement leaves for another."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Stored = dict[str, NDArray[np.int64]]


def store(path: str, columns: Mapping[str, NDArray[np.int64]]) -> None:
    """Write columns, of any lengths, to a file."""
    np.savez(path, allow_pickle=False, **columns)


def load(path: str) -> Stored:
    """Return the columns of a file."""
    with np.load(path) as stored:
        return {name: stored[name] for name in stored.files}
