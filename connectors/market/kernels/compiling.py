"""How the kernels of this package are compiled, and the types of what they share."""

# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
# A kernel's types are in its signature, where numba holds it to them.

from __future__ import annotations

from functools import partial
from typing import Any

from numba import njit, types

# Without reference counts (numba's private switch; a numba that lacks it fails at import): an
# array taken out of a tuple is counted atomically at every use, which made JSON six times and
# frames three times as slow. Kernels here borrow their arrays, keep and allocate none.
_njit: Any = njit
# Inlined by LLVM whatever its size: a call for each token took JSON from 6.2 to 4.8 M ticks/s.
inner = _njit(_nrt=False, error_model="numpy", forceinline=True)
kernel = partial(_njit, _nrt=False, error_model="numpy", nogil=True, cache=True)


def read_only(dtype: Any, dimensions: int = 1) -> Any:
    """Return the type of an array that is only read.

    Read-only arrays (np.frombuffer of bytes) are accepted, writable ones as well.
    """
    return types.Array(dtype, dimensions, "C", readonly=True)


TABLE = types.Tuple(
    [
        types.int32[::1],
        types.uint64[:, ::1],
        types.int32[:, ::1],
        types.int32[:, ::1],
        types.int64[::1],
    ]
)
"""A table of strings: see `connectors.market.interning.Interner`."""
COLUMNS = types.Tuple(
    [types.int64[:, ::1], types.float64[:, ::1], types.int32[:, ::1], types.uint8[:, ::1]]
)
"""The columns of a block: see `connectors.market.layout`."""
