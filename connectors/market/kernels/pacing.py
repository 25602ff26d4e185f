"""The newest event time of each partition, by which a source paces its partitions."""

# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
# A kernel's types are in its signature, where numba holds it to them.

from __future__ import annotations

from numba import types

from connectors.market.kernels.compiling import kernel


@kernel(types.void(types.int32[::1], types.int64[::1], types.int64[::1]))
def newest_by_partition(partition, ts_ns, newest):
    """Raise ``newest`` int64[partitions] to the largest event time of each partition's rows."""
    for i in range(len(ts_ns)):
        p = partition[i]
        newest[p] = max(newest[p], ts_ns[i])
