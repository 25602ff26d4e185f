"""How kernels are compiled."""

from __future__ import annotations

from functools import partial
from typing import Any

from numba import njit

# Without reference counts (numba's private switch; a numba that lacks it fails at import). A
# kernel borrows its arrays and keeps none, but an array that is taken out of a tuple is otherwise
# counted, atomically, wherever it is used: bars took twice as long. A call is cheaper too. A kernel
# that allocates does not compile with it. No fastmath: it would take NaN for impossible.
_njit: Any = njit
kernel = partial(_njit, cache=True, nogil=True, _nrt=False)
inlined = _njit(inline="always", _nrt=False)
"""For a part that two kernels share, and that is compiled as if it were written in each."""
