"""Arrays that grow with what they hold a row for."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = TypeVar("Array", bound=NDArray[Any])


def grown(values: Array, length: int, fill: float = 0) -> Array:
    """Return ``values``, or a copy at least twice as long, so that ``length`` rows fit."""
    if len(values) >= length:
        return values
    bigger = np.full((max(length, 2 * len(values), 16), *values.shape[1:]), fill, values.dtype)
    bigger[: len(values)] = values
    return bigger  # type: ignore[return-value]  # numpy cannot say that the dtype is the same
